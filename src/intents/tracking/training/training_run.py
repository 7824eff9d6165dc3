"""A training run in MLflow: its data, its metrics, its model, and the verdict. What is trained is decided below."""

import dataclasses
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow

from intents.data.corpus import Corpus
from intents.evaluation import baseline
from intents.evaluation.names import METRICS
from intents.models.encoders import encoder
from intents.models.file_names import MODEL_ARTIFACT, OUT_OF_FOLD
from intents.parameters.training.hyperparams import Hyperparams
from intents.parameters.training.train import TrainConfig
from intents.report import saved_model
from intents.report.card import card
from intents.report.training_page import REPORT, report
from intents.system import processes, signals
from intents.system.console import Say
from intents.tracking import runs, store
from intents.tracking.tags import CORPUS_DIGEST_TAG, SELECTED_ON_TAG
from intents.tracking.training import resume
from intents.tracking.training.logged import environment, log_corpus, log_model, log_predictions, log_result
from intents.tracking.versions import CARD, register, verdict
from intents.training import stages
from intents.training.callbacks import Callbacks
from intents.training.prepare import corpus_of, selecting_part
from intents.training.stages import TrainingResult

FOLDS = "folds"
"""Where in a run's workspace the trainings without a fold keep their checkpoints."""


@dataclass(frozen=True)
class RunOutcome:
    """A finished run, and what a person may do with it next: look, try, and, if the verdict says so, publish."""

    run_id: str
    version: str
    look: str
    attempt: str
    verdict: str

    def __str__(self) -> str:
        return f"run {self.run_id}\nlook: {self.look}\ntry: {self.attempt}\n{self.verdict}"


def train(config: TrainConfig, *, say: Say, is_nested: bool = False) -> RunOutcome:
    """Trains, logs and registers one model. Raises IntentsError.

    With `is_nested` its run is a child of the one under way. Interrupted, the run ends as KILLED; on any error as
    FAILED, the reason in its tag `failure`.
    """
    if encoder.is_hub_id(config.hyperparams.model_name):
        say(f"fetching {config.hyperparams.model_name}, or what is new of it")
    encoder.locate(config.hyperparams.model_name, workspace=Path(config.data.workspace))
    store.connect()
    config = resume.restored(config)
    encoder.locate(config.hyperparams.model_name, workspace=Path(config.data.workspace))
    with (
        signals.stop_the_run(),
        runs.started(config, name=runs.name_of(config, is_nested=is_nested), is_nested=is_nested) as run_id,
        resume.workspace(config, run_id, say=say) as workspace,
    ):
        processes.agreed((config, workspace))
        store.log_first(environment(), "environment.json", run_id=run_id)
        corpus = _logged_corpus(config, run_id, say=say)
        callbacks = Callbacks(log_metrics, log_metrics, on_note=lambda line: say(f"note: {line}"))
        checkpoints = workspace / resume.CHECKPOINTS
        result = stages.train(config, corpus, checkpoints=checkpoints, callbacks=callbacks)
        result = dataclasses.replace(result, facts=result.facts | baseline.measure(corpus))
        model = _save_and_log(result, config, corpus=corpus, directory=workspace / MODEL_ARTIFACT)
        say(_headline(result))
        if config.run.folds:
            _log_out_of_fold(config, corpus, folder=workspace / FOLDS, say=say)
        # Last, so that a version that exists has its metrics.
        with signals.whole():
            registered = register(model.model_uri, config.run.register, run_id=run_id)
        said = verdict(config.run.register, registered)
        page = report(config, corpus, result=result, run_id=run_id, verdict=said)
        with signals.whole():
            mlflow.log_text(page, REPORT)
        return outcome(run_id, model_of=run_id, name=config.run.register, version=registered, verdict=said)


def _logged_corpus(config: TrainConfig, run_id: str, *, say: Say) -> Corpus:
    """What the run trains on: the same rows as before, where it goes on."""
    corpus = corpus_of(config)
    say(corpus.opening())
    resume.check_same_rows(config, corpus, digest_tag=CORPUS_DIGEST_TAG)
    runs.work_starts(run_id)
    with signals.whole():
        log_corpus(corpus)
    tag_selection(corpus, config.hyperparams)
    return corpus


