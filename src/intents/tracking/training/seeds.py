"""Several seeds of one training, and how they vary."""

import dataclasses

import pandas as pd

from intents.parameters.training.train import TrainConfig


def with_seed(config: TrainConfig, seed: int) -> TrainConfig:
    """The same training with another seed, on its own, registering nothing."""
    return dataclasses.replace(
        config,
        hyperparams=dataclasses.replace(config.hyperparams, seed=seed),
        run=dataclasses.replace(config.run, register="", seeds=1),
    )


def mean_and_spread(table: pd.DataFrame) -> dict[str, float]:
    """Each column's mean, and its sample standard deviation as `…_std`."""
    found: dict[str, float] = pd.concat([table.mean(), table.std().fillna(0.0).add_suffix("_std")]).to_dict()
    return found


def shown(values: "pd.Series[float]") -> str:
    """The mean, and the spread where there is one."""
    spread = f" ± {values.std():.4f}" if len(values) > 1 else ""
    return f"{values.mean():.4f}{spread}"
