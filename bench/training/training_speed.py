"""Training speed: the default recipe against the notebook's, same weights, interleaved slices in one run.

    PYTHONPATH=src python -m bench.training.training_speed            # CLINC150 with minilm, 60-second slices
    PYTHONPATH=src python -m bench.training.training_speed --model_name e5
    PYTHONPATH=src python -m bench.training.training_speed --seconds 10 --rounds 1

Each slice is a real `fit` of one epoch over as many rows as that recipe trains in the slice's time: loading,
steps, one small validation and the checkpoint included. Slices alternate, so that what else the machine does
falls on all. Where the default recipe trims the vocabulary, the notebook's is measured with that change alone too.
Batches pass once, as those of more than `consistency_rows` rows do. Prints a table and writes
bench/results/training_speed.json (training_speed_<encoder>.json of another encoder than minilm).
"""

import argparse
import functools
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import transformers
from transformers.utils import logging as transformers_logging

from bench import benchmark
from intents.data import corpus as corpora
from intents.data.corpus import Corpus
from intents.data.parts import TRAIN, VALIDATION
from intents.models import families
from intents.models.encoders import encoder as encoders
from intents.parameters.data import DataConfig
from intents.parameters.training import train as declarations
from intents.parameters.training.hyperparams import Hyperparams
from intents.training.batches import Labelled, TokenDataset
from intents.training.callbacks import Callbacks
from intents.training.fit import Fit, fit
from intents.training.prepare import labelled

PROBE_SECONDS, VALIDATION_ROWS = 15.0, 64
FIRST_GUESS = {"notebook": 20.0, "trimmed": 20.0, "default": 350.0}


def main() -> int:
    arguments = _arguments()
    transformers_logging.disable_progress_bar()
    options = {"data": arguments.data, "model_name": arguments.model_name}
    recipes = _recipes(options)
    config = declarations.train_config("bert", options)
    corpus = corpora.load(config.data)
    rates = {
        recipe: _slice(corpus, hyperparams, rows=int(FIRST_GUESS[recipe] * PROBE_SECONDS)).samples_per_second
        for recipe, hyperparams in recipes.items()
    }
    measured: dict[str, list[float]] = {recipe: [] for recipe in recipes}
    for number in range(arguments.rounds):
        for recipe, hyperparams in recipes.items():
            outcome = _slice(corpus, hyperparams, rows=int(rates[recipe] * arguments.seconds))
            measured[recipe].append(outcome.samples_per_second)
            rates[recipe] = outcome.samples_per_second
            print(
                f"round {number + 1} {recipe:9} {outcome.samples_per_second:8.1f} samples/s in "
                f"{outcome.seconds:5.1f} s ({outcome.precision})",
                flush=True,
            )
    _report(measured, options, arguments.seconds)
    return 0


def _recipes(options: dict[str, str]) -> dict[str, Hyperparams]:
    notebook, default = (
        declarations.train_config("bert", {**options, "recipe": recipe}).hyperparams
        for recipe in ("notebook", "default")
    )
    notebook = replace(
        notebook, model_name=default.model_name
    )  # the recipe names its own where this is the default
    is_trimmed = default.vocabulary == "trimmed"
    return {
        "notebook": notebook,
        **({"trimmed": replace(notebook, vocabulary="trimmed")} if is_trimmed else {}),
        "default": replace(default, consistency_rows=0),
    }


def _arguments() -> argparse.Namespace:
    parser = benchmark.flags(__doc__, data="../shared/data/clinc150")
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="length of a slice (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=2, help="slices of each recipe (default: %(default)s)")
    return parser.parse_args()


def _slice(corpus: Corpus, hyperparams: Hyperparams, *, rows: int) -> Fit:
    """One epoch of this recipe over `rows` rows, drawn again and again where the corpus has fewer."""
    transformers.set_seed(hyperparams.seed)
    train, validation = labelled(corpus, TRAIN), labelled(corpus, VALIDATION)
    never = replace(hyperparams, extend_vocabulary="never")
    encoder = encoders.load(never, train.texts, workspace=Path(DataConfig.workspace))
    intent2id = {intent: i for i, intent in enumerate(corpus.intents)}
    network = families.build(hyperparams, intent2id, encoder=encoder)
    tokens = functools.partial(TokenDataset.of, encoder.tokenizer, max_length=hyperparams.max_length)
    with tempfile.TemporaryDirectory() as checkpoints:
        return fit(
            network,
            encoder.tokenizer,
            hyperparams=replace(hyperparams, epochs=1, min_steps=0),
            train=tokens(_drawn(train, rows)),
            validation=tokens(_drawn(validation, VALIDATION_ROWS)),
            negatives=(),
            folder=Path(checkpoints),
            callbacks=Callbacks(),
        )


def _drawn(part: Labelled, rows: int) -> Labelled:
    generator = np.random.default_rng(0)
    order = [i for _ in range(rows // len(part.texts) + 1) for i in generator.permutation(len(part.texts))]
    places = order[:rows]
    return Labelled([part.texts[i] for i in places], part.labels_B[places])


def _report(measured: dict[str, list[float]], options: dict[str, Any], seconds: float) -> None:
    medians = {recipe: statistics.median(rates) for recipe, rates in measured.items()}
    ratios = {recipe: median / medians["notebook"] for recipe, median in medians.items()}
    print(f"\n{'recipe':10} {'samples/s':>10} {'ratio':>7}")
    for recipe, median in medians.items():
        print(f"{recipe:10} {median:10.1f} {ratios[recipe]:7.1f}")
    result = {
        **options,
        "slice_seconds": seconds,
        "samples_per_second": measured,
        "ratios_of_medians": ratios,
    }
    encoder = options["model_name"]
    benchmark.write("training_speed" if encoder == "minilm" else f"training_speed_{encoder}", result)


if __name__ == "__main__":
    sys.exit(main())
