"""`evaluate_open_set`: trainings that leave intents out, as MLflow runs."""

import dataclasses
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

from intents.data import corpus as corpora
from intents.data.leave_out import leave_intents_out
from intents.errors import ConfigError
from intents.evaluation import open_set
from intents.parameters.commands import run_name
from intents.parameters.data import DataConfig
from intents.parameters.declaration import as_texts
from intents.parameters.training.evaluate_open_set import OpenSetConfig
from intents.parameters.training.train import TrainConfig, train_config
from intents.system import processes, signals
from intents.system.console import Say
from intents.tracking import runs, store
from intents.tracking.train import mean_and_spread, shown, with_seed
from intents.tracking.training import training_run
from intents.training import stages
from intents.training.callbacks import Callbacks

OPEN_SET_TABLE = "open_set.csv"


@dataclasses.dataclass(frozen=True)
class OpenSetOutcome:
    """The open-intent metrics of every training (share, seed), and their run."""

    run_id: str
    table: pd.DataFrame

    def __str__(self) -> str:
        lines = [f"run {self.run_id}"]
        for share, drawn in self.by_share():
            metrics = ", ".join(f"{name} {shown(drawn[name])}" for name in drawn)
            lines.append(f"{share:.0%} known, {len(drawn)} draw(s): {metrics}")
        return "\n".join(lines)

    def by_share(self) -> Iterable[tuple[float, pd.DataFrame]]:
        """Each share with the metrics of its draws."""
        metrics = self.table.drop(columns=["known_share", "seed"])
        return metrics.groupby(self.table["known_share"], sort=False)


def evaluate_open_set(data: DataConfig, study: OpenSetConfig, *, say: Say) -> OpenSetOutcome:
    """Trains on a share of the intents, refuses the others; one nested run a share and seed. Raises IntentsError."""
    if processes.count() > 1:
        raise ConfigError(
            f"evaluate_open_set was started in {processes.count()} processes; it trains in one. Leave torchrun out."
        )
    config = train_config(study.family, {**as_texts(data), **study.overrides})
    store.connect()
    name = run_name("evaluate_open_set", data.data)
    with signals.stop_the_run(), runs.started_with(vars(data) | vars(study), name=name) as parent:
        corpus = corpora.load(config.data, selects_on_test=config.hyperparams.selects_on_test)
        runs.work_starts(parent)
        say(corpus.opening())
        rows = []
        for share in study.drawn_shares:
            for seed in range(study.seeds):
                metrics = _leave_out_once(config, corpus, share=share, seed=seed)
                rows.append({"known_share": share, "seed": seed, **metrics})
                measured = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
                say(f"{share:.0%} known, seed {seed}: {measured}")
        outcome = OpenSetOutcome(parent, pd.DataFrame(rows))
        for share, drawn in outcome.by_share():
            summary = mean_and_spread(drawn)
            mlflow.log_metrics({f"{name}_{share * 100:g}_known": summary[name] for name in summary})
        mlflow.log_text(outcome.table.to_csv(index=False), OPEN_SET_TABLE)
        return outcome


def _leave_out_once(config: TrainConfig, corpus: Any, *, share: float, seed: int) -> dict[str, float]:
    seeded = with_seed(config, seed)
    name = f"{share:.0%} known, seed {seed}"
    with runs.started(seeded, name=name, is_nested=True) as run_id, tempfile.TemporaryDirectory() as folder:
        runs.work_starts(run_id)
        with signals.whole():
            mlflow.log_params({"known_share": share})
        known = leave_intents_out(corpus, in_scope_share=share, seed=seed)
        callbacks = Callbacks(training_run.log_metrics, training_run.log_metrics)
        result = stages.train(seeded, known, checkpoints=Path(folder), callbacks=callbacks)
        metrics = open_set.open_intent_metrics(result.test.predictions, intents=result.intents)
        metrics |= {name: result.test.report.metrics[name] for name in ("auroc", "fpr95")}
        with signals.whole():
            mlflow.log_metrics(metrics)
        return metrics
