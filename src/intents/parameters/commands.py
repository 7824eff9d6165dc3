"""The commands: what each takes beside training's own parameters, and the whole of it, from which MLproject is made.

An entry point is a tuple of dataclasses whose fields, taken together, are its parameters.
"""

import dataclasses
import math
import re
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal

from intents.parameters.declaration import Parameter, did_you_mean, parameters, require, shortened
from intents.parameters.families import FAMILIES
from intents.parameters.training import REGISTERED_MODEL, DataConfig, RunConfig

PUBLISHED_MODELS_DIR = "assets/models"
UNCLEAR, LOST_INTENTS, OTHER_MODEL = "unclear", "lost_intents", "other_model"
OTHER_CORPUS, OTHER_FAMILY, READER_IMPORTS_INTENTS = "other_corpus", "other_family", "reader_imports_intents"
ACCEPTABLE = (UNCLEAR, LOST_INTENTS, OTHER_MODEL, OTHER_CORPUS, OTHER_FAMILY, READER_IMPORTS_INTENTS)
"""What the gate asks about, and a person may accept; what is worse is not among it."""
SCORED_SUFFIXES = (".jsonl", ".csv", ".parquet")
NOT_FORCED = "none"
STUDY_NAME = r"[\w.-]{1,100}"


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
        require(bool(self.name.strip()), "name", self.name, "a registered model's name")
        require(
            not self.version or self.version.isdecimal(),
            "version",
            self.version,
            "a version number, such as 3",
        )
        takes_version = not self.version or self.action in ("publish", "dry-run")
        require(takes_version, "version", self.version, f"no version with the action {self.action}")
        is_path = not self.target or self.target.strip().strip("./") != ""
        require(is_path, "target", self.target, "a directory's path, or nothing")
        is_folder = bool(self.target) or (self.name not in (".", "..") and "/" not in self.name)
        require(is_folder, "name", self.name, "a registered model's name, or a target beside it")
        are_known = set(self.accepted) <= set(ACCEPTABLE)
        require(are_known, "accept", self.accept, f"some of {', '.join(ACCEPTABLE)}")
        require(0 <= self.wait <= 86400, "wait", self.wait, "0 to 86400 seconds")
        require(bool(self.force.strip()), "force", self.force, f"a reason, or {NOT_FORCED}")
        if self.force == NOT_FORCED:  # a word of its own, as mlflow run passes every parameter
            object.__setattr__(self, "force", "")
        for name in ("min_f1_change", "min_auroc_change", "max_ece_change"):
            change = getattr(self, name)
            require(-1 <= change <= 1, name, change, "a change from -1 to 1")
        require(
            0 < self.max_latency_ratio <= 1000,
            "max_latency_ratio",
            self.max_latency_ratio,
            "above 0, up to 1000",
        )

    @property
    def directory(self) -> Path:
        """The target: each registered model has its own, unless one is given."""
        return Path(self.target or f"{PUBLISHED_MODELS_DIR}/{self.name}")

    @property
    def accepted(self) -> tuple[str, ...]:
        """`accept` one by one."""
        return tuple(word for word in map(str.strip, self.accept.split(",")) if word)


@dataclass(frozen=True, kw_only=True)
class CheckConfig:
    """Which encoder must be able to spell the corpus, and where the rows to look at are written."""

    model_name: str = "char"
    """Encoder whose unknown tokens are counted, before anything is added to its vocabulary."""
    max_length: int = 128
    """Longest utterance, in tokens; longer ones are counted."""
    findings: str = "findings.csv"
    """File of the rows to look at, to be edited and passed as corrections; empty: none."""

    def __post_init__(self) -> None:
        is_csv = not self.findings or self.findings.lower().endswith(".csv")
        require(is_csv, "findings", self.findings, "a file that ends in .csv, or nothing")
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
        _check_overrides(self.family, self.hyperparams)

    @property
    def shares(self) -> tuple[float, ...]:
        """`known_shares` as numbers."""
        return tuple(float(share) for share in self.known_shares.split(","))

    @property
    def overrides(self) -> dict[str, str]:
        """`hyperparams` by name."""
        return _by_name(self.hyperparams)


@dataclass(frozen=True, kw_only=True)
class TuneConfig:
    """A study: which family's hyperparameters are searched, for what, how long, and where its trials are kept."""

    family: Literal["bert", "textcnn"] = "textcnn"
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
        require(1 <= self.n_trials <= 100_000, "n_trials", self.n_trials, "1 to 100000 trials")
        require(0 <= self.timeout <= 10**7, "timeout", self.timeout, "0 to 10000000 seconds")
        require(1 <= self.n_jobs <= 256, "n_jobs", self.n_jobs, "1 to 256 trials at once")
        is_name = not self.study or bool(re.fullmatch(STUDY_NAME, self.study))
        require(is_name, "study", self.study, "at most 100 letters, digits, dots, dashes and underscores")
        require(not self.storage or "://" in self.storage, "storage", self.storage, "a URL, or nothing")
        require(0 <= self.seed < 2**32, "seed", self.seed, "0 to 4294967295")
        _check_overrides(self.family, self.hyperparams)

    @property
    def overrides(self) -> dict[str, str]:
        """`hyperparams` by name."""
        return _by_name(self.hyperparams)

    @property
    def is_maximised(self) -> bool:
        """Whether more of the metric is better."""
        return self.metric != "val_nll"


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
            require(is_of_a_format, name, path, f"a file that ends in {', '.join(SCORED_SUFFIXES)}")
        require(bool(self.column), "column", self.column, "a column's name")
        require(bool(self.model.strip()), "model", self.model, "a model's uri, or its directory")
        require(0 <= self.workers <= 1024, "workers", self.workers, "0 to 1024 processes")

    @property
    def kept(self) -> tuple[str, ...]:
        """`keep` one by one."""
        return tuple(name for name in map(str.strip, self.keep.split(",")) if name)


