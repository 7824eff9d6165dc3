"""The life of an MLflow run: started with its parameters, ended as what became of it."""

import contextlib
import shlex
import threading
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from intents.errors import TrackingError
from intents.parameters import declaration as parameters
from intents.parameters.commands import run_name
from intents.parameters.declaration import AUTO, shortened
from intents.parameters.training.train import TrainConfig
from intents.system import liveness, signals
from intents.system.redaction import without_secrets
from intents.tracking import store
from intents.tracking.tags import FAILURE_TAG, RESUMES_TAG, SELECTED_ON_TAG

REGISTERED_BY_TAG = "registered_by"
"""Of a model version, and of a registered model: the run whose command made it."""
STAGE_TAG = "stage"
NOT_STARTED, STARTED, DONE = "not started", "started", "done"
"""How far a run's work came. What never started has no result, and only its reason is worth reading."""
AUTO_PREFIX = "auto/"
"""Before the name of a parameter that was logged as `auto`: what that came to."""
LONGEST_PARAMETER, LONGEST_FAILURE = 5000, 5000
"""Characters. MLflow cuts a parameter at 6,000 without a word."""
PATIENCE_SECONDS = 40
"""For the last word on a run whose command has ended already."""
PARENT_TAG, ENTRY_POINT_TAG = "mlflow.parentRunId", "mlflow.project.entryPoint"


@contextlib.contextmanager
def started_with(parameters: Mapping[str, Any], *, name: str) -> Iterator[str]:
    """A run with these parameters logged, where they are not yet, ended as what became of it."""
    end_the_dead()
    with _ended_as_it_went(is_nested=False, name=name) as run_id:
        _log_missing(run_id, parameters)
        yield run_id


@contextlib.contextmanager
def started(config: TrainConfig, *, name: str, is_nested: bool = False) -> Iterator[str]:
    """A training's run with its parameters and tags logged, ended as what became of it."""
    end_the_dead()
    with _ended_as_it_went(is_nested=is_nested, name=name) as run_id, contextlib.ExitStack() as stack:
        if _disagreeing(run_id, config):
            # `mlflow run` logs the declared defaults before this code starts, and a logged parameter can't be
            # changed: where the recipe or a resumed run has others, a run of its own, nested, says what was trained.
            if resumed := config.run.resume:
                with signals.whole():
                    MlflowClient().update_run(run_id, name=f"{name} (resumes {resumed}: see the nested run)")
                    mlflow.set_tag(RESUMES_TAG, resumed)
            run_id = stack.enter_context(_ended_as_it_went(is_nested=True, name=name))
        _log_training(run_id, config)
        yield run_id


@contextlib.contextmanager
def of_trial(config: TrainConfig, *, parent: str, name: str, tags: Mapping[str, Any]) -> Iterator[str]:
    """The run of one of a study's trainings, a child of another process's run, ended as what became of it."""
    with _ended_as_it_went(is_nested=False, parent=parent, name=name, tags=tags) as run_id:
        _log_training(run_id, config)
        work_starts(run_id)
        yield run_id


def name_of(config: TrainConfig, *, is_nested: bool = False) -> str:
    """What a training's run is called."""
    seeds = f"{config.run.seeds} seeds" if config.run.seeds > 1 else ""
    detail = f"seed {config.hyperparams.seed}" if is_nested else seeds
    return run_name(config.hyperparams.ENTRY_POINT, config.data.data, detail=detail)


def work_starts(run_id: str) -> None:
    """Marks the run, and those that it is nested in, as one of which something may come."""
    client = MlflowClient()
    while run_id:
        with signals.whole():
            client.set_tag(run_id, STAGE_TAG, STARTED)
        run_id = client.get_run(run_id).data.tags.get(PARENT_TAG, "")


def is_of_mlflow_run(run_id: str) -> bool:
    """Whether the command was `mlflow run`, which began this run or the one that it is nested in."""
    tags = MlflowClient().get_run(run_id).data.tags
    return ENTRY_POINT_TAG in tags or (PARENT_TAG in tags and is_of_mlflow_run(tags[PARENT_TAG]))


def account_for(run_id: str, *, name: str, failure: str, stage: str) -> None:
    """Says of a run that `mlflow run` began what it is and what became of it, where nothing else has.

    A store that can't be reached is not waited for: the command has ended already.
    """

    def account() -> None:
        with contextlib.suppress(Exception):
            store.connect()
            client = MlflowClient()
            tags = client.get_run(run_id).data.tags
            if STAGE_TAG not in tags:
                client.update_run(run_id, name=name)
                client.set_tag(run_id, STAGE_TAG, stage)
            if failure and FAILURE_TAG not in tags:
                client.set_tag(run_id, FAILURE_TAG, without_secrets(failure)[:LONGEST_FAILURE])

    writing = threading.Thread(target=account, daemon=True)
    writing.start()
    writing.join(PATIENCE_SECONDS)


def _log_training(run_id: str, config: TrainConfig) -> None:
    """Logs a training's parameters, where they are not yet, and tags the active run with what it is."""
    _log_missing(run_id, config.as_parameters())
    hyperparams = config.hyperparams
    tags = {
        "family": hyperparams.FAMILY,
        "encoder": hyperparams.model_name,
        "recipe": hyperparams.recipe,
        SELECTED_ON_TAG: "test" if hyperparams.selects_on_test else "validation",
    }
    with signals.whole():
        mlflow.set_tags(tags)


