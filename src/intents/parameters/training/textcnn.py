"""The hyperparameters of the family `textcnn`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from intents.parameters.declaration import require
from intents.parameters.training import recipes
from intents.parameters.training.hyperparams import NOTEBOOK_LOOP, Hyperparams, ThresholdRule
from intents.parameters.training.recipes import Recipe
from intents.parameters.training.space import Between, OneOf, Range


@dataclass(frozen=True, kw_only=True)
class TextCNNHyperparams(Hyperparams):
    """A small convolutional network over token embeddings."""

    FAMILY: ClassVar[str] = "textcnn"
    ENTRY_POINT: ClassVar[str] = "train_cnn"
    MEANING: ClassVar[str] = (
        "train a TextCNN with energy-based open-set recognition, evaluate it, log and register it"
    )
    RECIPES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        # The energy-CNN notebook this project began as, its loss and its loop.
        "notebook": {
            **NOTEBOOK_LOOP,
            "split": "random",
            "model_name": "microsoft/Phi-3-mini-4k-instruct",
            "embeddings": "reduced",
            "train_embeddings": False,
            "batch_size": 24,
            "negative_batch_size": 24,
            "epochs": 50,
            "learning_rate": 8e-4,
            "weight_decay": 0.0,
            "schedule": "constant",
            "members": 1,
            "kernel_sizes": "3,4,5",
            "channels": 128,
            "batch_normalisation": True,
            "embedding_dropout": 0.0,
            "dropout": 0.5,
            "energy_weight": 0.1,
            "energy_objective": "notebook",
            "calibration": "none",
            "threshold_rule": "fixed",
        },
    }
    # The energy's weight is not among them: the metrics tuned for see only in-scope rows, and would choose 0.
    SEARCH_SPACE: ClassVar[Mapping[str, Range]] = {
        "learning_rate": Between(5e-4, 1e-2, is_log=True),
        "batch_size": OneOf((32, 64, 128, 256)),
        "weight_decay": Between(1e-3, 0.3, is_log=True),
        "label_smoothing": Between(0.0, 0.3),
        "embedding_size": OneOf((64, 128, 256)),
        "kernel_sizes": OneOf(("1,2,3", "1,2,3,4", "1,2,3,4,5", "2,3,4")),
        "channels": OneOf((64, 128, 256)),
        "embedding_dropout": Between(0.0, 0.5),
        "dropout": Between(0.2, 0.8),
    }

    ENCODERS: ClassVar[Mapping[str, Recipe]] = {
        "e5": {"vocabulary": "trimmed", "intent_names": "ignore", "validation": "held_out"},
        recipes.OTHER: {"vocabulary": "full", "intent_names": "ignore", "validation": "held_out"},
    }

    model_name: str = recipes.FROM_SCRATCH
    max_length: int = 64
    batch_size: int = 128
    epochs: int = 20
    min_steps: int = 400
    learning_rate: float = 2e-3
    new_weights_factor: float = 1.0
    consistency_rows: int = 0
    contrastive_weight: float = 0.0
    special_tokens: bool = False
    energy_weight: float = 0.5
    negative_batch_size: int = 32
    threshold_rule: ThresholdRule = "best_f1"
    embeddings: Literal["learned", "reduced"] = "learned"
    """Token table: learned from the corpus, or the encoder's own, reduced by PCA (`reduce_embeddings`)."""
    train_embeddings: bool = True
    """Whether training changes the token table."""
    members: int = 1
    """Small networks trained side by side; the mean of their logits is the prediction."""
    embedding_size: int = 128
    """Dimensions of a token in one member's table."""
    kernel_sizes: str = "1,2,3,4"
    """Widths of the convolutions, in tokens."""
    channels: int = 128
    """Patterns a kernel size and member."""
    batch_normalisation: bool = False
    """Normalise each pattern's responses over the batch's positions."""
    embedding_dropout: float = 0.2
    """Share of the embeddings' values dropped in training."""
    dropout: float = 0.5
    """Share of the pooled features dropped in training."""

    def __post_init__(self) -> None:
        super().__post_init__()
        widths = self.kernel_sizes.split(",")
        are_widths = all(width.strip() in map(str, range(1, 65)) for width in widths)
        require(are_widths, "widths of 1 to 64 tokens, such as 3,4,5", kernel_sizes=self.kernel_sizes)
        require(1 <= self.members <= 100, "1 to 100", members=self.members)
        require(1 <= self.embedding_size <= 4096, "1 to 4096", embedding_size=self.embedding_size)
        require(1 <= self.channels <= 4096, "1 to 4096", channels=self.channels)
        for name in ("embedding_dropout", "dropout"):
            share = getattr(self, name)
            require(0 <= share < 1, "0 up to, but not including, 1", **{name: share})

    @property
    def kernel_widths(self) -> tuple[int, ...]:
        """`kernel_sizes` as numbers."""
        return tuple(int(width) for width in self.kernel_sizes.split(","))
