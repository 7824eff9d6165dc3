"""A process that trains trials, one after another, until the study has enough of them."""

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import optuna
from optuna.exceptions import UpdateFinishedTrialError

from intents.data.corpus import Corpus
from intents.errors import IntentsError
from intents.evaluation.names import is_maximised
from intents.parameters.training.space import Between, Range
from intents.parameters.training.train import TrainConfig
from intents.parameters.tune import TuneConfig
from intents.system import liveness, signals
from intents.system.console import quieten
from intents.tracking import runs, store
from intents.tracking.tags import (
    COMPLETE,
    EPOCHS,
    FAILED,
    MAXIMISED_TAG,
    PRUNED,
    SECONDS,
    STATE_TAG,
    STUDY_TAG,
    TRIAL_TAG,
    TUNED_TAG,
    VALUE,
)
from intents.training import stages
from intents.training.callbacks import Callbacks
from intents.training.prepare import Prepared
from intents.tuning import samplers, storage, trials

LONGEST_FAILURE = 500


@dataclass(frozen=True)
class Job:
    """All that a worker needs to know: the study, the data ready to train on, and the run its trials belong to."""

    study: str
    config: TuneConfig
    base: TrainConfig
    space: Mapping[str, Range]
    corpus: Corpus
    prepared: Prepared
    experiment_id: str
    parent_run: str
    deadline: float
    """In seconds since the epoch; infinite without a limit."""


class _SurplusTrialError(Exception):
    """A trial that is not to be trained."""


def work(parent: Connection, number: int) -> None:
    """What the process does, from its start to its end, with the job that its parent sends.

    Ends with 1 for what broke, 2 for what the user can mend.
    """
    _end_with_the_parent()
    try:
        job = parent.recv()
    except (EOFError, OSError):
        return  # the parent is gone
    quieten()
    # No trial keeps an epoch's weights.
    logging.getLogger("transformers.trainer_callback").setLevel(logging.ERROR)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with signals.stop_the_run():
            store.connect()
            mlflow.set_experiment(experiment_id=job.experiment_id)
            _train_trials(job, number)
    except KeyboardInterrupt:
        sys.exit(130)
    except IntentsError as error:
        print(f"worker {number}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def _end_with_the_parent() -> None:
    """A worker whose parent is gone, however it went, stops as it would for a signal."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def _train_trials(job: Job, number: int) -> None:
    kept = storage.opened(job.config.storage, study=job.study, workspace=Path(job.base.data.workspace))
    study = optuna.load_study(
        study_name=job.study,
        storage=kept,
        pruner=samplers.pruner(
            job.config.pruner, epochs=job.base.hyperparams.epochs_over(len(job.prepared.train))
        ),
    )
    # Processes draw differently, and so does one that takes another's place.
    entropy = [job.config.seed, number, len(trials.every(study))]
    seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
    study.sampler = samplers.sampler(job.config.sampler, seed)
    while trials.unclaimed(study, job.config.n_trials) > 0 and time.time() < job.deadline:
        # A signal takes effect in the training, and not between two writes of the study.
        with signals.whole(), contextlib.suppress(UpdateFinishedTrialError):  # taken for dead meanwhile
            study.optimize(lambda trial: _value(trial, job), n_trials=1, catch=(Exception,))


def _value(trial: optuna.Trial, job: Job) -> float:
    """The metric of a training with the values that the study suggests."""
    trial.set_user_attr(trials.OWNER, liveness.tags())
    if trials.is_surplus(trial.study, trial.number, n_trials=job.config.n_trials):
        trial.set_user_attr(trials.CUT_OFF, trials.SURPLUS)
        raise _SurplusTrialError(trials.SURPLUS)
    values = suggested(trial, job.space)
    config = replace(job.base, hyperparams=replace(job.base.hyperparams, **values))
    try:
        name = f"trial {trial.number}"
        tags = {STUDY_TAG: job.study, TRIAL_TAG: trial.number, TUNED_TAG: ",".join(job.space)}
        tags |= {MAXIMISED_TAG: is_maximised(job.config.metric)}
        with signals.heeded(), runs.of_trial(config, parent=job.parent_run, name=name, tags=tags):
            with signals.whole():
                trial.set_user_attr(trials.RUN, mlflow.active_run().info.run_id)
            value = _trained(trial, config, job=job)
    except KeyboardInterrupt:
        trial.set_user_attr(trials.CUT_OFF, trials.INTERRUPTED)
        cut_off = next(known for known in trials.every(trial.study) if known.number == trial.number)
        trials.retry(trial.study, cut_off)
        raise
    except Exception as error:
        trial.set_user_attr(trials.FAILURE, f"{type(error).__name__}: {error}"[:LONGEST_FAILURE])
        raise
    if value is None:
        raise optuna.TrialPruned
    return value


def _trained(trial: optuna.Trial, config: TrainConfig, *, job: Job) -> float | None:
    """The metric of the epoch that is kept; None of a trial that was stopped early."""
    last_epoch = config.hyperparams.epochs_over(len(job.prepared.train))
    report = _Report(trial, metric=job.config.metric, last_epoch=last_epoch)
    began = time.perf_counter()
    try:
        callbacks = Callbacks(report, draws_bar=False)
        made = stages.fitted(config, job.corpus, checkpoints=None, callbacks=callbacks, prepared=job.prepared)
    except optuna.TrialPruned:
        spent = time.perf_counter() - began - report.seconds
        _log_end(PRUNED, {EPOCHS: max(report.values), SECONDS: spent})
        return None
    except Exception:
        _log_end(FAILED, {})
        raise
    value = report.values[made.fit.best_epoch]
    spent = time.perf_counter() - began - report.seconds
    _log_end(COMPLETE, {VALUE: value, EPOCHS: made.fit.epochs_run, SECONDS: spent})
    return value


class _Report:
    """What hears of an epoch: logs it, tells the study, and stops a trial that is not worth going on with.

    `values` is the metric by epoch, `seconds` what all this took.
    """

    def __init__(self, trial: optuna.Trial, *, metric: str, last_epoch: int) -> None:
        self.trial, self.metric, self.last_epoch = trial, metric, last_epoch
        self.values: dict[int, float] = {}
        self.seconds = 0.0

    def __call__(self, epoch: int, metrics: Mapping[str, float]) -> None:
        began = time.perf_counter()
        self.values[epoch] = metrics[self.metric]
        with signals.whole():
            mlflow.log_metrics(dict(metrics), step=epoch)
            self.trial.report(metrics[self.metric], epoch)
            is_hopeless = epoch < self.last_epoch and self.trial.should_prune()
        self.seconds += time.perf_counter() - began
        if is_hopeless:
            raise optuna.TrialPruned(f"after epoch {epoch}")


def _log_end(state: str, metrics: Mapping[str, float]) -> None:
    with signals.whole():
        mlflow.log_metrics(dict(metrics))
        mlflow.set_tag(STATE_TAG, state)


def suggested(trial: optuna.trial.BaseTrial, space: Mapping[str, Range]) -> dict[str, Any]:
    """A value for every hyperparameter of the space."""
    return {
        name: trial.suggest_float(name, choice.low, choice.high, log=choice.is_log)
        if isinstance(choice, Between)
        else trial.suggest_categorical(name, choice.choices)
        for name, choice in space.items()
    }
