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
    """Out-of-scope utterances, .jsonl or .json; empty: noise.jsonl or noise.json beside the corpus, if there."""
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
class Hyperparams:
    """What every family's training takes. A family sets its own defaults, and may add fields."""

    FAMILY: ClassVar[str]
    ENTRY_POINT: ClassVar[str]
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
    """Most epochs: passes over the training part, measured on validation rows after each."""
    min_steps: int
    """Of a small corpus an epoch makes several passes, so that all epochs together are at least so many steps."""
    learning_rate: float
    """Peak learning rate of pretrained weights."""
    new_weights_factor: float
    """Weights that begin at random (a new head; all of `char`) learn at learning_rate times this."""
    weight_decay: float = 0.01
    """Decoupled weight decay of every matrix (biases and norms have none)."""
    warmup_ratio: float = 0.1
    """Share of the steps in which the learning rate rises."""
    schedule: Literal["linear", "constant"] = "linear"
    """After the warm-up the learning rate falls to zero in a straight line, or stays."""
    label_smoothing: float = 0.1
    """Share of each training target that is spread over all intents."""
    selection: Literal["latest", "best"] = "latest"
    """Keep the latest epoch within one standard error of the best validation weighted F1, or strictly the best."""
    patience: int = 10
    """Stop after this many epochs that `selection` would not keep; 0 never stops early."""
    padding: Literal["longest", "max_length"] = "longest"
    """Pad to the longest utterance of the batch, or always to max_length."""
    batching: Literal["by_length", "random"] = "by_length"
    """Put utterances of like length into one batch, or not."""
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    """auto: bfloat16 where the processor or the GPU computes in it, else float32."""
    special_tokens: bool
    """Whether the encoder's marks of beginning and end are set around an utterance."""
    extend_vocabulary: Literal["auto", "never"] = "auto"
    """auto: add the training part's characters that the encoder can't spell."""
    seed: int = 42
    """Seed of weights, dropout and batch order. The split has its own (`split_seed`)."""
    unknown_intent: str = "Unknown"
    """The name given to what is rejected."""
    energy_weight: float
    """Weight of the energy terms beside the cross-entropy; 0 trains by cross-entropy alone."""
    energy_objective: Literal["margin", "notebook"] = "margin"
    """Squared hinges with margins (Liu et al. 2020), or the source notebook's mean energy and relu(1 - energy)."""
    gaussian_negatives: bool = True
    """Energy terms: random embeddings are negatives."""
    corpus_negatives: bool = True
    """Energy terms: the training part's out-of-scope utterances are negatives."""
    negative_batch_size: int = 16
    """Negatives of each kind a training step."""
    calibration: Literal["temperature", "none"] = "temperature"
    """Fit a temperature on validation rows and fold it into the head, or leave the softmax as it was trained."""
    threshold_rule: Literal["acceptance", "best_f1", "fixed"] = "acceptance"
    """Energy threshold: accepts target_acceptance, has the best accept/reject F1 on validation rows, or is fixed."""
    target_acceptance: float = 0.95
    """threshold_rule=acceptance: share of in-scope validation rows that are accepted."""
    fixed_threshold: float = -3.0
    """threshold_rule=fixed: utterances are accepted up to this energy."""

    def __post_init__(self) -> None:
        require(
            bool(self.model_name.strip()), "model_name", self.model_name, "an encoder's name, path or hub id"
        )
        require(2 < self.max_length <= 8192, "max_length", self.max_length, "3 to 8192 tokens")
        for name in ("batch_size", "evaluation_batch_size", "negative_batch_size"):
            require(1 <= getattr(self, name) <= 65536, name, getattr(self, name), "1 to 65536 utterances")
        require(1 <= self.epochs <= 10000, "epochs", self.epochs, "1 to 10000")
        require(0 <= self.min_steps <= 10**9, "min_steps", self.min_steps, "0 to 1000000000")
        learns = math.isfinite(self.learning_rate) and 0 < self.learning_rate <= 1
        require(learns, "learning_rate", self.learning_rate, "a number above 0, up to 1")
        multiplies = math.isfinite(self.new_weights_factor) and 0 < self.new_weights_factor <= 1000
        require(multiplies, "new_weights_factor", self.new_weights_factor, "a number above 0, up to 1000")
        for name in ("weight_decay", "warmup_ratio", "label_smoothing"):
            share = getattr(self, name)
            require(0 <= share < 1, name, share, "0 up to, but not including, 1")
        require(0 <= self.patience <= 10000, "patience", self.patience, "0 to 10000 epochs")
        require(0 <= self.seed < 2**32, "seed", self.seed, "0 to 4294967295")
        require(bool(self.unknown_intent.strip()), "unknown_intent", self.unknown_intent, "a name")
        weighs = math.isfinite(self.energy_weight) and 0 <= self.energy_weight <= 100
        require(weighs, "energy_weight", self.energy_weight, "0 to 100")
        is_energy = math.isfinite(self.fixed_threshold)
        require(is_energy, "fixed_threshold", self.fixed_threshold, "a finite number")
        accepts = 0 < self.target_acceptance < 1
        require(
            accepts, "target_acceptance", self.target_acceptance, "a share between 0 and 1, both excluded"
        )

    def passes(self, rows: int) -> int:
        """Passes an epoch makes over so many training rows: 1, or as many as `min_steps` takes."""
        steps_per_epoch = math.ceil(self.min_steps / self.epochs)
        return max(1, math.ceil(((steps_per_epoch - 1) * self.batch_size + 1) / rows))

    @property
    def selects_on_test(self) -> bool:
        """Whether the epoch is chosen on the test part: the source notebook did, nothing else may."""
        return self.recipe == "notebook"


