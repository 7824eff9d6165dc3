"""Every parameter, declared once: type, default and meaning.

From these dataclasses come the command-line flags, the MLproject file, the parameters logged to MLflow and the
errors. An entry point is a tuple of dataclasses whose fields, taken together, are its parameters.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from intents.parameters import Parameter, build, parameters, require

DEFAULT_CORPUS_DIR = "assets/models/few_shot_intent_sft/data"
SAMPLE_CORPUS_DIR = "assets/samples/chat_zh"
PUBLISHED_MODEL_DIR = "assets/models/intent_predictor"
REGISTERED_MODEL = "intent_predictor"


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which corpus, how it is cleaned, how it is split."""

    data: str = ""
    """Corpus: .jsonl files or a directory, comma-separated; empty: the raw corpora if present, else the sample."""
    noise: str = ""
    """Out-of-scope utterances, a .jsonl file; empty: noise.jsonl beside the corpus where there is one."""
    blacklist: str = "assets/blacklist.txt"
    """File of intents to drop from raw corpora, one a line."""
    min_per_intent: int = 20
    """Raw corpora: intents with fewer rows are set aside."""
    max_per_intent: int = 300
    """Raw corpora: at most this many rows of one intent are kept."""
    split: Literal["grouped", "stratified", "given"] = "grouped"
    """How rows reach train and test: by hash of the normal form, by intent, or by their own `split` field."""
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
class Hyperparams:
    """What every family's training takes. A family sets its own defaults, and may add fields."""

    FAMILY: ClassVar[str]
    RECIPES: ClassVar[Mapping[str, Mapping[str, Any]]]

    recipe: Literal["default", "notebook"] = "default"
    """`notebook` trains as the source notebook did, split included, wherever a parameter has its default value."""
    model_name: str
    """Encoder: char (small, from scratch), minilm, a local path, or a hub id such as hfl/chinese-bert-wwm-ext."""
    max_length: int
    """Longest utterance, in tokens; the rest is cut off."""
    batch_size: int
    """Utterances a training step."""
    evaluation_batch_size: int = 256
    """Utterances a forward pass when predicting."""
    epochs: int
    """Most passes over the training part."""
    learning_rate: float
    """Peak learning rate of pretrained weights."""
    new_weights_factor: float
    """Weights that begin at random (a new head; all of `char`) learn at learning_rate times this."""
    weight_decay: float = 0.01
    """Decoupled weight decay of every matrix (biases and norms have none)."""
    warmup_ratio: float = 0.1
    """Share of the steps in which the learning rate rises; it then falls to zero in a straight line."""
    label_smoothing: float = 0.1
    """Share of each training target that is spread over all intents."""
    token_dropout: float = 0.0
    """Share of training tokens replaced by the mask (or unknown) token, afresh in every batch."""
    patience: int = 5
    """Stop after this many epochs without a better validation weighted F1; 0 never stops early."""
    padding: Literal["longest", "max_length"] = "longest"
    """Pad to the longest utterance of the batch, or always to max_length."""
    batching: Literal["by_length", "random"] = "by_length"
    """Put utterances of like length into one batch, or not."""
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    """auto: bfloat16 where the processor or the GPU computes in it, else float32."""
    extend_vocabulary: Literal["auto", "never"] = "auto"
    """auto: add the training part's characters that the encoder can't spell."""
    seed: int = 42
    """Seed of weights, dropout and batch order. The split has its own (`split_seed`)."""
    unknown_intent: str = "Unknown"
    """The name given to what is rejected."""
    target_acceptance: float = 0.95
    """Share of in-scope validation rows that the energy threshold accepts."""

    def __post_init__(self) -> None:
        require(
            bool(self.model_name.strip()), "model_name", self.model_name, "an encoder's name, path or hub id"
        )
        require(2 < self.max_length <= 8192, "max_length", self.max_length, "3 to 8192 tokens")
        for name in ("batch_size", "evaluation_batch_size"):
            require(1 <= getattr(self, name) <= 65536, name, getattr(self, name), "1 to 65536 utterances")
        require(1 <= self.epochs <= 10000, "epochs", self.epochs, "1 to 10000")
        learns = math.isfinite(self.learning_rate) and 0 < self.learning_rate <= 1
        require(learns, "learning_rate", self.learning_rate, "a number above 0, up to 1")
        multiplies = math.isfinite(self.new_weights_factor) and 0 < self.new_weights_factor <= 1000
        require(multiplies, "new_weights_factor", self.new_weights_factor, "a number above 0, up to 1000")
        for name in ("weight_decay", "warmup_ratio", "label_smoothing", "token_dropout"):
            share = getattr(self, name)
            require(0 <= share < 1, name, share, "0 up to, but not including, 1")
        require(0 <= self.patience <= 10000, "patience", self.patience, "0 to 10000 epochs")
        require(0 <= self.seed < 2**32, "seed", self.seed, "0 to 4294967295")
        require(bool(self.unknown_intent.strip()), "unknown_intent", self.unknown_intent, "a name")
        accepts = 0 < self.target_acceptance < 1
        require(
            accepts, "target_acceptance", self.target_acceptance, "a share between 0 and 1, both excluded"
        )

    @property
    def selects_on_test(self) -> bool:
        """Whether the epoch is chosen on the test part: the source notebook did, nothing else may."""
        return self.recipe == "notebook"


