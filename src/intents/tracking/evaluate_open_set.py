"""`evaluate_open_set`: trainings that leave intents out, as MLflow runs."""

import dataclasses

import pandas as pd

from intents.data.corpus import Corpus
from intents.data.leave_out import leave_intents_out
from intents.evaluation import open_set
from intents.parameters.data import DataConfig
from intents.parameters.training.evaluate_open_set import OpenSetConfig
from intents.system.console import Say
from intents.tracking.train import shown
from intents.tracking.training.by_share import Way, by_share, percent, trained
from intents.training.stages import TrainingResult


@dataclasses.dataclass(frozen=True)
class OpenSetOutcome:
    """The open-intent metrics of every training (share, seed), and their run."""

    run_id: str
    table: pd.DataFrame

    def __str__(self) -> str:
        lines = [f"run {self.run_id}"]
        for share, drawn in by_share(self.table, LEAVING_INTENTS_OUT.column):
            metrics = ", ".join(f"{name} {shown(drawn[name])}" for name in drawn)
            lines.append(f"{percent(share)} known, {len(drawn)} draw(s): {metrics}")
        return "\n".join(lines)


def evaluate_open_set(data: DataConfig, study: OpenSetConfig, *, say: Say) -> OpenSetOutcome:
    """Trains on a share of the intents, refuses the others; one nested run a share and seed. Raises IntentsError."""
    with trained(data, study, shares=study.drawn_shares, way=LEAVING_INTENTS_OUT, say=say) as done:
        return OpenSetOutcome(done.run_id, done.table)


def _measure(_: Corpus, result: TrainingResult) -> dict[str, float]:
    metrics = open_set.open_intent_metrics(result.test.predictions, intents=result.intents)
    return metrics | {name: result.test.report.metrics[name] for name in ("auroc", "fpr95")}


LEAVING_INTENTS_OUT = Way(
    command="evaluate_open_set",
    column="known_share",
    words="known",
    suffix="known",
    table="open_set.csv",
    draw=lambda corpus, draw: leave_intents_out(corpus, in_scope_share=draw.share, seed=draw.seed),
    measure=_measure,
)
