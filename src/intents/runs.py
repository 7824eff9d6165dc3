"""The life of an MLflow run: started with its parameters, ended as what became of it."""

import contextlib
import shlex
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from intents import interrupts, liveness, parameters, stores
from intents.config import TrainConfig

FAILURE_TAG = "failure"


@contextlib.contextmanager
def started_with(parameters: Mapping[str, Any]) -> Iterator[str]:
    """A run with these parameters logged, where they are not yet, ended as what became of it."""
    end_the_dead()
    with _ended_as_it_went(is_nested=False) as run_id:
        _log_missing(run_id, parameters)
        yield run_id


@contextlib.contextmanager
def started(config: TrainConfig, *, is_nested: bool = False) -> Iterator[str]:
    """A training's run with its parameters and tags logged, ended as what became of it."""
    end_the_dead()
    with _ended_as_it_went(is_nested=is_nested) as run_id, contextlib.ExitStack() as stack:
        if _disagreeing(run_id, config):
            # `mlflow run` logs the declared defaults before this code starts, and a logged parameter can't be
            # changed: where the recipe changed some, a run of its own, nested, says what was really trained.
            run_id = stack.enter_context(_ended_as_it_went(is_nested=True))
        _log_missing(run_id, config.as_parameters())
        with interrupts.whole():
            mlflow.set_tags(_tags_of(config))
        yield run_id


@contextlib.contextmanager
def of_trial(config: TrainConfig, *, parent: str, name: str, tags: Mapping[str, Any]) -> Iterator[str]:
    """The run of one of a study's trainings, a child of another process's run, ended as what became of it."""
    with _ended_as_it_went(is_nested=False, parent=parent, name=name, tags=tags) as run_id:
        with interrupts.whole():
            mlflow.log_params(config.as_parameters())
            mlflow.set_tags(_tags_of(config))
        yield run_id


def _tags_of(config: TrainConfig) -> dict[str, str]:
    hyperparams = config.hyperparams
    return {
        "family": hyperparams.FAMILY,
        "encoder": hyperparams.model_name,
        "recipe": hyperparams.recipe,
        "selected_on": "test" if hyperparams.selects_on_test else "validation",
    }


def _log_missing(run_id: str, parameters: Mapping[str, Any]) -> None:
    logged = MlflowClient().get_run(run_id).data.params
    with interrupts.whole():
        mlflow.log_params({name: value for name, value in parameters.items() if name not in logged})


def end_the_dead() -> None:
    """Ends as KILLED what still counts as running though its process is proven dead, as after SIGKILL."""
    client = MlflowClient()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    for run in client.search_runs(experiments, "attributes.status = 'RUNNING'"):
        if liveness.is_proven_dead(run.data.tags):
            reason = f"process {run.data.tags[liveness.PID_TAG]} died without a word"
            with interrupts.whole():
                client.set_tag(run.info.run_id, FAILURE_TAG, reason)
                client.set_terminated(run.info.run_id, "KILLED")


@contextlib.contextmanager
def _ended_as_it_went(
    *, is_nested: bool, parent: str = "", name: str = "", tags: Mapping[str, Any] = MappingProxyType({})
) -> Iterator[str]:
    before = mlflow.active_run()
    try:
        with interrupts.whole():
            run = mlflow.start_run(
                nested=is_nested,
                parent_run_id=parent or None,
                run_name=name or None,
                tags=liveness.tags() | {tag: str(value) for tag, value in tags.items()},
            )
        yield run.info.run_id
    except KeyboardInterrupt:
        _end("KILLED", unless=before)
        raise
    except BaseException as error:
        with contextlib.suppress(MlflowException):
            reason = f"{type(error).__name__}: {error}"
            mlflow.set_tag(FAILURE_TAG, stores.without_password(reason)[:5000])
        _end("FAILED", unless=before)
        raise
    else:
        with interrupts.whole():
            mlflow.end_run("FINISHED")


def _end(status: str, *, unless: Any) -> None:
    """Ends the run that has begun since `unless` was the active one.

    Where the store is gone, the error that ended the run is the one to show.
    """
    active = mlflow.active_run()
    if active is None or (unless is not None and active.info.run_id == unless.info.run_id):
        return
    with interrupts.whole(), contextlib.suppress(MlflowException):
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
        if name in declared and declared[name].parse(unquoted(text)) != effective[name]
    ]


def unquoted(text: str) -> str:
    """What `mlflow run` logged, without the shell's quotes that it logs too; any other text as it is."""
    with contextlib.suppress(ValueError):
        words = shlex.split(text)
        if len(words) == 1 and shlex.quote(words[0]) == text:
            return words[0]
    return text
