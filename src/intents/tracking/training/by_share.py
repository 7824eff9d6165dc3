"""Trainings by share and seed as MLflow runs, each nested beneath one: what is the same whatever the shares are of."""

import contextlib
import dataclasses
import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import mlflow
import pandas as pd

from intents.data import corpus as corpora
from intents.data.corpus import Corpus
from intents.errors import ConfigError
from intents.parameters.commands import run_name
from intents.parameters.data import DataConfig
from intents.parameters.declaration import as_texts
from intents.parameters.training.shares import SharesConfig
from intents.parameters.training.train import TrainConfig, train_config
from intents.system import processes, signals
from intents.system.console import Say
from intents.tracking import runs, store
from intents.tracking.train import mean_and_spread, with_seed
from intents.tracking.training import training_run
from intents.training import stages
from intents.training.callbacks import Callbacks
from intents.training.stages import TrainingResult


@dataclasses.dataclass(frozen=True)
class Draw:
    """A share, and the seed that draws what is of it and seeds the training."""

    share: float
    seed: int


@dataclasses.dataclass(frozen=True)
class Way:
    """What a command's shares are of, what is left of a corpus for a draw, and what is measured of a training on that.

    `column` names a share among parameters and in the table, `words` follow it where people read, `suffix` in the names
    of metrics. `count` tells what a draw consists of, beside what is measured.
    """

    command: str
    column: str
    words: str
    suffix: str
    table: str
    draw: Callable[[Corpus, Draw], Corpus]
    measure: Callable[[Corpus, TrainingResult], dict[str, float]]
    count: Callable[[Corpus], dict[str, float]] = lambda _: {}

    def name_of(self, draw: Draw) -> str:
        """What the training of a draw is called."""
        return f"{percent(draw.share)} {self.words}, seed {draw.seed}"


@dataclasses.dataclass(frozen=True)
class Trained:
    """Every training's share, seed, counts and metrics, a row each; their run, and what they were drawn from."""

    run_id: str
    config: TrainConfig
    corpus: Corpus
    table: pd.DataFrame


def percent(share: float) -> str:
    """The share as people read it."""
    return f"{share * 100:g}%"


def by_share(table: pd.DataFrame, column: str) -> Iterable[tuple[float, pd.DataFrame]]:
    """Each share with the counts and metrics of its draws."""
    return table.drop(columns=[column, "seed"]).groupby(table[column], sort=False)


@contextlib.contextmanager
def trained(
    data: DataConfig, study: SharesConfig, *, shares: Sequence[float], way: Way, say: Say
) -> Iterator[Trained]:
    """Trains once a share and seed; the run above is under way until the block ends. Raises IntentsError."""
    if processes.count() > 1:
        raise ConfigError(
            f"{way.command} was started in {processes.count()} processes; it trains in one. Leave torchrun out."
        )
    config = train_config(study.family, {**as_texts(data), **study.overrides})
    store.connect()
    name = run_name(way.command, data.data)
    with signals.stop_the_run(), runs.started_with(vars(data) | vars(study), name=name) as parent:
        hyperparams = config.hyperparams
        corpus = corpora.load(
            config.data, selects_on_test=hyperparams.selects_on_test, cross_fits=hyperparams.cross_fits
        )
        runs.work_starts(parent)
        say((corpus.few_rows_trained_on() if hyperparams.cross_fits else corpus).opening())
        draws = itertools.starmap(Draw, itertools.product(shares, range(study.seeds)))
        table = pd.DataFrame([_train_once(config, corpus, draw=draw, way=way, say=say) for draw in draws])
        _log(table, way)
        yield Trained(parent, config, corpus, table)


def _train_once(config: TrainConfig, corpus: Corpus, *, draw: Draw, way: Way, say: Say) -> dict[str, float]:
    """One draw's row of the table."""
    seeded = with_seed(config, draw.seed)
    name = way.name_of(draw)
    with runs.started(seeded, name=name, is_nested=True) as run_id, tempfile.TemporaryDirectory() as folder:
        runs.work_starts(run_id)
        with signals.whole():
            mlflow.log_params({way.column: draw.share})
        part = way.draw(corpus, draw)
        if config.hyperparams.cross_fits:
            part = part.few_rows_trained_on()
        training_run.tag_selection(part, config.hyperparams)
        callbacks = Callbacks(training_run.log_metrics, training_run.log_metrics, say)
        result = stages.train(seeded, part, checkpoints=Path(folder), callbacks=callbacks)
        counts, metrics = way.count(part), way.measure(part, result)
        with signals.whole():
            mlflow.log_metrics(counts | metrics)
    say(f"{name}: {', '.join(f'{metric} {value:.4f}' for metric, value in metrics.items())}")
    return {way.column: draw.share, "seed": draw.seed, **counts, **metrics}


def _log(table: pd.DataFrame, way: Way) -> None:
    """The mean and the spread of each share, and the table that they are of."""
    summaries = {share: mean_and_spread(drawn) for share, drawn in by_share(table, way.column)}
    metrics = {
        f"{name}_{share * 100:g}_{way.suffix}": value
        for share, summary in summaries.items()
        for name, value in summary.items()
    }
    with signals.whole():
        mlflow.log_metrics(metrics)
        mlflow.log_text(table.to_csv(index=False), way.table)
