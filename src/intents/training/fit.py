"""The training loop, by transformers' Trainer: batches, optimizer, best epoch, early stop, progress."""

import contextlib
import functools
import math
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from intents.evaluation.evaluate import classification_metrics, confusion
from intents.models.energy import negative_log_likelihood
from intents.models.network import Network
from intents.parameters.training.hyperparams import Hyperparams
from intents.system import processes
from intents.training import checkpoints, objectives
from intents.training.batches import LengthBatchedSampler, TokenDataset, Tokens, collator
from intents.training.callbacks import Callbacks, EpochReport, Journal, Marks
from intents.training.checkpoints import Progress
from intents.training.objectives import CrossEntropy
from intents.training.selection import Selection

LOGGED_STEPS = 50
"""Loss terms are reported about every so many steps."""
SELECTION_METRIC = "selection"


@dataclass(frozen=True)
class Fit:
    """How the fit went. Epochs count from 1; the F1 is of validation rows; seconds include them and checkpoints."""

    best_epoch: int
    epochs_run: int
    best_f1_weighted: float
    seconds: float
    samples_per_second: float
    precision: str

    def measured_by(self, f1_weighted: float) -> "Fit":
        """With this weighted F1 where no validation row measured one."""
        return replace(self, best_f1_weighted=f1_weighted) if math.isnan(self.best_f1_weighted) else self


@dataclass(frozen=True)
class _Course:
    """What a training goes by and what came of it so far: kept with its checkpoints, put back with them."""

    objective: Any
    selection: Selection
    journal: Journal
    checkpoint: Path | None
    past_epochs: int

    def progress(self, epoch: int) -> Progress:
        """What is kept beside an epoch's checkpoint."""
        journal = self.journal
        return Progress(epoch, journal.epochs, journal.steps, vars(self.selection), self.objective.memory)


class _Trainer(transformers.Trainer):  # type: ignore[misc]
    """transformers' Trainer with this project's objective and its batches of like length."""

    def __init__(self, course: _Course, hyperparams: Hyperparams, **arguments: Any) -> None:
        select = functools.partial(_validation_metrics, select=course.selection)
        super().__init__(compute_metrics=select, **arguments)
        self.remove_callback(transformers.PrinterCallback)
        self.objective = course.objective
        self.validation_objective = CrossEntropy(hyperparams.label_smoothing)
        self.on_step = course.journal.step

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,  # noqa: ARG002
    ) -> Any:
        labels_B = inputs.pop("labels")
        if not model.training:
            step = self.validation_objective(model, inputs, labels_B=labels_B)
        else:
            step = self.objective(model, inputs, labels_B=labels_B)
            if self.state.global_step % LOGGED_STEPS == 0:
                terms = {name: float(value.detach()) for name, value in step.terms.items()}
                self.on_step(self.state.global_step, terms)
        return (step.loss, {"logits": step.logits_BC}) if return_outputs else step.loss

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        if self.args.train_sampling_strategy != "group_by_length":
            return super()._get_train_sampler(train_dataset)
        rows = self.train_dataset if train_dataset is None else train_dataset
        shared_seed = self.args.seed if processes.count() > 1 else None
        lengths = [len(ids) for ids in rows.input_ids]
        return LengthBatchedSampler(lengths, self.args.train_batch_size, shared_seed=shared_seed)