@dataclass(frozen=True, kw_only=True)
class BertHyperparams(Hyperparams):
    """A transformer encoder with a classification head."""

    FAMILY: ClassVar[str] = "bert"
    ENTRY_POINT: ClassVar[str] = "train_bert"
    RECIPES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        # The fine-tune this project began as, to the letter; it chose its epoch on the test part.
        "notebook": {
            "split": "stratified",
            "model_name": "hfl/chinese-bert-wwm-ext",
            "max_length": 128,
            "batch_size": 16,
            "evaluation_batch_size": 32,
            "epochs": 4,
            "min_steps": 0,
            "learning_rate": 2e-5,
            "new_weights_factor": 1.0,
            "weight_decay": 0.01,
            "warmup_ratio": 0.0,
            "label_smoothing": 0.0,
            "selection": "best",
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
    min_steps: int = 400
    learning_rate: float = 5e-5
    new_weights_factor: float = 10.0
    special_tokens: bool = True
    energy_weight: float = 0.0


@dataclass(frozen=True, kw_only=True)
class TextCNNHyperparams(Hyperparams):
    """A small convolutional network over token embeddings."""

    FAMILY: ClassVar[str] = "textcnn"
    ENTRY_POINT: ClassVar[str] = "train_cnn"
    RECIPES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        # The energy-CNN notebook this project began as, its loss and its loop.
        "notebook": {
            "split": "random",
            "model_name": "microsoft/Phi-3-mini-4k-instruct",
            "embeddings": "reduced",
            "train_embeddings": False,
            "batch_size": 24,
            "negative_batch_size": 24,
            "epochs": 50,
            "min_steps": 0,
            "learning_rate": 8e-4,
            "new_weights_factor": 1.0,
            "weight_decay": 0.0,
            "warmup_ratio": 0.0,
            "schedule": "constant",
            "label_smoothing": 0.0,
            "selection": "best",
            "patience": 0,
            "padding": "max_length",
            "batching": "random",
            "precision": "float32",
            "extend_vocabulary": "never",
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

    model_name: str = "char"
    max_length: int = 64
    batch_size: int = 64
    epochs: int = 20
    min_steps: int = 400
    learning_rate: float = 1e-3
    new_weights_factor: float = 1.0
    special_tokens: bool = False
    energy_weight: float = 0.1
    threshold_rule: Literal["acceptance", "best_f1", "fixed"] = "best_f1"
    """Energy threshold: accepts target_acceptance, has the best accept/reject F1 on validation rows, or is fixed."""
    embeddings: Literal["learned", "reduced"] = "learned"
    """Token table: learned from the corpus, or the encoder's own, reduced by PCA (`reduce_embeddings`)."""
    train_embeddings: bool = True
    """Whether training changes the token table."""
    members: int = 4
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
        require(are_widths, "kernel_sizes", self.kernel_sizes, "widths of 1 to 64 tokens, such as 3,4,5")
        require(1 <= self.members <= 100, "members", self.members, "1 to 100")
        require(1 <= self.embedding_size <= 4096, "embedding_size", self.embedding_size, "1 to 4096")
        require(1 <= self.channels <= 4096, "channels", self.channels, "1 to 4096")
        for name in ("embedding_dropout", "dropout"):
            share = getattr(self, name)
            require(0 <= share < 1, name, share, "0 up to, but not including, 1")

    @property
    def kernel_widths(self) -> tuple[int, ...]:
        """`kernel_sizes` as numbers."""
        return tuple(int(width) for width in self.kernel_sizes.split(","))


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Where a run leaves its traces."""

    register: str = REGISTERED_MODEL
    """Registered model that the run adds a version to; empty: none."""
    seeds: int = 1
    """Train so many times, with seed, seed + 1, …, in nested runs; the best on validation rows is registered."""

    def __post_init__(self) -> None:
        require(1 <= self.seeds <= 1000, "seeds", self.seeds, "1 to 1000 trainings")
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


FAMILIES: dict[str, type[Hyperparams]] = {
    hyperparams.FAMILY: hyperparams for hyperparams in (BertHyperparams, TextCNNHyperparams)
}

ENTRY_POINTS: dict[str, tuple[type, ...]] = {
    **{hyperparams.ENTRY_POINT: (DataConfig, hyperparams, RunConfig) for hyperparams in FAMILIES.values()},
    "check_data": (DataConfig,),
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
