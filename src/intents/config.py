"""Every parameter, declared once: type, default and meaning.

From these dataclasses come the command-line flags, the MLproject file, the parameters logged to MLflow and the
errors. An entry point is a tuple of dataclasses whose fields, taken together, are its parameters.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from intents.hyperparams import FAMILIES, Hyperparams
from intents.parameters import Parameter, build, parameters, require

DEFAULT_CORPUS_DIR = "assets/models/few_shot_intent_sft/data"
SAMPLE_CORPUS_DIR = "assets/samples/chat_zh"
PUBLISHED_MODEL_DIR = "assets/models/intent_predictor"
REGISTERED_MODEL = "intent_predictor"


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which corpus, how it is cleaned, how it is split."""

    data: str = ""
    """Corpus: .jsonl, .json, .csv, .parquet files or directories, comma-separated; empty: as the README says."""
    noise: str = ""
    """Out-of-scope utterances, a file; empty: noise.jsonl or noise.json beside each corpus, if there."""
    blacklist: str = "assets/blacklist.txt"
    """File of intents to drop from raw corpora, one a line."""
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
    resume: str = ""
    """Run id of a training that was cut off: goes on, with its parameters, from its last complete checkpoint."""

    def __post_init__(self) -> None:
        is_id = self.resume.isalnum() or not self.resume
        require(is_id, "resume", self.resume, "the id of a run, as it was printed, or nothing")
        is_one = not self.resume or self.seeds == 1
        require(is_one, "seeds", self.seeds, "1 with resume: go on with the nested run that was cut off")
        require(1 <= self.seeds <= 1000, "seeds", self.seeds, "1 to 1000 trainings")
        is_name = self.register == self.register.strip() and not set(self.register) & set("/:")
        require(is_name, "register", self.register, "a model's name without / or :, or nothing")


@dataclass(frozen=True, kw_only=True)
class PromoteConfig:
    """Which registered version is published, and where; or what else is done there."""

    name: str = REGISTERED_MODEL
    """Registered model."""
    version: str = ""
    """Version to mark Production and publish; empty: the one that is marked already."""
    target: str = PUBLISHED_MODEL_DIR
    """Directory that the chat service reads; it becomes a link to the published version."""
    action: Literal["publish", "rollback", "release", "verify", "status", "history", "dry-run"] = "publish"
    """What is done: a rollback holds until its release, or until a newer version is marked Production."""
    wait: int = 300
    """Seconds to wait for another promotion to end."""
    output: Literal["text", "json"] = "text"
    """For people, or for scripts."""

    def __post_init__(self) -> None:
        require(bool(self.name.strip()), "name", self.name, "a registered model's name")
        require(
            not self.version or self.version.isdecimal(),
            "version",
            self.version,
            "a version number, such as 3",
        )
        takes_version = not self.version or self.action in ("publish", "dry-run")
        require(takes_version, "version", self.version, f"no version with the action {self.action}")
        is_path = self.target.strip().strip("./") != ""
        require(is_path, "target", self.target, "a directory's path")
        require(0 <= self.wait <= 86400, "wait", self.wait, "0 to 86400 seconds")


@dataclass(frozen=True, kw_only=True)
class CheckConfig:
    """Which encoder must be able to spell the corpus."""

    model_name: str = "char"
    """Encoder whose unknown tokens are counted, before anything is added to its vocabulary."""
    max_length: int = 128
    """Longest utterance, in tokens; longer ones are counted."""

    def __post_init__(self) -> None:
        require(
            bool(self.model_name.strip()), "model_name", self.model_name, "an encoder's name, path or hub id"
        )
        require(2 < self.max_length <= 8192, "max_length", self.max_length, "3 to 8192 tokens")


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
        require(bool(self.model_name.strip()), "model_name", self.model_name, "an encoder's path or hub id")
        require(1 <= self.embedding_size <= 4096, "embedding_size", self.embedding_size, "1 to 4096")
        require(bool(self.workspace.strip()), "workspace", self.workspace, "a folder's path")


