"""The parameters of `tune`."""

import re
from dataclasses import dataclass
from typing import Literal

from intents.parameters.declaration import require
from intents.parameters.training.families import Family, by_name, check_overrides

STUDY_NAME = r"[\w.-]{1,100}"


@dataclass(frozen=True, kw_only=True)
class TuneConfig:
    """A study: which family's hyperparameters are searched, for what, how long, and where its trials are kept."""

    family: Family = "textcnn"
    """Model family."""
    n_trials: int = 50
    """Trials the study shall have in the end; those it has already count."""
    timeout: int = 0
    """Seconds after which no trial is begun; 0: no limit."""
    metric: Literal["val_f1_weighted", "val_f1_macro", "val_accuracy", "val_nll"] = "val_f1_weighted"
    """What is sought: the best of it on validation rows. The test part is never looked at."""
    sampler: Literal["tpe", "gp", "random"] = "tpe"
    """How the next values are chosen: tree-structured Parzen estimators, Gaussian processes, or at random."""
    pruner: Literal["halving", "median", "hyperband", "none"] = "halving"
    """Which trials stop early: asynchronous successive halving, worse than the median, Hyperband, or none."""
    n_jobs: int = 1
    """Trials at once on this machine, each in a process of its own with its share of the cores."""
    study: str = ""
    """The study's name; a study of that name goes on. Empty: the family and the corpus."""
    storage: str = ""
    """URL of a database that several machines share, such as postgresql://host/name; empty: a file in workspace."""
    seed: int = 42
    """Seed of every trial's training, and of what the sampler draws."""
    hyperparams: str = ""
    """Hyperparameters that no trial changes, such as epochs=10,channels=64."""

    def __post_init__(self) -> None:
        require(1 <= self.n_trials <= 100_000, "1 to 100000 trials", n_trials=self.n_trials)
        require(0 <= self.timeout <= 10**7, "0 to 10000000 seconds", timeout=self.timeout)
        require(1 <= self.n_jobs <= 256, "1 to 256 trials at once", n_jobs=self.n_jobs)
        is_name = not self.study or bool(re.fullmatch(STUDY_NAME, self.study))
        require(is_name, "at most 100 letters, digits, dots, dashes and underscores", study=self.study)
        require(not self.storage or "://" in self.storage, "a URL, or nothing", storage=self.storage)
        require(0 <= self.seed < 2**32, "0 to 4294967295", seed=self.seed)
        check_overrides(self.family, self.hyperparams)

    @property
    def overrides(self) -> dict[str, str]:
        """`hyperparams` by name."""
        return by_name(self.hyperparams)
