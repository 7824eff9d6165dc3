"""Where a corpus comes from and how it is cleaned and split."""

from dataclasses import dataclass, field, fields
from typing import Any, Literal

from intents.parameters.declaration import require

DEFAULT_CORPUS_DIR = "assets/models/few_shot_intent_sft/data"
SAMPLE_CORPUS_DIR = "assets/samples/chat_zh"
AUTO, NONE = "auto", "none"
CLEANS = {"cleans": True}
"""Metadata of a parameter that `cleaning.clean` is given, by which its results are told apart in the cache."""


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which corpus, how it is cleaned, how it is split."""

    data: str = ""
    """Corpus: .jsonl, .json, .csv, .parquet files or directories, comma-separated; empty: as the README says."""
    noise: str = ""
    """Out-of-scope utterances, a file; empty: noise.jsonl or noise.json beside each corpus, if there."""
    corrections: str = ""
    """Decisions on single rows, a .csv that check_data wrote and a person edited; empty: none."""
    blacklist: str = AUTO
    """Intents set aside: auto (the source corpora's own list, of their rows alone), none, or a file, one a line."""
    min_per_intent: int = field(default=20, metadata=CLEANS)
    """Raw corpora: intents with fewer rows are set aside."""
    max_per_intent: int = field(default=300, metadata=CLEANS)
    """Raw corpora: at most this many rows of one intent are kept."""
    split: Literal["grouped", "stratified", "random", "given"] = "grouped"
    """How rows reach train and test: by hash of the normal form, by intent, at random, or by their own `split`."""
    test_size: float = 0.2
    """Share of the rows that is tested on."""
    validation_size: float = 0.1
    """Share of the training part that chooses the epoch, the temperature and the threshold."""
    split_seed: int = field(default=42, metadata=CLEANS)
    """Seed of the cap's sample and of the split; `seed` moves no row."""
    workspace: str = ".intents"
    """Folder for cleaned corpora, and for the checkpoints of runs under way."""

    def __post_init__(self) -> None:
        is_told = bool(self.blacklist.strip())
        require(is_told, f"{AUTO}, {NONE}, or a file of intents, one a line", blacklist=self.blacklist)
        require(self.min_per_intent >= 1, "at least 1 row", min_per_intent=self.min_per_intent)
        require(
            self.max_per_intent >= self.min_per_intent,
            f"at least min_per_intent ({self.min_per_intent})",
            max_per_intent=self.max_per_intent,
        )
        require(0 < self.test_size < 1, "a share between 0 and 1, both excluded", test_size=self.test_size)
        require(
            0 < self.validation_size < 1,
            "a share between 0 and 1, both excluded",
            validation_size=self.validation_size,
        )
        require(0 <= self.split_seed < 2**32, "0 to 4294967295", split_seed=self.split_seed)
        require(bool(self.workspace.strip()), "a folder's path", workspace=self.workspace)

    def cleaning(self) -> dict[str, Any]:
        """The parameters that cleaning is given, beside the blacklist and the corrections."""
        return {
            declared.name: getattr(self, declared.name)
            for declared in fields(self)
            if "cleans" in declared.metadata
        }
