"""A model in the registry: its version, its card, and the verdict on it."""

import shlex
from collections.abc import Sequence

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from intents.errors import IntentsError
from intents.evaluation.comparison.paired import WORSE
from intents.parameters.promote import PromoteConfig
from intents.parameters.training.train import REGISTERED_MODEL
from intents.tracking import models, replacement, runs, store
from intents.tracking.tags import VERSION_TAGS

CARD = "model_card.md"


def register(model_uri: str, name: str, *, run_id: str) -> str:
    """The new version of the registered model, with its run's card and tags; "" where none is wanted."""
    if not name:
        return ""
    client = MlflowClient()
    run = client.get_run(run_id)
    card = mlflow.artifacts.load_text(f"{run.info.artifact_uri}/{CARD}")
    ours = {runs.REGISTERED_BY_TAG: runs.outermost()}  # at once: what a cut-off run leaves is known by it
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


def verdict(name: str, candidate: str) -> str:
    """Is this version better than the one in production, and may it take its place? As the gate will judge it."""
    if not candidate:
        return "not registered (register= is empty)"
    registered = f"registered {name} version {candidate}"
    production = store.production(name)
    if production is None:
        return f"{registered}; nothing is in Production yet\n{_publish(name, candidate)}"
    config = PromoteConfig(name=name)
    numbers = production.version, candidate
    try:
        pair = [models.find(f"{name}/{number}", registered=name) for number in numbers]
        judgement = replacement.weigh_versions(*pair, registered=name, config=config)
    except IntentsError as error:
        return f"{registered}; not compared with version {production.version}: {error}\n{_publish(name, candidate)}"
    lines = [f"{registered}; against version {production.version}, in Production: {judgement.line}"]
    lines += [f"  - {reason.text}" for reason in judgement.reasons]
    keeps = judgement.verdict == WORSE or judgement.is_another
    lines += ["keep what is published" if keeps else _publish(name, candidate, accept=judgement.accept)]
    return "\n".join(filter(None, [*lines, judgement.hint]))


def _publish(name: str, version: str, *, accept: Sequence[str] = ()) -> str:
    option = "" if name == REGISTERED_MODEL else f" --name {shlex.quote(name)}"
    accepting = f" --accept {','.join(accept)}" if accept else ""
    return f"publish with: python -m registry.promote{option} --version {version}{accepting}"
