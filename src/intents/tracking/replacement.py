"""A candidate beside the model whose place it would take: both answer the same rows, and are judged. Reads MLflow."""

import contextlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from intents.errors import ComparisonError, IntentsError
from intents.evaluation.comparison import answering, paired
from intents.evaluation.comparison.answering import Loaded
from intents.evaluation.comparison.judgement import Described, Judgement, judge
from intents.evaluation.comparison.paired import Comparison
from intents.models import directory as model_directory
from intents.parameters.promote import PromoteConfig
from intents.tracking import compare
from intents.tracking.models import Named


def weigh(
    before: Loaded, after: Loaded, *, described: tuple[Described, Described], config: PromoteConfig
) -> tuple[Judgement, Comparison | None]:
    """May `after` take the place of `before`? And the comparison that says so; None where there could be none."""
    try:
        found = paired.compare(*answering.sides([before, after]))
    except IntentsError as error:
        return judge(*described, found=str(error), pooled=None, config=config), None
    return judge(*described, found=found, pooled=_pooled(before, after), config=config), found


def _pooled(before: Loaded, after: Loaded) -> Comparison | None:
    """The same of all rows that both answered out-of-fold; None where there are none."""
    sides = answering.pooled_sides([before, after])
    with contextlib.suppress(ComparisonError):
        return None if sides is None else paired.compare(*sides)
    return None


def weigh_versions(before: Named, after: Named, *, registered: str, config: PromoteConfig) -> Judgement:
    """May one version of a registered model take another's place? Both are fetched. Raises TrackingError, or
    ArtifactError."""
    with tempfile.TemporaryDirectory() as folder:
        models = [compare.load(each, Path(folder) / str(n)) for n, each in enumerate((before, after))]
        published, candidate = (
            describe(model.name, model.directory, registered=registered, run=run_of(version.run_id))
            for model, version in zip(models, (before, after), strict=True)
        )
        judgement, _ = weigh(*models, described=(published, candidate), config=config)
        return judgement


def describe(name: str, directory: Path, *, registered: str, run: Any | None) -> Described:
    """What is known of the model in a directory, and of its run where there still is one. Raises ArtifactError."""
    tags: Mapping[str, str] = run.data.tags if run else {}
    return Described(
        name=name,
        intents=model_directory.read_intents(directory),
        registered=registered,
        family=tags.get("family", ""),
        corpus=tags.get("dataset", ""),
        seen=model_directory.training_rows(directory),
        needs_import=model_directory.needs_import(directory),
        metrics=run.data.metrics if run else {},
    )


def run_of(run_id: str) -> Any | None:
    """The run, None where the store has none of that id (any more)."""
    try:
        return MlflowClient().get_run(run_id) if run_id else None
    except MlflowException:
        return None
