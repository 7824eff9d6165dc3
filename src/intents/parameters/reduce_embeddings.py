"""The parameters of `reduce_embeddings`."""

from dataclasses import dataclass

from intents.parameters.data import DataConfig
from intents.parameters.declaration import require


@dataclass(frozen=True, kw_only=True)
class ReductionConfig:
    """Which encoder's token table is reduced, and to what size."""

    model_name: str = "minilm"
    """Encoder: minilm, a local path, or a hub id."""
    embedding_size: int = 128
    """Dimensions that are kept."""
    workspace: str = DataConfig.workspace
    """Folder for the reduced table."""

    def __post_init__(self) -> None:
        require(bool(self.model_name.strip()), "an encoder's path or hub id", model_name=self.model_name)
        require(1 <= self.embedding_size <= 4096, "1 to 4096", embedding_size=self.embedding_size)
        require(bool(self.workspace.strip()), "a folder's path", workspace=self.workspace)
