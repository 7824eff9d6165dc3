"""The parameters of `score`."""

from dataclasses import dataclass
from pathlib import PurePath

from intents.parameters.declaration import require
from intents.parameters.training.train import REGISTERED_MODEL

SCORED_SUFFIXES = (".jsonl", ".csv", ".parquet")


@dataclass(frozen=True, kw_only=True)
class ScoreConfig:
    """Which file is scored, by which model, and where the answers are written."""

    input: str = ""
    """File of texts: .jsonl, .csv or .parquet, of any size."""
    output: str = ""
    """File of answers: .jsonl, .csv or .parquet. What can't be scored is told beside it, in .rejected.jsonl."""
    column: str = "text"
    """Column of the texts (in .jsonl: key)."""
    keep: str = ""
    """Columns of the input that are written beside the answers, comma-separated; empty: all."""
    model: str = f"models:/{REGISTERED_MODEL}@Production"
    """Registered version (models:/name@alias or models:/name/3), run (runs:/<id>), or a model directory."""
    workers: int = 0
    """Processes, each on one core with the model in memory; 0: as many as there are cores."""

    def __post_init__(self) -> None:
        for name in ("input", "output"):
            path = getattr(self, name)
            is_of_a_format = PurePath(path).suffix.lower() in SCORED_SUFFIXES
            require(is_of_a_format, f"a file that ends in {', '.join(SCORED_SUFFIXES)}", **{name: path})
        require(bool(self.column), "a column's name", column=self.column)
        require(bool(self.model.strip()), "a model's uri, or its directory", model=self.model)
        require(0 <= self.workers <= 1024, "0 to 1024 processes", workers=self.workers)

    @property
    def kept(self) -> tuple[str, ...]:
        """`keep` one by one."""
        return tuple(name for name in map(str.strip, self.keep.split(",")) if name)