def tag_selection(corpus: Corpus, hyperparams: Hyperparams) -> None:
    """Says of the active run that no row was left to choose its epoch, where it is so."""
    if corpus.part(selecting_part(hyperparams)).empty:
        with signals.whole():
            mlflow.set_tag(SELECTED_ON_TAG, "nothing: the last epoch is kept")


def outcome(run_id: str, *, model_of: str, name: str, version: str, verdict: str) -> RunOutcome:
    """What is said of a run at its end; its model is that of the run `model_of`, registered or not."""
    page = store.place(mlflow.get_run(model_of).info.artifact_uri, REPORT)
    model = f"models:/{name}/{version}" if version else f"runs:/{model_of}"
    attempt = f"python -m intents.cli ask --model {shlex.quote(model)}"
    return RunOutcome(run_id, version, f"{page}, or {store.page(run_id)}", attempt, verdict)


def _save_and_log(result: TrainingResult, config: TrainConfig, *, corpus: Corpus, directory: Path) -> Any:
    """The logged model."""
    shutil.rmtree(directory, ignore_errors=True)  # a half-written one, where the run before was cut off in it
    saved_model.save(result, config, corpus=corpus, directory=directory)
    with signals.whole():
        model = log_model(directory, result.rejection.energy_threshold)
        log_result(result, directory, model=model)
        run_id = mlflow.active_run().info.run_id
        mlflow.log_text(card(config, corpus, result=result, run_id=run_id), CARD)
    return model


def _log_out_of_fold(config: TrainConfig, corpus: Corpus, *, folder: Path, say: Say) -> None:
    """Trains once a fold, and logs what each says to the rows it has not seen."""
    of = f"of {config.run.folds}: a training without its rows, which it then answers"
    answered = stages.out_of_fold(
        config, corpus, folder=folder, on_fold=lambda number: say(f"fold {number} {of}")
    )
    shutil.rmtree(folder, ignore_errors=True)
    is_right = answered["true_intent"] == answered["pred_intent"]
    say(f"out-of-fold: {METRICS['accuracy'].words} {is_right.mean():.4f} on {len(answered):,} rows")
    with signals.whole():
        mlflow.log_metrics({"out_of_fold_accuracy": float(is_right.mean())})
        log_predictions(answered, OUT_OF_FOLD)


def train_beside() -> None:
    """What a process beside the main one does of `train`: it fits with it, and leaves all else to it."""
    config, workspace = processes.agreed()
    stages.fitted(
        config,
        corpus_of(config),
        checkpoints=workspace / resume.CHECKPOINTS,
    )


def log_metrics(step: int, metrics: Mapping[str, float]) -> None:
    """Logs what an epoch or a step reports."""
    with signals.whole():
        mlflow.log_metrics(dict(metrics), step=step)


def _headline(result: TrainingResult) -> str:
    measured = result.test.report.metrics
    said = {
        name: f"{metric.in_full} {measured[name]:.4f}" for name, metric in METRICS.items() if name in measured
    }
    line = (
        f"test: {said['accuracy']}, {said['f1_weighted']} "
        f"[{measured['f1_weighted_ci_low']:.4f}, {measured['f1_weighted_ci_high']:.4f}], {said['f1_macro']}"
    )
    if "auroc" in said:
        line += f"; {said['auroc']}"
    baseline_f1 = result.facts["baseline_f1_weighted"]
    beaten = measured["f1_weighted"] > baseline_f1
    line += (
        f"\nlinear baseline (TF-IDF and logistic regression): {METRICS['f1_weighted'].words} {baseline_f1:.4f}, "
        f"{'beaten' if beaten else 'not beaten: more rows, more epochs or another encoder may help'}"
    )
    fit = result.fit
    return (
        f"{line}\nbest epoch {fit.best_epoch} of {fit.epochs_run}; {fit.seconds:.0f} s, "
        f"{fit.samples_per_second:.0f} samples/s, {result.facts['peak_memory_mb']:.0f} MB at most"
    )
