"""The commands: what each takes beside training's own parameters, and the whole of it, from which MLproject is made.

An entry point is a tuple of dataclasses whose fields, taken together, are its parameters.
"""

from pathlib import PurePath

from intents.parameters.ask import AskConfig
from intents.parameters.check_data import CheckConfig
from intents.parameters.compare import CompareConfig
from intents.parameters.data import DataConfig
from intents.parameters.declaration import Parameter, parameters, shortened
from intents.parameters.promote import PromoteConfig
from intents.parameters.reduce_embeddings import ReductionConfig
from intents.parameters.score import ScoreConfig
from intents.parameters.training.evaluate_open_set import OpenSetConfig
from intents.parameters.training.families import FAMILIES
from intents.parameters.training.learning_curve import LearningCurveConfig
from intents.parameters.training.train import RunConfig
from intents.parameters.tune import TuneConfig

ENTRY_POINTS: dict[str, tuple[type, ...]] = {
    **{hyperparams.ENTRY_POINT: (DataConfig, hyperparams, RunConfig) for hyperparams in FAMILIES.values()},
    "check_data": (DataConfig, CheckConfig),
    "tune": (DataConfig, TuneConfig),
    "evaluate_open_set": (DataConfig, OpenSetConfig),
    "learning_curve": (DataConfig, LearningCurveConfig),
    "compare": (CompareConfig,),
    "score": (ScoreConfig,),
    "reduce_embeddings": (ReductionConfig,),
    "promote": (PromoteConfig,),
}

COMMANDS: dict[str, tuple[type, ...]] = {**ENTRY_POINTS, "ask": (AskConfig,)}
"""Beside the entry points what asks a person, and so is nothing for `mlflow run`."""

ENTRY_POINT_MEANINGS: dict[str, str] = {
    **{hyperparams.ENTRY_POINT: hyperparams.MEANING for hyperparams in FAMILIES.values()},
    "check_data": "tell what is wrong with a corpus, ranked by what would help most, and write the rows to look at",
    "tune": "search a family's hyperparameters by many trainings, measured on validation rows",
    "evaluate_open_set": "leave intents out, train on the others, and measure how well the left out are refused",
    "learning_curve": "train on shares of the rows, several seeds each, and say what more rows brought",
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


def run_name(entry_point: str, subject: str, *, detail: str = "") -> str:
    """What a run is called: its command, the names of the files (or runs) that it is about, and what else there is."""
    names = [PurePath(part).name or part for part in map(str.strip, subject.split(",")) if part]
    named = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more" if names else ""
    return shortened(" ".join(filter(None, [entry_point, named, detail])), LONGEST_RUN_NAME)
