"""The sizes of a TextCNN. Importing this module makes them known to transformers' `AutoConfig`."""

from transformers.configuration_utils import PreTrainedConfig
from transformers.models.auto.configuration_auto import AutoConfig


class TextCNNConfig(PreTrainedConfig):  # type: ignore[misc]
    """Kernel sizes are in tokens; dropouts are shares."""

    model_type = "text_cnn"

    vocab_size: int = 1
    table_rows: int = 1
    pad_token_id: int | None = None
    members: int = 1
    embedding_size: int = 128
    kernel_sizes: list[int] | tuple[int, ...] = (3, 4, 5)
    channels: int = 128
    batch_normalisation: bool = True
    embedding_dropout: float = 0.0
    dropout: float = 0.5
    initializer_range: float = 0.1


AutoConfig.register(TextCNNConfig.model_type, TextCNNConfig, exist_ok=True)
