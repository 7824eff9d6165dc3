"""Several trainings under one MLflow run: the same one with several seeds, or with intents left out."""

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.tracking import MlflowClient

from intents.data import corpus as corpora
from intents.data.leave_out import leave_intents_out
from intents.errors import ConfigError
from intents.evaluation import open_set
from intents.parameters.commands import OpenSetConfig, run_name
from intents.parameters.training import DataConfig, TrainConfig, train_config
from intents.system import processes, signals
from intents.tracking import best_trial, runs, store, training_run
from intents.tracking.training_run import RunOutcome, Say
from intents.tracking.versions import register, verdict
from intents.training import stages
from intents.training.callbacks import Callbacks

SELECTED_BY = "best_val_f1_weighted"
OPEN_SET_TABLE = "open_set.csv"


@dataclasses.dataclass(frozen=True)
class OpenSetOutcome:
    """The open-intent metrics of every training (share, seed), and their run."""

    run_id: str
    table: pd.DataFrame

    def __str__(self) -> str:
        lines = [f"run {self.run_id}"]
        for share in self.table["known_share"].unique():
            drawn = self.table[self.table["known_share"] == share].drop(columns=["known_share", "seed"])
            metrics = ", ".join(f"{name} {_shown(drawn[name])}" for name in drawn)
            lines.append(f"{share:.0%} known, {len(drawn)} draws: {metrics}")
        return "\n".join(lines)


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
            outcomes.append(training_run.train(_with_seed(config, seed), say=say, is_nested=True))
        table = _metrics_of(outcome.run_id for outcome in outcomes)
        mlflow.log_metrics(_mean_and_spread(table))
        say(_headline(table))
        best = outcomes[int(table[SELECTED_BY].to_numpy().argmax())].run_id
        version = register(_model_uri(best), config.run.register, run_id=best)
        mlflow.set_tag("best_seed_run", best)
        name, said = config.run.register, verdict(config.run.register, version)
        return training_run.outcome(parent, model_of=best, name=name, version=version, verdict=said)


def evaluate_open_set(data: DataConfig, study: OpenSetConfig, *, say: Say) -> OpenSetOutcome:
    """Trains on a share of the intents, refuses the others; one nested run a share and seed. Raises IntentsError."""
    if processes.count() > 1:
        raise ConfigError(
            f"evaluate_open_set was started in {processes.count()} processes; it trains in one. Leave torchrun out."
        )
    config = train_config(study.family, {**_texts(data), **study.overrides})
    store.connect()
    name = run_name("evaluate_open_set", data.data)
    with signals.stop_the_run(), runs.started_with(vars(data) | vars(study), name=name) as parent:
        corpus = corpora.load(config.data, selects_on_test=config.hyperparams.selects_on_test)
        runs.work_starts(parent)
        say(corpus.opening())
        rows = []
        for share in study.shares:
            for seed in range(study.seeds):
                metrics = _leave_out_once(config, corpus, share=share, seed=seed)
                rows.append({"known_share": share, "seed": seed, **metrics})
                measured = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
                say(f"{share:.0%} known, seed {seed}: {measured}")
        outcome = OpenSetOutcome(parent, pd.DataFrame(rows))
        for share in study.shares:
            drawn = outcome.table[outcome.table["known_share"] == share].drop(columns=["known_share", "seed"])
            summary = _mean_and_spread(drawn)
            mlflow.log_metrics({f"{name}_{share * 100:g}_known": summary[name] for name in summary})
        mlflow.log_text(outcome.table.to_csv(index=False), OPEN_SET_TABLE)
        return outcome


def _leave_out_once(config: TrainConfig, corpus: Any, *, share: float, seed: int) -> dict[str, float]:
    seeded = _with_seed(config, seed)
    name = f"{share:.0%} known, seed {seed}"
    with runs.started(seeded, name=name, is_nested=True) as run_id, tempfile.TemporaryDirectory() as folder:
        runs.work_starts(run_id)
        with signals.whole():
            mlflow.log_params({"known_share": share})
        result = stages.train(
            seeded,
            leave_intents_out(corpus, known_share=share, seed=seed),
            checkpoints=Path(folder),
            callbacks=Callbacks(training_run.log_metrics, training_run.log_metrics),
        )
        metrics = open_set.open_intent_metrics(result.test.predictions, intents=result.intents)
        metrics |= {name: result.test.report.metrics[name] for name in ("auroc", "fpr95")}
        with signals.whole():
            mlflow.log_metrics(metrics)
        return metrics


def _with_seed(config: TrainConfig, seed: int) -> TrainConfig:
    """The same training with another seed, on its own, registering nothing."""
    return dataclasses.replace(
        config,
        hyperparams=dataclasses.replace(config.hyperparams, seed=seed),
        run=dataclasses.replace(config.run, register="", seeds=1),
    )


def _texts(data: DataConfig) -> dict[str, str]:
    return {name: str(value) for name, value in vars(data).items()}


def _metrics_of(run_ids: Any) -> pd.DataFrame:
    client = MlflowClient()
    return pd.DataFrame([client.get_run(run_id).data.metrics for run_id in run_ids])


def _mean_and_spread(table: pd.DataFrame) -> dict[str, float]:
    """Each column's mean, and its sample standard deviation as `…_std`."""
    means = {str(name): float(table[name].mean()) for name in table}
    spreads = {f"{name}_std": float(np.nan_to_num(table[name].std())) for name in table}
    return means | spreads


def _shown(values: "pd.Series[float]") -> str:
    """The mean, and the spread where there is one."""
    spread = f" ± {values.std():.4f}" if len(values) > 1 else ""
    return f"{values.mean():.4f}{spread}"


def _headline(table: pd.DataFrame) -> str:
    names = {
        "test_accuracy": "accuracy",
        "test_f1_weighted": "weighted F1",
        "test_auroc": "out-of-scope AUROC",
    }
    measured = [f"{word} {_shown(table[name])}" for name, word in names.items() if name in table]
    return f"{len(table)} seeds: {', '.join(measured)}"


def _model_uri(run_id: str) -> str:
    (model,) = mlflow.get_run(run_id).outputs.model_outputs
    return f"models:/{model.model_id}"