@dataclass(frozen=True, kw_only=True)
class BertHyperparams(Hyperparams):
    """A transformer encoder with a classification head."""

    FAMILY: ClassVar[str] = "bert"
    RECIPES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        # The fine-tune this project began as, to the letter; it chose its epoch on the test part.
        "notebook": {
            "split": "stratified",
            "model_name": "hfl/chinese-bert-wwm-ext",
            "max_length": 128,
            "batch_size": 16,
            "evaluation_batch_size": 32,
            "epochs": 4,
            "learning_rate": 2e-5,
            "new_weights_factor": 1.0,
            "weight_decay": 0.01,
            "warmup_ratio": 0.0,
            "label_smoothing": 0.0,
            "token_dropout": 0.0,
            "patience": 0,
            "padding": "max_length",
            "batching": "random",
            "precision": "float32",
            "extend_vocabulary": "never",
        },
    }

    model_name: str = "char"
    max_length: int = 128
    batch_size: int = 64
    epochs: int = 20
    learning_rate: float = 5e-5
    new_weights_factor: float = 10.0


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Where a run leaves its traces."""

    register: str = REGISTERED_MODEL
    """Registered model that the run adds a version to; empty: none."""

    def __post_init__(self) -> None:
        is_name = self.register == self.register.strip() and not set(self.register) & set("/:")
        require(is_name, "register", self.register, "a model's name without / or :, or nothing")


@dataclass(frozen=True, kw_only=True)
class PromoteConfig:
    """Which registered version is published, and where."""

    name: str = REGISTERED_MODEL
    """Registered model."""
    version: str = ""
    """Version to mark Production and publish; empty: the one that is marked already."""
    target: str = PUBLISHED_MODEL_DIR
    """Directory that the chat service reads; it becomes a link to the published version."""

    def __post_init__(self) -> None:
        require(bool(self.name.strip()), "name", self.name, "a registered model's name")
        require(
            not self.version or self.version.isdecimal(),
            "version",
            self.version,
            "a version number, such as 3",
        )
        require(bool(self.target.strip()), "target", self.target, "a directory's path")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run, whole."""

    data: DataConfig
    hyperparams: Hyperparams
    run: RunConfig

    def as_parameters(self) -> dict[str, Any]:
        """Every parameter by name, as it takes effect (what is logged)."""
        return {**vars(self.data), **vars(self.hyperparams), **vars(self.run)}


FAMILIES: dict[str, type[Hyperparams]] = {"bert": BertHyperparams}

ENTRY_POINTS: dict[str, tuple[type, ...]] = {
    **{f"train_{family}": (DataConfig, hyperparams, RunConfig) for family, hyperparams in FAMILIES.items()},
    "check_data": (DataConfig,),
    "promote": (PromoteConfig,),
}

ENTRY_POINT_MEANINGS: dict[str, str] = {
    "train_bert": "fine-tune a transformer encoder, evaluate it, log and register it",
    "check_data": "read, clean and split a corpus without training, and print what was dropped and why",
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
