"""The parameters of `reduce_embeddings`."""

from dataclasses import dataclass

from intents.parameters.declaration import require


@dataclass(frozen=True, kw_only=True)
class ReductionConfig:
    """Which encoder's token table is reduced, and to what size."""

    model_name: str = "minilm"
    """Encoder: minilm, a local path, or a hub id."""
    embedding_size: int = 128
    """Dimensions that are kept."""
    workspace: str = ".intents"
    """Folder for the reduced table."""

    def __post_init__(self) -> None:
        require(
            bool(self.model_name.strip()),
            "model_name",
            value=self.model_name,
            expected="an encoder's path or hub id",
        )
        require(
            1 <= self.embedding_size <= 4096,
            "embedding_size",
            value=self.embedding_size,
            expected="1 to 4096",
        )
        require(bool(self.workspace.strip()), "workspace", value=self.workspace, expected="a folder's path")
