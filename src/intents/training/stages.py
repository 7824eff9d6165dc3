"""One training run, whichever the family: fit, calibrate, test once.

Progress is reported through callbacks, so nothing here has heard of MLflow.
"""

import dataclasses
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import transformers

from intents.data.corpus import Corpus
from intents.data.parts import TRAIN, VALIDATION
from intents.errors import ConfigError
from intents.evaluation import held_out
from intents.evaluation.held_out import HeldOut
from intents.models import families
from intents.models.directory import RejectionRule
from intents.models.encoders.encoder import Encoder
from intents.models.network import Network
from intents.parameters.training.train import TrainConfig
from intents.system import processes
from intents.training import validation
from intents.training.calibrate import calibrate
from intents.training.callbacks import Callbacks
from intents.training.checkpoints import last_complete
from intents.training.fit import Fit, fit, precision_of
from intents.training.head import fit_head
from intents.training.prepare import Prepared, prepare, selecting_part
from intents.training.validation import Answers

MEGABYTE = 2**20
SILENT = Callbacks()


@dataclass(frozen=True)
class TrainingResult:
    """What a run leaves: a model, its measure, and what it cost. `facts` are numbers worth logging."""

    module: Any
    tokenizer: Any
    intents: tuple[str, ...]
    rejection: RejectionRule
    fit: Fit
    test: HeldOut
    facts: dict[str, float]


@dataclass(frozen=True)
class Fitted:
    """The best epoch's network, not yet calibrated, its encoder, and how the fit went."""

    encoder: Encoder
    network: Network
    fit: Fit
    rows: int
    """Utterances that were trained on, intents' names among them."""


def train(
    config: TrainConfig,
    corpus: Corpus,
    *,
    checkpoints: Path,
    callbacks: Callbacks = SILENT,
) -> TrainingResult:
    """Trains on the training part and tests the best epoch's model, once. Raises ConfigError or EncoderError."""
    hyperparams = config.hyperparams
    made = fitted(config, corpus, checkpoints=checkpoints, callbacks=callbacks)
    answers = _answers(config, corpus, made=made, callbacks=callbacks)
    module, tokenizer = made.network.module, made.encoder.tokenizer
    rejection = calibrate(module, answers, hyperparams=hyperparams)
    return TrainingResult(
        module=module,
        tokenizer=tokenizer,
        intents=corpus.intents,
        rejection=rejection,
        fit=made.fit.measured_by(answers.f1_weighted),
        test=held_out.measure(module, tokenizer, corpus=corpus, hyperparams=hyperparams, rejection=rejection),
        facts=_facts(made),
    )


def out_of_fold(
    config: TrainConfig, corpus: Corpus, *, folder: Path, on_fold: Callable[[int], None]
) -> pd.DataFrame:
    """Every in-scope row's prediction by a training of the same recipe that has not seen it. Raises as `train` does.

    Columns as `HeldOut.predictions` has them, and `fold`. `on_fold` hears the number of each before it begins.
    """
    answered = []
    for number in range(config.run.folds):
        on_fold(number + 1)
        part = corpus.fold(
            number,
            folds=config.run.folds,
            validation_size=0.0 if corpus.part(VALIDATION).empty else config.data.validation_size,
            seed=config.data.split_seed,
        )
        predictions = train(config, part, checkpoints=folder / f"fold{number + 1}").test.predictions
        answered.append(predictions[predictions["true_intent"] != ""].assign(fold=number + 1))
    return pd.concat(answered, ignore_index=True)


