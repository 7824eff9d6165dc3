"""The life of an MLflow run: started with its parameters, ended as what became of it."""

import contextlib
import shlex
import shutil
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from intents import parameters, stores
from intents.config import TrainConfig
from intents.errors import TrackingError

FAILURE_TAG = "failure"


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def started_with(parameters: Mapping[str, Any]) -> Iterator[str]:
    """A run with these parameters logged, where they are not yet, ended as what became of it."""
    with _ended_as_it_went(mlflow.start_run()) as run_id:
        logged = MlflowClient().get_run(run_id).data.params
        mlflow.log_params({name: value for name, value in parameters.items() if name not in logged})
        yield run_id


@contextlib.contextmanager
def started(config: TrainConfig, *, is_nested: bool = False) -> Iterator[str]:
    """A training's run with its parameters and tags logged, ended as what became of it."""
    run = mlflow.start_run(nested=is_nested)
    with _ended_as_it_went(run) as run_id, contextlib.ExitStack() as stack:
        if _disagreeing(run_id, config):
            # `mlflow run` logs the declared defaults before this code starts, and a logged parameter can't be
            # changed: where the recipe changed some, a run of its own, nested, says what was really trained.
            child = mlflow.start_run(nested=True)
            run_id = stack.enter_context(_ended_as_it_went(child))
        logged = MlflowClient().get_run(run_id).data.params
        values = config.as_parameters()
        mlflow.log_params({name: value for name, value in values.items() if name not in logged})
        hyperparams = config.hyperparams
        mlflow.set_tags(
            {
                "family": hyperparams.FAMILY,
                "encoder": hyperparams.model_name,
                "recipe": hyperparams.recipe,
                "selected_on": "test" if hyperparams.selects_on_test else "validation",
            }
        )
        yield run_id


@contextlib.contextmanager
def _ended_as_it_went(run: Any) -> Iterator[str]:
    try:
        yield run.info.run_id
    except KeyboardInterrupt:
        _end("KILLED")
        raise
    except BaseException as error:
        with contextlib.suppress(MlflowException):
            reason = f"{type(error).__name__}: {error}"
            mlflow.set_tag(FAILURE_TAG, stores.without_password(reason)[:5000])
        _end("FAILED")
        raise
    else:
        mlflow.end_run("FINISHED")


def _end(status: str) -> None:
    """Ends the run, unless the store is gone: then the error that ended it is the one to show."""
    with contextlib.suppress(MlflowException):
        mlflow.end_run(status)


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
        if name in declared and declared[name].parse(_unquoted(text)) != effective[name]
    ]


def _unquoted(text: str) -> str:
    """What `mlflow run` logged, without the shell's quotes that it logs too."""
    words = shlex.split(text)
    return words[0] if len(words) == 1 else text if words else ""


@contextlib.contextmanager
def workspace(config: TrainConfig, run_id: str) -> Iterator[Path]:
    """A folder for the run's checkpoints and model; gone when the run is."""
    folder = Path(config.data.workspace) / "runs" / run_id
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise TrackingError(
            f"{folder}: can't be made ({error.strerror}). Name a folder you can write with -P workspace=<path>."
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
