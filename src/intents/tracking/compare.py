"""The command: runs named, brought here, compared, and what was found logged to a run of its own."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException

from intents.evaluation.comparison import answering
from intents.evaluation.comparison.answering import Loaded
from intents.evaluation.comparison.paired import ALPHA, Comparison, compare
from intents.models import directory as model_directory
from intents.models.file_names import OUT_OF_FOLD, PREDICTIONS
from intents.parameters.commands import run_name
from intents.parameters.compare import CompareConfig
from intents.report import comparison, comparison_page
from intents.system import signals
from intents.system.console import Say
from intents.tracking import runs, store
from intents.tracking.models import Named, fetch, find_all

PAGE, JSON = "comparison.html", "comparison.json"


@dataclass(frozen=True)
class ComparisonOutcome:
    """Every candidate against the first model named, and the run that says so."""

    run_id: str
    look: str
    comparisons: tuple[Comparison, ...]

    def __str__(self) -> str:
        shown = [comparison.text(found) for found in self.comparisons]
        return "\n\n".join([f"run {self.run_id}\nlook: {self.look}", *shown])


def compare_runs(config: CompareConfig, *, say: Say) -> ComparisonOutcome:
    """Compares each run named after the first with the first, all on the last one's test rows. Raises IntentsError."""
    store.connect()
    models = find_all(config.words, registered=config.name)
    name = run_name("compare", config.runs)
    with signals.stop_the_run(), runs.started_with(vars(config), name=name) as run_id:
        runs.work_starts(run_id)
        with tempfile.TemporaryDirectory() as folder:
            loaded = [load(model, Path(folder) / str(number)) for number, model in enumerate(models)]
            _say_what_is_predicted(loaded, say)
            reference, *candidates = answering.sides(loaded)
        alpha = ALPHA / len(candidates)  # so many at once find a false difference so many times as often
        comparisons = tuple(
            compare(reference, candidate, resamples=config.resamples, seed=config.seed, alpha=alpha)
            for candidate in candidates
        )
        with signals.whole():
            _log(comparisons)
        page = store.place(mlflow.get_run(run_id).info.artifact_uri, PAGE)
        return ComparisonOutcome(run_id, f"{page}, or {store.page(run_id)}", comparisons)


def _say_what_is_predicted(loaded: Sequence[Loaded], say: Say) -> None:
    rows = loaded[-1].predictions
    others = [] if rows is None else [m.name for m in loaded if not answering.answers_own_rows(m, rows)]
    if rows is not None and others:
        say(f"{', '.join(others)}: tested on other rows; predicting the {len(rows):,} of {loaded[-1].name}")


def _log(comparisons: Sequence[Comparison]) -> None:
    """The page and the numbers; metrics of the n-th candidate at step n."""
    for step, found in enumerate(comparisons, start=1):
        metrics = {name: getattr(found, name) for name in ("mcnemar_p", "broken_rows", "fixed_rows")}
        for name, change in found.changes.items():
            metrics |= {f"change_{name}": change.change, f"change_{name}_ci_low": change.low}
            metrics |= {f"change_{name}_ci_high": change.high}
        if found.latency_ratio is not None:
            metrics["latency_ratio"] = found.latency_ratio
        mlflow.log_metrics(metrics, step=step)
    candidates = ", ".join(found.candidate for found in comparisons)
    mlflow.set_tags(
        {
            "mlflow.runName": f"compare {comparisons[0].reference} with {candidates}",
            "verdict": "\n".join(comparison.verdict_line(found) for found in comparisons),
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / PAGE).write_text(comparison_page.page(comparisons), encoding="utf-8")
        content = {"comparisons": [comparison.as_json(found) for found in comparisons]}
        text = json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False)
        (Path(folder) / JSON).write_text(text + "\n", encoding="utf-8")
        mlflow.log_artifacts(folder)


class Bring(Protocol):
    """A way to a run's file: where it lies in `folder` afterwards. Raises OSError or MlflowException without it."""

    def __call__(self, run_id: str, file: str, *, folder: Path) -> Path: ...


def bring_from_run(run_id: str, file: str, *, folder: Path) -> Path:
    """As MLflow downloads it, however long the store takes."""
    return Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=file, dst_path=str(folder)))


def load(named: Named, folder: Path) -> Loaded:
    """The named model and its predictions, downloaded into the folder. Raises TrackingError, or ArtifactError."""
    folder.mkdir(exist_ok=True)
    return loaded(named.name, fetch(named, folder), run_id=named.run_id, folder=folder)


def loaded(name: str, directory: Path, *, run_id: str, folder: Path, bring: Bring = bring_from_run) -> Loaded:
    """The model, whose directory is here already; its run's predictions are brought into `folder`."""
    rows, out_of_fold = (
        predictions(run_id, file, folder=folder, bring=bring) for file in (PREDICTIONS, OUT_OF_FOLD)
    )
    return Loaded(name, directory, model_directory.load(directory), rows, out_of_fold)


def predictions(
    run_id: str, file: str, *, folder: Path, bring: Bring = bring_from_run
) -> pd.DataFrame | None:
    """The run's predictions of that name, brought into the folder; None where it has none."""
    try:
        path = bring(run_id, file, folder=folder)
    except (MlflowException, OSError):
        return None
    return pd.read_parquet(path)