def fit(
    network: Network,
    tokenizer: Any,
    *,
    hyperparams: Hyperparams,
    train: TokenDataset,
    validation: TokenDataset,
    negatives: Sequence[Tokens],
    folder: Path | None,
    callbacks: Callbacks,
) -> Fit:
    """Trains the network in place and leaves the best epoch's weights in it.

    Which epoch that is, `Selection` says from the weighted F1 on `validation`. `negatives` are out-of-scope. `folder`
    holds the checkpoints: from a complete one training goes on, and reports again what was reported before. Without a
    folder, or without validation rows, the last epoch's weights stay.
    """
    precision = precision_of(hyperparams.precision)
    rows = _passes(train, hyperparams, on_note=callbacks.on_note)
    steps = math.ceil(len(rows) / hyperparams.batch_size) * hyperparams.epochs_over(len(train))
    objective = objectives.build(hyperparams, tokenizer, negatives=negatives, rows=len(train), steps=steps)
    course = _course(objective, callbacks, selection=Selection(hyperparams.selection), folder=folder)
    report = EpochReport(steps, course.journal, draws_bar=callbacks.draws_bar)
    trainer = _Trainer(
        course,
        hyperparams,
        model=network.module,
        args=_arguments(hyperparams, folder, precision=precision, rows=len(train), validation=validation),
        train_dataset=rows,
        eval_dataset=validation,
        processing_class=tokenizer,
        data_collator=collator(tokenizer, hyperparams),
        optimizers=_optimizer(network, hyperparams, steps=steps),
        callbacks=[report, Marks(course.progress), *_early_stopping(hyperparams, validation)],
    )
    if processes.count() > 1:  # rows are dealt out; dropout and negatives are each process's own
        torch.manual_seed(hyperparams.seed + processes.rank())
    with contextlib.closing(report.bar):  # what comes after, an error too, stands on a line of its own
        seconds = _timed(trainer, course.checkpoint)
    return _outcome(trainer, seconds, precision=precision, past_epochs=course.past_epochs)


@contextlib.contextmanager
def _attention_for_training(module: Any) -> Iterator[None]:
    """On a processor, attention step by step: the fused kind's backward pass is slow where batches are short and wide.

    A network without attention, or that knows one kind only, stays as it is.
    """
    before = module.config._attn_implementation
    if torch.cuda.is_available() or before != "sdpa":
        yield
        return
    module.set_attn_implementation("eager")
    try:
        yield
    finally:
        module.set_attn_implementation(before)


def _passes(train: TokenDataset, hyperparams: Hyperparams, *, on_note: Callable[[str], None]) -> TokenDataset:
    """The rows of an epoch: all of them, several times over where there are too few."""
    passes = hyperparams.passes(len(train))
    if passes > 1:
        on_note(
            f"each of the {hyperparams.epochs} epochs makes {passes} passes over {len(train):,} rows, as min_steps="
            f"{hyperparams.min_steps} asks; for a smoke test pass epochs=1 and min_steps=0"
        )
    epochs = hyperparams.epochs_over(len(train))
    if epochs < hyperparams.epochs:
        on_note(
            f"{epochs} of {hyperparams.epochs} epochs, as max_steps={hyperparams.max_steps} allows with {len(train):,} "
            f"rows; to train longer pass epochs={hyperparams.epochs}"
        )
    return train.repeated(passes)


def _course(objective: Any, callbacks: Callbacks, *, selection: Selection, folder: Path | None) -> _Course:
    """A course from the start, or from where the last complete checkpoint of the folder left it."""
    journal = Journal(callbacks.on_epoch, callbacks.on_step)
    checkpoint, past = (checkpoints.last_complete(folder) if folder else None) or (None, Progress())
    selection.restore(past.selection)
    objective.memory.extend(past.memory)
    journal.replay(past)
    return _Course(objective, selection, journal, checkpoint, past.epoch)


def _outcome(trainer: _Trainer, seconds: float, *, precision: str, past_epochs: int) -> Fit:
    state, rows = trainer.state, len(trainer.train_dataset)
    epochs_run = round(state.epoch)
    best = max(state.log_history, key=lambda entry: entry.get(f"eval_{SELECTION_METRIC}", -math.inf))
    is_measured = "eval_f1_weighted" in best
    return Fit(
        best_epoch=round(best["epoch"]) if is_measured else epochs_run,
        epochs_run=epochs_run,
        best_f1_weighted=float(best["eval_f1_weighted"]) if is_measured else math.nan,
        seconds=seconds,
        samples_per_second=(epochs_run - past_epochs) * rows / seconds,
        precision=precision,
    )


