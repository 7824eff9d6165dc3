"""How good a model is with few rows an intent: the defaults of `train_bert`, on draws of the training part.

    PYTHONPATH=src python -m bench.training.few_rows                        # CLINC150, 5 and 10 rows, three draws
    PYTHONPATH=src python -m bench.training.few_rows --rows 10 --changes epochs=5,head=random

Each draw takes so many training rows of every intent (`random.Random(draw).sample`, intents in order of their names),
no validation row, and the whole test part. `frozen` is the logistic regression on the encoder's features that training
begins with. Prints a table and writes bench/results/few_rows.json.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import transformers
from transformers.utils import logging as transformers_logging

from bench import benchmark
from intents.axes import Floats
from intents.data.corpus import Corpus
from intents.data.parts import TEST
from intents.evaluation.predictions import outputs
from intents.models import families
from intents.parameters.training import train as declarations
from intents.parameters.training.families import by_name
from intents.parameters.training.train import TrainConfig
from intents.training import stages
from intents.training.fit import precision_of
from intents.training.head import fit_head
from intents.training.prepare import corpus_of, prepare

OUT_OF_SCOPE = ("oos_val.jsonl", "oos_test.jsonl")


def main() -> int:
    arguments = _arguments()
    transformers_logging.disable_progress_bar()
    measured: dict[str, list[dict[str, float]]] = {}
    for rows in map(int, arguments.rows.split(",")):
        for draw in range(arguments.draws):
            with tempfile.TemporaryDirectory() as folder:
                _draw(Path(arguments.data), Path(folder), rows=rows, draw=draw)
                found = _train(folder, arguments, seed=draw)
            measured.setdefault(str(rows), []).append(found)
            print(
                f"{rows} rows, draw {draw}: " + ", ".join(f"{n} {v:.4f}" for n, v in found.items()),
                flush=True,
            )
    _report(measured, vars(arguments))
    return 0


def _arguments() -> argparse.Namespace:
    parser = benchmark.flags(__doc__, data="../shared/data/clinc150")
    parser.set_defaults(model_name="e5")
    parser.add_argument("--rows", default="5,10", help="training rows an intent (default: %(default)s)")
    parser.add_argument("--draws", type=int, default=3, help="draws of the rows (default: %(default)s)")
    parser.add_argument("--changes", default="", help="hyperparameters other than the defaults: name=value,…")
    return parser.parse_args()


def _draw(source: Path, folder: Path, *, rows: int, draw: int) -> None:
    """Writes a corpus with so many training rows of each intent, its test part as it is."""
    lines = (source / "train.jsonl").read_text(encoding="utf-8").splitlines()
    by_intent: dict[str, list[str]] = {}
    for line in lines:
        by_intent.setdefault(json.loads(line)["label"], []).append(line)
    generator = random.Random(draw)
    kept = [line for intent in sorted(by_intent) for line in generator.sample(by_intent[intent], rows)]
    (folder / "train.jsonl").write_text("\n".join(kept) + "\n", encoding="utf-8")
    for name in ("test.jsonl", *OUT_OF_SCOPE):
        if (source / name).exists():
            (folder / name).write_bytes((source / name).read_bytes())


def _train(folder: str, arguments: argparse.Namespace, *, seed: int) -> dict[str, float]:
    options = {"data": folder, "model_name": arguments.model_name, "seed": str(seed)}
    config = declarations.train_config("bert", options | by_name(arguments.changes))
    corpus = corpus_of(config)
    frozen = _frozen(config, corpus)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as checkpoints:
        result = stages.train(config, corpus, checkpoints=Path(checkpoints))
    metrics = result.test.report.metrics
    return {
        "frozen_accuracy": frozen,
        **{name: metrics[name] for name in ("accuracy", "f1_weighted", "ece", "auroc") if name in metrics},
        "accepted": float(result.test.predictions.query("true_intent != ''")["in_scope"].mean()),
        "seconds": time.perf_counter() - started,
    }


def _frozen(config: TrainConfig, corpus: Corpus) -> float:
    """Accuracy of the logistic regression on the features of the encoder as it is."""
    hyperparams = config.hyperparams
    ready = prepare(config, corpus, on_note=print)
    transformers.set_seed(hyperparams.seed)
    network = families.build(
        hyperparams, {intent: i for i, intent in enumerate(corpus.intents)}, encoder=ready.encoder
    )
    module, tokenizer = network.module, ready.encoder.tokenizer
    fit_head(module, tokenizer, train=ready.train, precision=precision_of(hyperparams.precision))
    said = outputs(module, tokenizer, texts=corpus.part(TEST)["text"], hyperparams=hyperparams)
    return float((said.logits_BC.argmax(axis=-1) == corpus.label_ids(TEST)).mean())


def _spread(values: Floats) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def _report(measured: dict[str, list[dict[str, float]]], options: dict[str, object]) -> None:
    print("\nrows an intent  " + "  ".join(f"{name:>18}" for name in next(iter(measured.values()))[0]))
    for rows, draws in measured.items():
        columns = {name: np.array([draw[name] for draw in draws]) for name in draws[0]}
        cells = "  ".join(f"{values.mean():10.4f} ±{_spread(values):6.4f}" for values in columns.values())
        print(f"{rows:>14}  {cells}")
    benchmark.write("few_rows", {**options, "measured": measured})


if __name__ == "__main__":
    sys.exit(main())
