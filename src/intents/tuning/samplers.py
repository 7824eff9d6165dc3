"""How a study chooses and prunes its trials."""

import math
import warnings

import optuna
from optuna.exceptions import ExperimentalWarning

SPARED_SHARE = 0.25
"""Of the epochs: no trial is stopped in them."""


def sampler(kind: str, seed: int) -> optuna.samplers.BaseSampler:
    """A sampler of that kind, seeded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        if kind == "gp":
            return optuna.samplers.GPSampler(seed=seed)
        return (
            optuna.samplers.TPESampler(seed=seed)
            if kind == "tpe"
            else optuna.samplers.RandomSampler(seed=seed)
        )


def pruner(kind: str, *, epochs: int) -> optuna.pruners.BasePruner:
    """A pruner of that kind for trainings of so many epochs, of which the first share is spared.

    In the first epochs a trial shows how fast it learns more than how well it will end.
    """
    spared = max(1, math.ceil(SPARED_SHARE * epochs))
    if kind == "halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=spared, reduction_factor=2)
    if kind == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=spared, max_resource=epochs, reduction_factor=2)
    if kind == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=spared)
    return optuna.pruners.NopPruner()
