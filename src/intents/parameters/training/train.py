"""Every parameter, declared once: type, default and meaning.

From these dataclasses come the command-line flags, the MLproject file, the parameters logged to MLflow and the
errors. Those of training are here and in the families' modules, those of each other command in a file of its name.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from intents.parameters.data import DataConfig
from intents.parameters.declaration import build, parameters, require
from intents.parameters.training.families import FAMILIES
from intents.parameters.training.hyperparams import Hyperparams

REGISTERED_MODEL = "intent_predictor"
BEST = "best:"
BUNDLED_BLACKLIST = "assets/blacklist.txt"


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
        require(is_id, "the id of a run, as it was printed, or nothing", resume=self.resume)
        is_best = not self.params or (self.params.startswith(BEST) and self.params != BEST)
        require(is_best, "best:<study>, or nothing", params=self.params)
        is_one = not self.resume or self.seeds == 1
        require(is_one, "1 with resume: go on with the nested run that was cut off", seeds=self.seeds)
        require(1 <= self.seeds <= 1000, "1 to 1000 trainings", seeds=self.seeds)
        require(self.folds == 0 or 2 <= self.folds <= 100, "2 to 100 folds, or 0 for none", folds=self.folds)
        is_name = self.register == self.register.strip() and not set(self.register) & set("/:")
        require(is_name, "a model's name without / or :, or nothing", register=self.register)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run, whole."""

    data: DataConfig
    hyperparams: Hyperparams
    run: RunConfig

    def __post_init__(self) -> None:
        has_rows = not (self.hyperparams.cross_fits and self.hyperparams.selects_on_test)
        expected = "held_out with a recipe that chooses its epoch on test rows"
        require(has_rows, expected, validation=self.hyperparams.validation)
        is_honest = not (self.run.folds and self.hyperparams.selects_on_test)
        require(is_honest, "0 with a recipe that chooses its epoch on test rows", folds=self.run.folds)
        if not self.run.resume:  # else the run to go on from says which encoder it is
            self.hyperparams.check_encoder()

    def as_parameters(self) -> dict[str, Any]:
        """Every parameter by name, as it takes effect (what is logged)."""
        return {**vars(self.data), **vars(self.hyperparams), **vars(self.run)}


def train_config(family: str, texts: Mapping[str, str]) -> TrainConfig:
    """The configuration of one training run, the recipe applied. Raises ConfigError."""
    hyperparams = build(FAMILIES[family], texts)
    recipe = hyperparams.RECIPES.get(hyperparams.recipe, {})
    return TrainConfig(
        data=_where_not_typed(build(DataConfig, texts), recipe, texts=texts),
        hyperparams=_where_not_typed(hyperparams, recipe, texts=texts),
        run=build(RunConfig, texts),
    )


def _where_not_typed(declared: Any, recipe: Mapping[str, Any], *, texts: Mapping[str, str]) -> Any:
    """`declared` with the recipe's values, but for what a user typed (the default counts as not typed)."""
    typed = {
        parameter.name
        for parameter in parameters(type(declared))
        if parameter.name in texts and parameter.parse(texts[parameter.name]) != parameter.default
    }
    changes = {name: value for name, value in recipe.items() if name in vars(declared) and name not in typed}
    return dataclasses.replace(declared, **changes)


def where_default(declared: Any, values: Mapping[str, Any]) -> Any:
    """`declared` with these values for its own fields, wherever those have their default value."""
    defaults = defaults_beside(declared)
    changes = {
        name: values[name]
        for name, value in vars(declared).items()
        if name in values and value == defaults[name]
    }
    return dataclasses.replace(declared, **changes)


def defaults_beside(declared: Any) -> dict[str, Any]:
    """What every field would be if nothing but the encoder had been named."""
    named = {name: value for name, value in vars(declared).items() if name == "model_name"}
    return {**vars(type(declared)(**named))} | {name: type(declared)().model_name for name in named}