def fitted(
    config: TrainConfig,
    corpus: Corpus,
    *,
    checkpoints: Path | None,
    callbacks: Callbacks = SILENT,
    prepared: Prepared | None = None,
) -> Fitted:
    """Training without calibration and test. Raises as `train` does.

    What several trainings share may be `prepared` once. Without `checkpoints` no epoch's weights are kept.
    """
    hyperparams = config.hyperparams
    _check_unknown_intent(hyperparams.unknown_intent, corpus)
    _check_batch(hyperparams.batch_size)
    _check_folds(config.run.folds)
    ready = prepared or prepare(config, corpus, on_note=callbacks.on_note)
    transformers.set_seed(hyperparams.seed)
    intent2id = {intent: i for i, intent in enumerate(corpus.intents)}
    network = families.build(hyperparams, intent2id, encoder=ready.encoder)
    if network.head_is_fitted and not _goes_on(checkpoints):
        fit_head(
            network.module,
            ready.encoder.tokenizer,
            train=ready.train,
            precision=precision_of(hyperparams.precision),
        )
    outcome = fit(
        network,
        ready.encoder.tokenizer,
        hyperparams=hyperparams,
        train=ready.train,
        validation=ready.validation,
        negatives=ready.negatives,
        folder=checkpoints,
        callbacks=callbacks,
    )
    return Fitted(ready.encoder, network, outcome, rows=len(ready.train))


def _goes_on(checkpoints: Path | None) -> bool:
    """Whether there is a checkpoint that training goes on from: its weights take the place of all others."""
    return checkpoints is not None and last_complete(checkpoints) is not None


def _check_unknown_intent(name: str, corpus: Corpus) -> None:
    if name in corpus.intents:
        raise ConfigError(
            f"unknown_intent={name!r} is an intent of {corpus.name}: what is rejected needs a "
            "name of its own. Pass --unknown_intent <another name>; under mlflow run, -P unknown_intent=<another name>."
        )


def _check_batch(batch_size: int) -> None:
    if batch_size % processes.count():
        raise ConfigError(
            f"batch_size={batch_size} can't be dealt out to {processes.count()} processes evenly: a step takes "
            "batch_size utterances in all. Pass a multiple of their number."
        )


def _check_folds(folds: int) -> None:
    if folds and processes.count() > 1:
        raise ConfigError(
            f"folds={folds} was asked for in {processes.count()} processes; folds are trained in one. Leave torchrun "
            "or folds out."
        )


def _answers(config: TrainConfig, corpus: Corpus, *, made: Fitted, callbacks: Callbacks) -> Answers:
    """Answers to rows that were not trained on: the network's own, or where none were kept, those of cross-fitting."""
    hyperparams = config.hyperparams
    part, rows = selecting_part(hyperparams), len(corpus.part(TRAIN))
    names = made.rows - rows

    def answered(by: Fitted, rows: Corpus) -> Answers:
        return validation.answers(by.network, by.encoder, corpus=rows, part=part, hyperparams=hyperparams)

    def of_fold(fold: Corpus) -> Answers:
        alike = hyperparams.for_a_share(len(fold.part(TRAIN)) + names, of=made.rows)
        silent = Callbacks(draws_bar=callbacks.draws_bar)
        for_fold = dataclasses.replace(config, hyperparams=alike)
        return answered(fitted(for_fold, fold, checkpoints=None, callbacks=silent), fold)

    if not corpus.part(part).empty:
        return answered(made, corpus)
    folds = validation.folds_to_answer(corpus, seed=config.data.split_seed)
    trainings = (
        f"{len(folds)} more trainings, each of which" if len(folds) > 1 else "one more training, which"
    )
    callbacks.on_note(
        f"all {rows:,} rows were trained on: they, or the validation rows among them, are few; temperature and "
        f"threshold come from {trainings} leaves out a fifth and answers it"
    )
    return validation.cross_fitted(folds, of_fold=of_fold)


def _facts(made: Fitted) -> dict[str, float]:
    encoder, network, outcome = made.encoder, made.network, made.fit
    gpu_bytes = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "train_seconds": outcome.seconds,
        "train_samples_per_second": outcome.samples_per_second,
        "best_epoch": outcome.best_epoch,
        "unk_share": encoder.unknown_share,
        "added_tokens": encoder.added_tokens,
        "parameters": sum(weight.numel() for weight in network.module.parameters()),
        **network.facts,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MEGABYTE,
        "peak_gpu_memory_mb": gpu_bytes / MEGABYTE,
    }