@dataclass(frozen=True, kw_only=True)
class OpenSetConfig:
    """Leaving intents out: which shares stay known, how often, with which family."""

    family: Literal["bert", "textcnn"] = "textcnn"
    """Model family."""
    known_shares: str = "0.25,0.5,0.75"
    """Shares of the intents that are trained on; the others are out-of-scope."""
    seeds: int = 3
    """Draws of the known intents, each with a training of its own, a share."""
    hyperparams: str = ""
    """Hyperparameters other than the family's defaults, such as epochs=10,learning_rate=1e-3."""

    def __post_init__(self) -> None:
        shares = self.known_shares.split(",")
        are_shares = all(_is_number(share) and 0 < float(share) < 1 for share in shares)
        require(are_shares, "known_shares", self.known_shares, "shares between 0 and 1, such as 0.25,0.5")
        require(1 <= self.seeds <= 1000, "seeds", self.seeds, "1 to 1000 draws")
        names = {field.name for field in dataclasses.fields(FAMILIES[self.family])} - {"seed", "recipe"}
        are_pairs = set(self.overrides) <= names
        require(are_pairs, "hyperparams", self.hyperparams, f"name=value,… of {', '.join(sorted(names))}")

    @property
    def shares(self) -> tuple[float, ...]:
        """`known_shares` as numbers."""
        return tuple(float(share) for share in self.known_shares.split(","))

    @property
    def overrides(self) -> dict[str, str]:
        """`hyperparams` by name; a piece without = belongs to the value before it (kernel_sizes=2,3)."""
        values: dict[str, str] = {}
        name = ""
        for piece in filter(None, self.hyperparams.split(",")):
            head, equals, value = piece.partition("=")
            if equals:
                name = head.strip()
                values[name] = value.strip()
            else:
                values[name] = f"{values[name]},{piece.strip()}" if name in values else piece
        return values


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run, whole."""

    data: DataConfig
    hyperparams: Hyperparams
    run: RunConfig

    def as_parameters(self) -> dict[str, Any]:
        """Every parameter by name, as it takes effect (what is logged)."""
        return {**vars(self.data), **vars(self.hyperparams), **vars(self.run)}


ENTRY_POINTS: dict[str, tuple[type, ...]] = {
    **{hyperparams.ENTRY_POINT: (DataConfig, hyperparams, RunConfig) for hyperparams in FAMILIES.values()},
    "check_data": (DataConfig, CheckConfig),
    "evaluate_open_set": (DataConfig, OpenSetConfig),
    "reduce_embeddings": (ReductionConfig,),
    "promote": (PromoteConfig,),
}

ENTRY_POINT_MEANINGS: dict[str, str] = {
    "train_bert": "fine-tune a transformer encoder, evaluate it, log and register it",
    "train_cnn": "train a TextCNN with energy-based open-set recognition, evaluate it, log and register it",
    "check_data": "read, clean and split a corpus without training, and print what was dropped and why",
    "evaluate_open_set": "leave intents out, train on the others, and measure how well the left out are refused",
    "reduce_embeddings": "reduce an encoder's token table by PCA, for train_cnn with embeddings=reduced",
    "promote": "publish the registered version marked Production to where the chat service reads it",
}


def entry_point_parameters(entry_point: str) -> tuple[Parameter, ...]:
    """The parameters of one entry point, in order."""
    return tuple(p for declaration in ENTRY_POINTS[entry_point] for p in parameters(declaration))


def train_config(family: str, texts: Mapping[str, str]) -> TrainConfig:
    """The configuration of one training run, the recipe applied. Raises ConfigError."""
    hyperparams = build(FAMILIES[family], texts)
    recipe = hyperparams.RECIPES.get(hyperparams.recipe, {})
    return TrainConfig(
        data=_with_recipe(build(DataConfig, texts), recipe),
        hyperparams=_with_recipe(hyperparams, recipe),
        run=build(RunConfig, texts),
    )


def _with_recipe(declared: Any, recipe: Mapping[str, Any]) -> Any:
    """`declared` with the recipe's values for its own fields, wherever they have their default value."""
    changes = {
        field.name: recipe[field.name]
        for field in dataclasses.fields(declared)
        if field.name in recipe and getattr(declared, field.name) == field.default
    }
    return dataclasses.replace(declared, **changes)
