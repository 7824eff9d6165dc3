"""A training under MLflow: one run, or several with a seed each under a parent run."""

import dataclasses

import mlflow
import pandas as pd
from mlflow.tracking import MlflowClient

from intents.evaluation.names import METRICS
from intents.parameters.training.train import TrainConfig
from intents.system import processes, signals
from intents.system.console import Say
from intents.tracking import best_trial, models, runs, store
from intents.tracking.training import training_run
from intents.tracking.training.training_run import RunOutcome
from intents.tracking.versions import register, verdict

SELECTED_BY = "best_val_f1_weighted"


def train(config: TrainConfig, *, say: Say) -> RunOutcome | None:
    """One training, or one a seed under a parent run that holds their mean and spread. Raises IntentsError.

    Of several processes (torchrun) the main one returns the outcome; the others help it, and return None.
    """
    if not processes.is_main():
        for _ in range(config.run.seeds):
            training_run.train_beside()
        return None
    config = best_trial.applied(config)
    if config.run.seeds == 1:
        return training_run.train(config, say=say)
    store.connect()
    with signals.stop_the_run(), runs.started(config, name=runs.name_of(config)) as parent:
        outcomes = []
        for seed in range(config.hyperparams.seed, config.hyperparams.seed + config.run.seeds):
            say(f"seed {seed}")
            outcomes.append(training_run.train(with_seed(config, seed), say=say, is_nested=True))
        client = MlflowClient()
        table = pd.DataFrame([client.get_run(outcome.run_id).data.metrics for outcome in outcomes])
        mlflow.log_metrics(mean_and_spread(table))
        say(_headline(table))
        best = outcomes[int(table[SELECTED_BY].to_numpy().argmax())].run_id
        logged = models.find(best, registered=config.run.register)
        name = config.run.register
        version = register(f"models:/{logged.model_id}", name, run_id=best)
        mlflow.set_tag("best_seed_run", best)
        said = verdict(name, version)
        return training_run.outcome(parent, model_of=best, name=name, version=version, verdict=said)


def _headline(table: pd.DataFrame) -> str:
    measured = [
        f"{METRICS[name].in_full} {shown(table[f'test_{name}'])}"
        for name in ("accuracy", "f1_weighted", "auroc")
        if f"test_{name}" in table
    ]
    return f"{len(table)} seeds: {', '.join(measured)}"


def with_seed(config: TrainConfig, seed: int) -> TrainConfig:
    """The same training with another seed, on its own, registering nothing."""
    return dataclasses.replace(
        config,
        hyperparams=dataclasses.replace(config.hyperparams, seed=seed),
        run=dataclasses.replace(config.run, register="", seeds=1),
    )


def mean_and_spread(table: pd.DataFrame) -> dict[str, float]:
    """Each column's mean, and its sample standard deviation as `…_std`."""
    spread = table.std().fillna(0.0).add_suffix("_std")
    return {str(name): value for name, value in pd.concat([table.mean(), spread]).items()}


def shown(values: "pd.Series[float]") -> str:
    """The mean, and the spread where there is one."""
    spread = f" ± {values.std():.4f}" if len(values) > 1 else ""
    return f"{values.mean():.4f}{spread}"
