"""A study from its beginning to its end: data made ready once, trials trained, what was found logged and said."""

import math
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import optuna

from intents.data import corpus as corpora
from intents.data.corpus import Corpus
from intents.errors import ConfigError
from intents.evaluation.names import is_maximised
from intents.models.encoders import encoder
from intents.parameters.commands import run_name
from intents.parameters.data import DataConfig
from intents.parameters.declaration import as_texts
from intents.parameters.training.families import FAMILIES
from intents.parameters.training.space import Range
from intents.parameters.training.train import TrainConfig, train_config
from intents.parameters.tune import TuneConfig
from intents.system import processes, signals
from intents.system.console import Say
from intents.tracking import runs, store
from intents.tracking.tags import CORPUS_DIGEST_TAG, STUDY_TAG, TUNED_TAG
from intents.training import prepare
from intents.tuning import crew, page, storage, trials
from intents.tuning.progress import Progress
from intents.tuning.worker import Job


@dataclass(frozen=True)
class TuningOutcome:
    """A study that has as many trials as were asked for, or as time allowed; `best` is None where none succeeded."""

    run_id: str
    study: str
    best: optuna.trial.FrozenTrial | None
    advice: str

    def __str__(self) -> str:
        return f"run {self.run_id}\n{self.advice}"


def tune(
    data: DataConfig, config: TuneConfig, *, say: Say, first: Sequence[Mapping[str, Any]] = ()
) -> TuningOutcome:
    """Searches hyperparameters, and logs each trial as a run of its own under one. Raises IntentsError.

    The test part is not looked at. Interrupted, it stops its workers; the same call goes on. A new study begins with
    the values `first`, or with the defaults where there are none.
    """
    if processes.count() > 1:
        raise ConfigError(
            f"tune was started in {processes.count()} processes; it starts its own (n_jobs). Leave torchrun out."
        )
    stated = {"seed": str(config.seed), "register": ""} | config.overrides
    base = train_config(config.family, as_texts(data) | stated)
    encoder.locate(base.hyperparams.model_name, workspace=Path(data.workspace))
    store.connect()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    name = run_name("tune", config.study or data.data)
    with signals.stop_the_run(), runs.started_with(vars(data) | vars(config), name=name) as parent:
        corpus = corpora.load(data)
        say(corpus.opening())
        prepared = prepare.prepare(base, corpus, on_note=lambda line: say(f"note: {line}"))
        name = config.study or re.sub(r"[^\w.-]", "-", f"{config.family}-{corpus.name}")[:100]
        space = _space(base, config)
        tried_first = first or [{field: getattr(base.hyperparams, field) for field in space}]
        study = _begun(name, base=base, config=config, corpus=corpus, space=space, first=tried_first)
        runs.work_starts(parent)
        job = _job(study, config, base=base, space=space, corpus=corpus, prepared=prepared, parent=parent)
        _say_where_it_stands(study, config, say=say)
        progress = Progress(study, config, say=say)
        try:
            crew.train(study, job, on_change=progress.tell)
        finally:
            progress.close()
            with signals.whole():
                _log_findings(study, config)
        return _outcome(study, config, data=data, parent=parent)


def _space(base: TrainConfig, config: TuneConfig) -> dict[str, Range]:
    declared = type(base.hyperparams).SEARCH_SPACE
    space = {name: choice for name, choice in declared.items() if name not in config.overrides}
    if not space:
        raise ConfigError("hyperparams fixes every hyperparameter that could be tuned. Leave some out.")
    return space


def _begun(
    name: str,
    *,
    base: TrainConfig,
    config: TuneConfig,
    corpus: Corpus,
    space: dict[str, Range],
    first: Sequence[Mapping[str, Any]],
) -> optuna.Study:
    kept = storage.opened(config.storage, study=name, workspace=Path(base.data.workspace))
    return storage.begun(
        kept,
        name,
        is_maximised=is_maximised(config.metric),
        identity={
            "family": config.family,
            "metric": config.metric,
            "rows": corpus.digest,
            "fixed": str({k: v for k, v in vars(base.hyperparams).items() if k not in space}),
        },
        first=first,
    )


def _job(study: optuna.Study, config: TuneConfig, *, parent: str, **rest: Any) -> Job:
    tags = {
        "mlflow.runName": run_name("tune", study.study_name),
        STUDY_TAG: study.study_name,
        TUNED_TAG: ",".join(rest["space"]),
        "family": config.family,
        CORPUS_DIGEST_TAG: rest["corpus"].digest,
    }
    with signals.whole():
        mlflow.set_tags(tags)
    return Job(
        study=study.study_name,
        config=config,
        experiment_id=mlflow.active_run().info.experiment_id,
        parent_run=parent,
        deadline=time.time() + config.timeout if config.timeout else math.inf,
        **rest,
    )


def _say_where_it_stands(study: optuna.Study, config: TuneConfig, *, say: Say) -> None:
    crew.retire(study)
    has = len(trials.settled(study))
    goes_on = f"goes on: it has {has} trials" if has else "begins"
    say(f"study {study.study_name} {goes_on}; {config.n_trials} in all, {config.n_jobs} at once")


def _log_findings(study: optuna.Study, config: TuneConfig) -> None:
    best = page.best(study)
    if best is not None:
        mlflow.log_params({f"best_{name}": value for name, value in best.params.items()})
        mlflow.set_tag("best_trial_run", best.user_attrs[trials.RUN])
    with tempfile.TemporaryDirectory() as folder:
        page.write(study, Path(folder), metric=config.metric)
        mlflow.log_artifacts(folder)


def _outcome(study: optuna.Study, config: TuneConfig, *, data: DataConfig, parent: str) -> TuningOutcome:
    best = page.best(study)
    name = study.study_name
    if best is None:
        return TuningOutcome(parent, name, None, f"study {name}: no trial is complete yet")
    first = next((t for t in trials.of_state(study, optuna.trial.TrialState.COMPLETE) if t.number == 0), None)
    against = f" (the defaults: {first.value:.4f})" if first else ""
    entry_point = FAMILIES[config.family].ENTRY_POINT
    corpus = f" -P data={data.data}" if data.data else ""
    advice = (
        f"best: trial {best.number}, {config.metric} {best.value:.4f}{against}; pictures in {page.PAGE}\n"
        f"train with: mlflow run . -e {entry_point} -P params=best:{name}{corpus} --env-manager local"
    )
    return TuningOutcome(parent, name, best, advice)