def _log_missing(run_id: str, parameters: Mapping[str, Any]) -> None:
    logged = MlflowClient().get_run(run_id).data.params
    missing = {name: as_logged(value) for name, value in parameters.items() if name not in logged}
    # What is logged can't be changed: beside an `auto` that `mlflow run` logged stands what it came to.
    decided = {
        AUTO_PREFIX + name: as_logged(value)
        for name, value in parameters.items()
        if logged.get(name) == AUTO != value
    }
    with signals.whole():
        mlflow.log_params(missing | decided)


def as_logged(value: Any) -> str:
    """A parameter's value as text, without its secrets, and unmistakable where it is too long for MLflow."""
    return shortened(without_secrets(str(value)), LONGEST_PARAMETER)


def end_the_dead() -> None:
    """Ends as KILLED what still counts as running though its process is proven dead, as after SIGKILL."""
    client = MlflowClient()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    for run in client.search_runs(experiments, "attributes.status = 'RUNNING'"):
        if liveness.is_proven_dead(run.data.tags):
            reason = f"process {run.data.tags[liveness.PID_TAG]} died without a word"
            with signals.whole(), contextlib.suppress(MlflowException):
                _withdraw(run)
            with signals.whole(), contextlib.suppress(MlflowException):
                client.set_tag(run.info.run_id, FAILURE_TAG, reason)
                client.set_terminated(run.info.run_id, "KILLED")


def _withdraw(run: Any) -> None:
    """Takes back what a run that did not finish has registered, unless somebody has given it an alias since."""
    client, its_own = MlflowClient(), f"tags.`{REGISTERED_BY_TAG}` = '{run.info.run_id}'"
    for found in client.search_model_versions(its_own):
        if not client.get_model_version(found.name, found.version).aliases:
            client.delete_model_version(found.name, found.version)
    for model in client.search_registered_models(its_own):
        if not client.search_model_versions(f"name = '{model.name}'"):
            client.delete_registered_model(model.name)


def outermost() -> str:
    """The id of the run under way that the others are nested in."""
    run_id = parent = str(mlflow.active_run().info.run_id)
    while parent:
        run_id, parent = parent, MlflowClient().get_run(parent).data.tags.get(PARENT_TAG, "")
    return run_id


@contextlib.contextmanager
def _ended_as_it_went(
    *, is_nested: bool, parent: str = "", name: str = "", tags: Mapping[str, Any] = MappingProxyType({})
) -> Iterator[str]:
    before, run, is_finished = mlflow.active_run(), None, False
    try:
        with signals.whole():
            texts = {STAGE_TAG: NOT_STARTED} | {tag: str(value) for tag, value in tags.items()}
            texts |= liveness.tags()
            run = _begun(nested=is_nested, parent_run_id=parent or None, run_name=name or None, tags=texts)
        yield run.info.run_id
        with signals.whole():
            mlflow.set_tag(STAGE_TAG, DONE)
            mlflow.end_run("FINISHED")
            is_finished = True
    except BaseException as error:
        if not is_finished:
            active = mlflow.active_run()  # where it is another than before, this is the one that was begun
            is_older = active and before and active.info.run_id == before.info.run_id
            _end(run or (None if is_older else active), error)
        raise


def _begun(**arguments: Any) -> Any:
    try:
        return mlflow.start_run(**arguments)
    except store.UNUSABLE as error:
        remedy = "Check that the store can be written, and MLFLOW_TRACKING_URI."
        if "'active' state" in str(error):  # the experiment was deleted
            remedy = (
                "Bring it back with mlflow experiments restore --experiment-id <its number>, or name another: "
                "MLFLOW_EXPERIMENT_NAME=<name>."
            )
        raise TrackingError(f"the tracking store takes no run: {store.said_by(error)} {remedy}") from error


def _end(run: Any | None, error: BaseException) -> None:
    """Ends the run as KILLED or, with the reason in its tag, as FAILED; nothing that it registered stays.

    Where the store is gone, the error that ended the run is the one to show.
    """
    if run is None:
        return
    status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
    with signals.whole():
        with contextlib.suppress(MlflowException):
            _withdraw(run)
        with contextlib.suppress(MlflowException):
            if status == "FAILED":
                reason = without_secrets(f"{type(error).__name__}: {error}")
                MlflowClient().set_tag(run.info.run_id, FAILURE_TAG, reason[:LONGEST_FAILURE])
        with contextlib.suppress(MlflowException):
            if mlflow.active_run():
                mlflow.end_run(status)
            else:  # MLflow forgets the run before it ends it
                MlflowClient().set_terminated(run.info.run_id, status)


def _disagreeing(run_id: str, config: TrainConfig) -> list[str]:
    """The parameters already on the run whose logged text does not mean the value that takes effect."""
    effective = config.as_parameters()
    declared = {
        parameter.name: parameter
        for declaration in (config.data, config.hyperparams, config.run)
        for parameter in parameters.parameters(type(declaration))
    }
    logged = MlflowClient().get_run(run_id).data.params
    return [
        name
        for name, text in logged.items()
        if name in declared and declared[name].parse(unquoted(text)) not in (effective[name], AUTO)
    ]


def unquoted(text: str) -> str:
    """What `mlflow run` logged, without the shell's quotes that it logs too; any other text as it is."""
    with contextlib.suppress(ValueError):
        words = shlex.split(text)
        if len(words) == 1 and shlex.quote(words[0]) == text:
            return words[0]
    return text
