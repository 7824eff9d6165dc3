"""`learning_curve`: trainings on shares of the rows, as MLflow runs, and what more rows would bring."""

import dataclasses
import tempfile
from pathlib import Path

import mlflow
import pandas as pd

from intents.data.corpus import Corpus
from intents.data.leave_out import leave_rows_out
from intents.data.parts import TEST, TRAIN, VALIDATION
from intents.evaluation import baseline
from intents.evaluation.intervals import mean_interval
from intents.evaluation.names import METRICS
from intents.parameters.data import DataConfig
from intents.parameters.training.learning_curve import LearningCurveConfig
from intents.report.pictures.curves import plot_learning_curve
from intents.system import signals
from intents.system.console import Say
from intents.tracking.train import shown
from intents.tracking.training.by_share import Trained, Way, by_share, percent, trained
from intents.training.stages import TrainingResult

PICTURE = "learning_curve.png"
MEASURED = ("accuracy", "f1_weighted", "f1_macro", "ece", "auroc", "fpr95")
SAID = ("accuracy", "f1_weighted", "auroc")
DOUBLING = (1.8, 2.2)
"""Times as many rows, at least and at most, that are called twice as many."""


@dataclasses.dataclass(frozen=True)
class LearningCurveOutcome:
    """The rows and the metrics of every training (share, seed), and their run."""

    run_id: str
    table: pd.DataFrame

    def __str__(self) -> str:
        lines = [_line(share, drawn) for share, drawn in by_share(self.table, LEAVING_ROWS_OUT.column)]
        return "\n".join([f"run {self.run_id}", *lines, what_rows_brought(self.table)])


def learning_curve(data: DataConfig, study: LearningCurveConfig, *, say: Say) -> LearningCurveOutcome:
    """Trains on shares of the rows, tests on all test rows; one nested run a share and seed. Raises IntentsError."""
    with trained(data, study, shares=study.drawn_shares, way=LEAVING_ROWS_OUT, say=say) as done:
        _log_picture(done)
        return LearningCurveOutcome(done.run_id, done.table)


def what_rows_brought(table: pd.DataFrame) -> str:
    """What the step between the two largest shares did to the accuracy, with its interval over the seeds.

    The shares are compared seed by seed: what a seed's smaller and larger draw have in common cancels out.
    """
    shares = sorted(table["share"].unique())
    if len(shares) == 1:
        return "one share can't tell what more rows bring: pass two or more, such as shares=0.5,1"
    before, after = (table[table["share"] == share].set_index("seed") for share in shares[-2:])
    points_S = 100 * (after["accuracy"] - before["accuracy"]).to_numpy()
    mean, step = points_S.mean(), f"{_step(before, after)} {METRICS['accuracy'].words}"
    if len(points_S) == 1:
        return f"{step} changed by {mean:+.1f} points; one seed can't tell whether more rows help: pass seeds=3 or more"
    low, high = (round(end, 1) + 0.0 for end in mean_interval(points_S))
    if low <= 0 <= high:  # as it is written: what is above 0 by less than that is no certainty
        doubt = f"these {len(points_S)} seeds can't tell whether more rows help"
        remedy = "pass more seeds, or shares further apart"
        return f"{step} changed by {mean:+.1f} points [{low:.1f}, {high:.1f}]; {doubt}: {remedy}"
    if high < 0:
        remedy = "the rows that were added did harm: check_data names the doubtful ones"
        return f"{step} fell by {-mean:.1f} points [{-high:.1f}, {-low:.1f}]; {remedy}"
    times = after["train_rows"].mean() / before["train_rows"].mean()
    next_one = (
        "the next doubling" if DOUBLING[0] <= times <= DOUBLING[1] else f"{times:.3g} times as many again"
    )
    return f"{step} rose by {mean:.1f} points [{low:.1f}, {high:.1f}]; expect less from {next_one}"


def _step(before: pd.DataFrame, after: pd.DataFrame) -> str:
    """From how many rows to how many: an intent, or in all where the median is the same."""
    smaller, larger = _rows_per_intent(before), _rows_per_intent(after)
    if smaller != larger:
        return f"from {smaller} to {larger} rows an intent"
    return f"from {before['train_rows'].mean():,.0f} to {after['train_rows'].mean():,.0f} training rows"


def _rows_per_intent(drawn: pd.DataFrame) -> str:
    return f"{round(drawn['rows_per_intent'].mean(), 1):g}"


def _line(share: float, drawn: pd.DataFrame) -> str:
    metrics = [f"{METRICS[name].in_full} {shown(drawn[name])}" for name in SAID if name in drawn]
    of_baseline = f"{METRICS['accuracy'].words} of the linear baseline {shown(drawn['baseline_accuracy'])}"
    rows = f"{_rows_per_intent(drawn)} an intent, {len(drawn)} seed(s)"
    return f"{percent(share)} of the rows, {rows}: {', '.join([*metrics, of_baseline])}"


def _count(corpus: Corpus) -> dict[str, float]:
    rows = {f"{part}_rows": len(corpus.part(part)) for part in (TRAIN, VALIDATION)}
    return rows | {"rows_per_intent": float(corpus.part(TRAIN)["label"].value_counts().median())}


def _measure(corpus: Corpus, result: TrainingResult) -> dict[str, float]:
    metrics = result.test.report.metrics
    return {name: metrics[name] for name in MEASURED if name in metrics} | baseline.measure(corpus)


def _log_picture(done: Trained) -> None:
    hyperparams, corpus = done.config.hyperparams, done.corpus
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / PICTURE
        plot_learning_curve(
            picture,
            done.table,
            model=f"{hyperparams.FAMILY} {hyperparams.model_name}",
            corpus=corpus.name,
            scope=f"{len(corpus.intents):,} intents, {len(corpus.part(TEST)):,} test rows",
        )
        with signals.whole():
            mlflow.log_artifact(str(picture))


LEAVING_ROWS_OUT = Way(
    command="learning_curve",
    column="share",
    words="of the rows",
    suffix="percent",
    table="learning_curve.csv",
    draw=lambda corpus, draw: leave_rows_out(corpus, share=draw.share, seed=draw.seed),
    measure=_measure,
    count=_count,
)