@dataclass(frozen=True, kw_only=True)
class AskConfig:
    """Which model is asked, and what."""

    model: str = f"models:/{REGISTERED_MODEL}@Production"
    """Registered version (models:/name@alias or models:/name/3), run (runs:/<id>), or a model directory."""
    text: str = ""
    """Utterance; empty: each line of standard input, typed or piped."""

    def __post_init__(self) -> None:
        require(bool(self.model.strip()), "model", self.model, "a model's uri, or its directory")


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """Which runs are compared, and how closely."""

    runs: str = ""
    """Two or more, comma-separated: run ids, versions (7 or name/7), production; the first is the reference."""
    name: str = REGISTERED_MODEL
    """Registered model that production and bare version numbers belong to."""
    resamples: int = 2000
    """Times the test rows are drawn anew to see what chance does."""
    seed: int = 42
    """Seed of these draws."""

    def __post_init__(self) -> None:
        require(bool(self.name.strip()), "name", self.name, "a registered model's name")
        require(200 <= self.resamples <= 100_000, "resamples", self.resamples, "200 to 100000 draws")
        require(0 <= self.seed < 2**32, "seed", self.seed, "0 to 4294967295")
        are_several = len(self.words) >= 2 and len(set(self.words)) == len(self.words)
        require(are_several, "runs", self.runs, "two or more different runs, such as production,7")

    @property
    def words(self) -> tuple[str, ...]:
        """`runs` one by one."""
        return tuple(word for word in map(str.strip, self.runs.split(",")) if word)


def _by_name(pairs: str) -> dict[str, str]:
    """The values of name=value,… by name; a piece without = belongs to the value before it (kernel_sizes=2,3)."""
    values: dict[str, str] = {}
    name = ""
    for piece in filter(None, pairs.split(",")):
        head, equals, value = piece.partition("=")
        if equals:
            name = head.strip()
            values[name] = value.strip()
        else:
            values[name] = f"{values[name]},{piece.strip()}" if name in values else piece
    return values


def _check_overrides(family: str, pairs: str) -> None:
    names = {field.name for field in dataclasses.fields(FAMILIES[family])} - {"seed", "recipe"}
    strange = sorted(set(_by_name(pairs)) - names)
    meant = did_you_mean(strange[0], names) if strange else ""
    require(not strange, "hyperparams", pairs, f"name=value,… of {', '.join(sorted(names))}{meant}")


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


ENTRY_POINTS: dict[str, tuple[type, ...]] = {
    **{hyperparams.ENTRY_POINT: (DataConfig, hyperparams, RunConfig) for hyperparams in FAMILIES.values()},
    "check_data": (DataConfig, CheckConfig),
    "tune": (DataConfig, TuneConfig),
    "evaluate_open_set": (DataConfig, OpenSetConfig),
    "compare": (CompareConfig,),
    "score": (ScoreConfig,),
    "reduce_embeddings": (ReductionConfig,),
    "promote": (PromoteConfig,),
}

COMMANDS: dict[str, tuple[type, ...]] = {**ENTRY_POINTS, "ask": (AskConfig,)}
"""Beside the entry points what asks a person, and so is nothing for `mlflow run`."""

ENTRY_POINT_MEANINGS: dict[str, str] = {
    "train_bert": "fine-tune a transformer encoder, evaluate it, log and register it",
    "train_cnn": "train a TextCNN with energy-based open-set recognition, evaluate it, log and register it",
    "check_data": "tell what is wrong with a corpus, ranked by what would help most, and write the rows to look at",
    "tune": "search a family's hyperparameters by many trainings, measured on validation rows",
    "evaluate_open_set": "leave intents out, train on the others, and measure how well the left out are refused",
    "compare": "tell whether the difference between runs is real: the same test rows, intervals, what broke",
    "score": "answer a file of texts of any size, on all cores, resumable after a kill",
    "ask": "say what a model makes of utterances that are typed in",
    "reduce_embeddings": "reduce an encoder's token table by PCA, for train_cnn with embeddings=reduced",
    "promote": "publish the registered version marked Production to where the chat service reads it",
}


def entry_point_parameters(entry_point: str) -> tuple[Parameter, ...]:
    """The parameters of one command, in order."""
    return tuple(p for declaration in COMMANDS[entry_point] for p in parameters(declaration))


SUBJECTS: dict[str, str] = {
    **{name: "data" for name, declarations in COMMANDS.items() if DataConfig in declarations},
    "compare": "runs",
    "score": "input",
    "reduce_embeddings": "model_name",
    "promote": "name",
}
"""Of each command the parameter that tells one run of it from another."""
LONGEST_RUN_NAME = 200


def run_name(entry_point: str, subject: str, detail: str = "") -> str:
    """What a run is called: its command, the names of the files (or runs) that it is about, and what else there is."""
    names = [PurePath(part).name or part for part in map(str.strip, subject.split(",")) if part]
    named = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more" if names else ""
    return shortened(" ".join(filter(None, [entry_point, named, detail])), LONGEST_RUN_NAME)
