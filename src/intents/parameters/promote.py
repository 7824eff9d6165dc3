"""The parameters of `registry.promote`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from intents.parameters.declaration import require
from intents.parameters.training.train import REGISTERED_MODEL

PUBLISHED_MODELS_DIR = "assets/models"
UNCLEAR, LOST_INTENTS, OTHER_MODEL = "unclear", "lost_intents", "other_model"
OTHER_CORPUS, OTHER_FAMILY, READER_IMPORTS_INTENTS = "other_corpus", "other_family", "reader_imports_intents"
BELOW_BASELINE = "below_baseline"
ACCEPTABLE = (
    UNCLEAR,
    BELOW_BASELINE,
    LOST_INTENTS,
    OTHER_MODEL,
    OTHER_CORPUS,
    OTHER_FAMILY,
    READER_IMPORTS_INTENTS,
)
"""What the gate asks about, and a person may accept; what is worse is not among it."""
NOT_FORCED = "none"


@dataclass(frozen=True, kw_only=True)
class PromoteConfig:
    """Which registered version is published, and where; or what else is done there."""

    name: str = REGISTERED_MODEL
    """Registered model."""
    version: str = ""
    """Version to mark Production and publish; empty: the one that is marked already."""
    target: str = ""
    """Directory that the chat service reads, a link to the published version; empty: assets/models/<name>."""
    action: Literal["publish", "rollback", "release", "verify", "status", "history", "dry-run"] = "publish"
    """What is done: a rollback holds until its release, or until a newer version is marked Production."""
    wait: int = 300
    """Seconds to wait for another promotion to end."""
    accept: str = ""
    """What you accept of what the gate asks about, by the words that it names, comma-separated; recorded."""
    force: str = NOT_FORCED
    """Why a version that the gate refuses, even as worse, is published all the same; recorded. none: it is not."""
    min_f1_change: float = -0.01
    """The gate: weighted F1 may change by this at worst, by the lower end of the 95 % interval."""
    min_auroc_change: float = -0.02
    """The gate: the same of the out-of-scope AUROC."""
    max_ece_change: float = 0.01
    """The gate: the expected calibration error may rise by so much."""
    max_latency_ratio: float = 1.5
    """The gate: an utterance may take so many times as long, by the median."""
    output: Literal["text", "json"] = "text"
    """For people, or for scripts."""

    def __post_init__(self) -> None:
        require(bool(self.name.strip()), "a registered model's name", name=self.name)
        require(
            not self.version or self.version.isdecimal(), "a version number, such as 3", version=self.version
        )
        takes_version = not self.version or self.action in ("publish", "dry-run")
        require(takes_version, f"no version with the action {self.action}", version=self.version)
        is_path = not self.target or self.target.strip().strip("./") != ""
        require(is_path, "a directory's path, or nothing", target=self.target)
        is_folder = bool(self.target) or (self.name not in (".", "..") and "/" not in self.name)
        require(is_folder, "a registered model's name, or a target beside it", name=self.name)
        are_known = set(self.accepted) <= set(ACCEPTABLE)
        require(are_known, f"some of {', '.join(ACCEPTABLE)}", accept=self.accept)
        require(0 <= self.wait <= 86400, "0 to 86400 seconds", wait=self.wait)
        require(bool(self.force.strip()), f"a reason, or {NOT_FORCED}", force=self.force)
        if self.force == NOT_FORCED:  # a word of its own, as mlflow run passes every parameter
            object.__setattr__(self, "force", "")
        for name in ("min_f1_change", "min_auroc_change", "max_ece_change"):
            change = getattr(self, name)
            require(-1 <= change <= 1, "a change from -1 to 1", **{name: change})
        require(
            0 < self.max_latency_ratio <= 1000,
            "above 0, up to 1000",
            max_latency_ratio=self.max_latency_ratio,
        )

    @property
    def directory(self) -> Path:
        """The target: each registered model has its own, unless one is given."""
        return Path(self.target or f"{PUBLISHED_MODELS_DIR}/{self.name}")

    @property
    def accepted(self) -> tuple[str, ...]:
        """`accept` one by one."""
        return tuple(word for word in map(str.strip, self.accept.split(",")) if word)
