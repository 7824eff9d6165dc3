"""What a training tells while it runs: the progress bar, each epoch's metrics, and marked checkpoints to go on from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import transformers
from tqdm import tqdm
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from intents.system import processes
from intents.training import checkpoints
from intents.training.checkpoints import Progress

OnEpoch = Callable[[int, Mapping[str, float]], None]
OnStep = Callable[[int, Mapping[str, float]], None]
REPORTED = ("accuracy", "f1_weighted", "f1_macro", "nll", "loss")


@dataclass(frozen=True)
class Callbacks:
    """Who hears of a training while it runs: of each epoch's metrics, of loss terms now and then, of what a person
    should know. Nobody, unless named; a bar is drawn all the same, unless `draws_bar` is false."""

    on_epoch: OnEpoch = lambda *_: None
    on_step: OnStep = lambda *_: None
    on_note: Callable[[str], None] = lambda _: None
    draws_bar: bool = True


class Journal:
    """Hands reports on, and keeps them, so that a training that goes on later can tell of its past."""

    def __init__(self, on_epoch: OnEpoch, on_step: OnStep) -> None:
        self._on_epoch, self._on_step = on_epoch, on_step
        self.epochs: checkpoints.Reports = []
        self.steps: checkpoints.Reports = []

    def epoch(self, number: int, metrics: Mapping[str, float]) -> None:
        """Reports an epoch."""
        self.epochs.append((number, dict(metrics)))
        self._on_epoch(number, metrics)

    def step(self, number: int, terms: Mapping[str, float]) -> None:
        """Reports a step's loss terms."""
        self.steps.append((number, dict(terms)))
        self._on_step(number, terms)

    def replay(self, past: Progress) -> None:
        """Reports all that was reported before the training was cut off."""
        for number, metrics in past.epochs:
            self.epoch(number, metrics)
        for number, terms in past.steps:
            self.step(number, terms)


class EpochReport(transformers.TrainerCallback):  # type: ignore[misc]
    """Draws the progress bar and reports each epoch's metrics."""

    def __init__(self, steps: int, journal: Journal, *, draws_bar: bool) -> None:
        self.bar = tqdm(
            total=steps,
            unit="step",
            desc="training",
            dynamic_ncols=True,
            mininterval=0.5,
            disable=not (draws_bar and processes.is_main()),
        )
        self.journal = journal
        self.train_loss = float("nan")

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self.bar.update(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self.bar.update()

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, float], **_: Any) -> None:  # noqa: ARG002
        self.train_loss = logs.get("loss", self.train_loss)
        if "loss" in logs and args.eval_strategy == "no":
            epoch = round(state.epoch)
            self.bar.set_postfix_str(f"epoch {epoch}, loss {self.train_loss:.3f}")
            self.journal.epoch(epoch, {"train_loss": float(self.train_loss)})

    def on_evaluate(
        self,
        args: Any,  # noqa: ARG002
        state: Any,
        control: Any,  # noqa: ARG002
        metrics: Mapping[str, float],
        **_: Any,
    ) -> None:
        report = {f"val_{name}": float(metrics[f"eval_{name}"]) for name in REPORTED}
        report["train_loss"] = float(self.train_loss)
        epoch = round(state.epoch)
        self.bar.set_postfix_str(
            f"epoch {epoch}, loss {self.train_loss:.3f}, val F1 {report['val_f1_weighted']:.4f}"
        )
        self.journal.epoch(epoch, report)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self.bar.close()


class Marks(transformers.TrainerCallback):  # type: ignore[misc]
    """Marks each checkpoint once transformers has written all of it."""

    def __init__(self, progress: Callable[[int], Progress]) -> None:
        self.progress = progress

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        if state.is_world_process_zero:
            folder = Path(args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"
            checkpoints.mark(folder, self.progress(round(state.epoch)))
