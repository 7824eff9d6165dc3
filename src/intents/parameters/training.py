"""Every parameter, declared once: type, default and meaning.

From these dataclasses come the command-line flags, the MLproject file, the parameters logged to MLflow and the
errors. Those of training are here and in hyperparams/, those of the other commands in parameters/commands.py.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from intents.parameters.declaration import build, require
from intents.parameters.families import FAMILIES
from intents.parameters.hyperparams import Hyperparams

DEFAULT_CORPUS_DIR = "assets/models/few_shot_intent_sft/data"
SAMPLE_CORPUS_DIR = "assets/samples/chat_zh"
REGISTERED_MODEL = "intent_predictor"
BEST = "best:"
AUTO, NONE = "auto", "none"
BUNDLED_BLACKLIST = "assets/blacklist.txt"


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
    min_per_intent: int = 20
    """Raw corpora: intents with fewer rows are set aside."""
    max_per_intent: int = 300
    """Raw corpora: at most this many rows of one intent are kept."""
    split: Literal["grouped", "stratified", "random", "given"] = "grouped"
    """How rows reach train and test: by hash of the normal form, by intent, at random, or by their own `split`."""
    test_size: float = 0.2
    """Share of the rows that is tested on."""
    validation_size: float = 0.1
    """Share of the training part that chooses the epoch, the temperature and the threshold."""
    split_seed: int = 42
    """Seed of the cap's sample and of the split; `seed` moves no row."""
    workspace: str = ".intents"
    """Folder for cleaned corpora, and for the checkpoints of runs under way."""

    def __post_init__(self) -> None:
        is_told = bool(self.blacklist.strip())
        require(is_told, "blacklist", self.blacklist, f"{AUTO}, {NONE}, or a file of intents, one a line")
        require(self.min_per_intent >= 1, "min_per_intent", self.min_per_intent, "at least 1 row")
        require(
            self.max_per_intent >= self.min_per_intent,
            "max_per_intent",
            self.max_per_intent,
            f"at least min_per_intent ({self.min_per_intent})",
        )
        require(0 < self.test_size < 1, "test_size", self.test_size, "a share between 0 and 1, both excluded")
        require(
            0 < self.validation_size < 1,
            "validation_size",
            self.validation_size,
            "a share between 0 and 1, both excluded",
        )
        require(0 <= self.split_seed < 2**32, "split_seed", self.split_seed, "0 to 4294967295")
        require(bool(self.workspace.strip()), "workspace", self.workspace, "a folder's path")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Where a run leaves its traces."""

    register: str = REGISTERED_MODEL
    """Registered model that the run adds a version to; empty: none."""
    seeds: int = 1
    """Train so many times, with seed, seed + 1, …, in nested runs; the best on validation rows is registered."""
    folds: int = 0
    """Train so many times more, each without a fold of the corpus that it answers: more rows to compare by; 0: not."""
    params: str = ""
    """best:<study> takes the best hyperparameters that tune found, wherever a parameter has its default value."""
    resume: str = ""
    """Run id of a training that was cut off: goes on, with its parameters, from its last complete checkpoint."""

    def __post_init__(self) -> None:
        is_id = self.resume.isalnum() or not self.resume
        require(is_id, "resume", self.resume, "the id of a run, as it was printed, or nothing")
        is_best = not self.params or (self.params.startswith(BEST) and self.params != BEST)
        require(is_best, "params", self.params, "best:<study>, or nothing")
        is_one = not self.resume or self.seeds == 1
        require(is_one, "seeds", self.seeds, "1 with resume: go on with the nested run that was cut off")
        require(1 <= self.seeds <= 1000, "seeds", self.seeds, "1 to 1000 trainings")
        require(
            self.folds == 0 or 2 <= self.folds <= 100, "folds", self.folds, "2 to 100 folds, or 0 for none"
        )
        is_name = self.register == self.register.strip() and not set(self.register) & set("/:")
        require(is_name, "register", self.register, "a model's name without / or :, or nothing")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run, whole."""

    data: DataConfig
    hyperparams: Hyperparams
    run: RunConfig

    def __post_init__(self) -> None:
        is_honest = not (self.run.folds and self.hyperparams.selects_on_test)
        require(is_honest, "folds", self.run.folds, "0 with a recipe that chooses its epoch on test rows")

    def as_parameters(self) -> dict[str, Any]:
        """Every parameter by name, as it takes effect (what is logged)."""
        return {**vars(self.data), **vars(self.hyperparams), **vars(self.run)}


def train_config(family: str, texts: Mapping[str, str]) -> TrainConfig:
    """The configuration of one training run, the recipe applied. Raises ConfigError."""
    hyperparams = build(FAMILIES[family], texts)
    recipe = hyperparams.RECIPES.get(hyperparams.recipe, {})
    return TrainConfig(
        data=where_default(build(DataConfig, texts), recipe),
        hyperparams=where_default(hyperparams, recipe),
        run=build(RunConfig, texts),
    )


def where_default(declared: Any, values: Mapping[str, Any]) -> Any:
    """`declared` with these values for its own fields, wherever those have their default value."""
    changes = {
        field.name: values[field.name]
        for field in dataclasses.fields(declared)
        if field.name in values and getattr(declared, field.name) == field.default
    }
    return dataclasses.replace(declared, **changes)
