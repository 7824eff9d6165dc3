"""A model in the registry: its version, its card, and the verdict on it."""

import math

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from intents import runs, stores
from intents.config import REGISTERED_MODEL

TEST_DIGEST_TAG = "test_digest"
CARD = "model_card.md"
VERSION_TAGS = ("family", "encoder", "dataset", "recipe", "corpus_digest")
"""Of a run's tags, those that its version has too."""


def register(model_uri: str, name: str, *, run_id: str) -> str:
    """The new version of the registered model, with its run's card and tags; "" where none is wanted."""
    if not name:
        return ""
    client = MlflowClient()
    run = client.get_run(run_id)
    card = mlflow.artifacts.load_text(f"{run.info.artifact_uri}/{CARD}")
    ours = {
        runs.REGISTERED_BY_TAG: runs.outermost()
    }  # from the first moment: a cut-off run's leavings are known
    try:
        client.create_registered_model(name, ours)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    tags = {tag: run.data.tags[tag] for tag in VERSION_TAGS if tag in run.data.tags}
    model_id = model_uri.removeprefix("models:/")
    version = client.create_model_version(
        name, model_uri, tags=tags | ours, description=card, model_id=model_id
    )
    return str(version.version)


def verdict(name: str, candidate: str, run_id: str) -> str:
    """One line a person can act on: is this version better than the one in production?"""
    if not candidate:
        return "not registered (register= is empty)"
    named = "" if name == REGISTERED_MODEL else f" --name {name}"
    publish = f"publish with: python -m registry.promote{named} --version {candidate}"
    registered = f"registered {name} version {candidate}"
    client = MlflowClient()
    production = stores.production(name)
    if production is None:
        return f"{registered}; nothing is in Production yet; {publish}"
    against = f"{registered}; Production is version {production.version}"
    try:
        ours, theirs = client.get_run(run_id).data, client.get_run(production.run_id).data
    except MlflowException:
        return f"{against}, whose run is gone: not comparable; {publish}"
    if ours.tags.get(TEST_DIGEST_TAG) != theirs.tags.get(TEST_DIGEST_TAG):
        return f"{against}, tested on other rows: not comparable; {publish}"
    change = ours.metrics["test_f1_weighted"] - theirs.metrics["test_f1_weighted"]
    margin = math.hypot(_half_width(ours.metrics), _half_width(theirs.metrics))
    word = "no different" if abs(change) <= margin else "better" if change > 0 else "worse"
    advice = "keep what is published" if word == "worse" else publish
    return f"{against}; {word}: {change * 100:+.1f} ± {margin * 100:.1f} points of weighted F1; {advice}"


def _half_width(metrics: dict[str, float]) -> float:
    return (metrics["test_f1_weighted_ci_high"] - metrics["test_f1_weighted_ci_low"]) / 2