def _timed(trainer: _Trainer, checkpoint: Path | None) -> float:
    """Trains, from the checkpoint where there is one; the seconds it took."""
    started = time.perf_counter()
    with warnings.catch_warnings(), _attention_for_training(trainer.model):
        # The last checkpoint is read by the same process that wrote it; nothing is pinned without a GPU.
        warnings.filterwarnings("ignore", message=".*pin_memory.*")
        trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
    return time.perf_counter() - started


def _arguments(
    hyperparams: Hyperparams,
    folder: Path | None,
    *,
    precision: str,
    rows: int,
    validation: TokenDataset,
) -> Any:
    return transformers.TrainingArguments(
        output_dir=str(folder or tempfile.gettempdir()),
        num_train_epochs=hyperparams.epochs_over(rows),
        per_device_train_batch_size=processes.share(hyperparams.batch_size),
        per_device_eval_batch_size=hyperparams.evaluation_batch_size,
        train_sampling_strategy="group_by_length" if hyperparams.batching == "by_length" else "random",
        bf16=precision == "bfloat16",
        use_cpu=not torch.cuda.is_available(),
        eval_strategy="epoch" if len(validation) else "no",
        save_strategy="epoch" if folder else "no",
        logging_strategy="epoch",
        load_best_model_at_end=folder is not None and len(validation) > 0,
        metric_for_best_model=SELECTION_METRIC,
        greater_is_better=True,
        # The best, the newest, and the one before, which must stand until the newest is marked.
        save_total_limit=3,
        restore_callback_states_from_checkpoint=True,
        seed=hyperparams.seed,
        remove_unused_columns=False,
        label_names=["labels"],
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
        ddp_find_unused_parameters=False,
    )


def precision_of(wanted: str) -> str:
    """`wanted`, or what "auto" means on this machine."""
    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    return "bfloat16" if torch.cpu._is_avx512_bf16_supported() else "float32"


def _optimizer(network: Network, hyperparams: Hyperparams, *, steps: int) -> tuple[Any, Any]:
    """AdamW, with a learning rate for pretrained weights and one for new ones; warm-up, then the schedule."""
    groups: dict[tuple[bool, bool], list[Any]] = {}
    for name, weight in network.module.named_parameters():
        if weight.requires_grad:
            groups.setdefault((name in network.new_weights, weight.ndim > 1), []).append(weight)
    optimizer = torch.optim.AdamW(
        [
            {
                "params": weights,
                "lr": hyperparams.learning_rate * (hyperparams.new_weights_factor if is_new else 1.0),
                "weight_decay": hyperparams.weight_decay if is_matrix else 0.0,
            }
            for (is_new, is_matrix), weights in groups.items()
        ],
        fused=True,
    )
    warmup_steps = round(hyperparams.warmup_ratio * steps)
    schedule = {"linear": "linear", "constant": "constant_with_warmup"}[hyperparams.schedule]
    return optimizer, transformers.get_scheduler(
        schedule, optimizer, num_warmup_steps=warmup_steps, num_training_steps=steps
    )


def _validation_metrics(prediction: Any, select: Selection) -> dict[str, float]:
    logits_BC, labels_B = np.asarray(prediction.predictions), np.asarray(prediction.label_ids)
    counts_CC = confusion(labels_B, logits_BC.argmax(axis=-1), number_of_intents=logits_BC.shape[-1])
    metrics = classification_metrics(counts_CC) | {"nll": negative_log_likelihood(logits_BC, labels_B)}
    return metrics | {SELECTION_METRIC: select(metrics["f1_weighted"], rows=len(labels_B))}


def _early_stopping(hyperparams: Hyperparams, validation: TokenDataset) -> list[Any]:
    if not hyperparams.patience or not len(validation):
        return []
    return [transformers.EarlyStoppingCallback(early_stopping_patience=hyperparams.patience)]
