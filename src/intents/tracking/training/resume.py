"""Going on after an interruption: the folder a training leaves when it is cut off, and the parameters it had."""

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from intents.data.corpus import Corpus
from intents.errors import ResumeError
from intents.parameters.training.train import RunConfig, TrainConfig, defaults_beside, train_config
from intents.system import lock
from intents.system.console import Say
from intents.tracking import runs
from intents.tracking.tags import FOLDER_TAG, RESUMES_TAG
from intents.training import checkpoints

CHECKPOINTS, LOCK = "checkpoints", "lock"
LITTLE_SPACE = 200 * 2**20
"""Bytes: what is left of a disk that a failure may be due to."""
OWN = ("register", "resume")
"""Parameters that a run that goes on may have of its own; its `register` is the first one's unless it names another."""


def restored(config: TrainConfig) -> TrainConfig:
    """The configuration of the run that `resume` names; `config` as it is where it names none.

    Raises ResumeError when that run can't be gone on from, or when `config` asks for something else.
    """
    resume = config.run.resume
    if not resume:
        return config
    past = _run(resume)
    family = past.data.tags.get("family")
    if family != config.hyperparams.FAMILY:
        raise ResumeError(
            f"resume={resume}: that run trained {family or 'no model'}, this command trains "
            f"{config.hyperparams.FAMILY}. Go on with the command that began it."
        )
    if past.data.params.get("seeds", "1") != "1":
        raise ResumeError(
            f"resume={resume}: that run is the parent of several trainings. Go on with the nested run that was cut off."
        )
    if past.info.status == "FINISHED":
        raise ResumeError(f"resume={resume}: that run finished; there is nothing to go on with. Train anew.")
    theirs = train_config(config.hyperparams.FAMILY, _texts_of(past, config))
    _check_agrees(config, theirs)
    said_otherwise = config.run.register != RunConfig.register
    register = config.run.register if said_otherwise else theirs.run.register
    return dataclasses.replace(theirs, run=dataclasses.replace(theirs.run, register=register, resume=resume))


def _texts_of(past: Any, config: TrainConfig) -> dict[str, str]:
    """What the run was given; of a value too long to be logged whole, what `config` has, where that is the same."""
    ours = config.as_parameters()
    logged = {name: runs.unquoted(text) for name, text in past.data.params.items() if name != "resume"}
    decided = {name for name in logged if runs.AUTO_PREFIX + name in logged}
    logged |= {name: logged[runs.AUTO_PREFIX + name] for name in decided}
    return {
        name: str(ours[name]) if name in ours and runs.as_logged(ours[name]) == text else text
        for name, text in logged.items()
    }


@contextlib.contextmanager
def workspace(config: TrainConfig, run_id: str, *, say: Say) -> Iterator[Path]:
    """A folder for the run's checkpoints and model, its own or the resumed run's.

    Gone when the run is done; when it is cut off, kept as long as there is something to go on with. Raises
    ResumeError, also while another training uses the folder.
    """
    resume, goes_on = config.run.resume, _command(config, run_id)
    name = _run(resume).data.tags.get(FOLDER_TAG, resume) if resume else run_id
    mlflow.set_tags({FOLDER_TAG: name} | ({RESUMES_TAG: resume} if resume else {}))
    folder = Path(config.data.workspace) / "runs" / name
    with _held(folder):
        try:
            if resume and checkpoints.last_complete(folder / CHECKPOINTS) is None:
                raise ResumeError(
                    f"resume={resume}: no complete checkpoint of that run in {folder}. It was cut off before its first "
                    "epoch ended, or somebody has gone on with it to its end, or its workspace is elsewhere "
                    "(-P workspace=<path>). Train anew."
                )
            yield folder
        except BaseException:
            free = shutil.disk_usage(folder).free
            if free < LITTLE_SPACE:
                say(
                    f"{folder}: only {free // 2**20} MB left on this disk. Free some, or name another: workspace=<path>"
                )
            if checkpoints.last_complete(folder / CHECKPOINTS) is None:
                shutil.rmtree(folder, ignore_errors=True)
            else:
                say(f"go on from the last complete epoch with: {goes_on}")
            raise
        shutil.rmtree(folder, ignore_errors=True)


def _command(config: TrainConfig, run_id: str) -> str:
    """What a person types to go on with the run."""
    entry_point = config.hyperparams.ENTRY_POINT
    if runs.is_of_mlflow_run(run_id):
        return f"mlflow run . -e {entry_point} --env-manager local -P resume={run_id}"
    return f"python -m intents.cli {entry_point} --resume {run_id}"


def check_same_rows(config: TrainConfig, corpus: Corpus, *, digest_tag: str) -> None:
    """Raises ResumeError when the corpus is not the one that the resumed run was trained on."""
    if not config.run.resume:
        return
    past = _run(config.run.resume)
    while digest_tag not in past.data.tags and RESUMES_TAG in past.data.tags:
        past = _run(past.data.tags[RESUMES_TAG])  # that one was cut off before it had read its corpus
    before = past.data.tags.get(digest_tag)
    if before != corpus.digest:
        raise ResumeError(
            f"resume={config.run.resume}: {corpus.name} has changed since (digest {corpus.digest}, then {before}): "
            "rows that were trained on could now be measured. Restore its files, or train anew."
        )


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Makes the folder, and keeps other trainings out of it; a process that dies lets go.

    The lock's file goes with the folder, which a run that finds it empty refuses.
    """
    with contextlib.ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            is_alone = held.enter_context(lock.tried(folder / LOCK))
        except OSError as error:
            raise ResumeError(
                f"{folder}: can't be made ({error.strerror}). Name a folder you can write with -P workspace=<path>."
            ) from error
        if not is_alone:
            raise ResumeError(
                f"{folder} is in use: the training to go on from is still running. Stop it, or wait for its end."
            )
        yield


def _run(run_id: str) -> Any:
    try:
        return MlflowClient().get_run(run_id)
    except MlflowException as error:
        raise ResumeError(
            f"resume={run_id}: no such run in this tracking store. Take the id from the run's page, or from the last "
            "line that it printed."
        ) from error


def _check_agrees(ours: TrainConfig, theirs: TrainConfig) -> None:
    """What was asked for beside `resume` must be what the run already does."""
    defaults = {
        name: value
        for declared in (ours.data, ours.hyperparams, ours.run)
        for name, value in defaults_beside(declared).items()
    }
    effective = theirs.as_parameters()
    for name, value in ours.as_parameters().items():
        if name not in OWN and value not in (defaults[name], effective[name]):
            raise ResumeError(
                f"{name}={value!r}: the run to go on from has {name}={effective[name]!r}, and goes on with that. "
                f"Leave {name} out, or train anew without resume."
            )
