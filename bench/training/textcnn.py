"""The TextCNN against the notebook it grew out of: speed, accuracy and open-set recognition, in one run.

    PYTHONPATH=src python -m bench.training.textcnn            # sparkastml, five re-split seeds, minilm's tokens

Each seed splits both files about 80/20 anew; negatives that are measured are never trained on. `notebook` is the
notebook's loop (24 utterances a step padded to 64 tokens, three passes, Adam, no validation) in plain PyTorch
around this project's network and loss, so that its speed is free of this project's loop, not of its network.
Prints a table and writes bench/results/textcnn.json. Intervals: 95 % bootstrap over the pooled test rows of all seeds.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import transformers
from sklearn.metrics import roc_auc_score
from transformers.utils import logging as transformers_logging

from bench import benchmark
from intents.data import corpus as corpora
from intents.data.corpus import Corpus
from intents.data.parts import TRAIN
from intents.evaluation import held_out
from intents.models import families
from intents.models.directory import RejectionRule
from intents.models.encoders import encoder as encoders
from intents.parameters.training import train as declarations
from intents.parameters.training.train import TrainConfig
from intents.training import objectives, stages
from intents.training.batches import tokens_of

NOTEBOOK_THRESHOLD = -3.0
BOOTSTRAP_SAMPLES = 1000
CONTENDERS: dict[str, dict[str, str]] = {
    "notebook": {"recipe": "notebook"},
    "default": {},
    "four members": {"members": "4"},
}


@dataclass(frozen=True)
class Trained:
    """One training: its predictions of the test part, and its speed."""

    predictions: pd.DataFrame
    samples_per_second: float


def main() -> int:
    arguments = _arguments()
    transformers_logging.disable_progress_bar()
    trained: dict[str, list[Trained]] = {name: [] for name in CONTENDERS}
    for seed in range(arguments.seeds):
        for name, changes in CONTENDERS.items():
            config = declarations.train_config("textcnn", _options(arguments, seed) | changes)
            train = notebook if config.hyperparams.selects_on_test else default
            outcome = train(config, corpora.load(config.data))
            trained[name].append(outcome)
            measured = ", ".join(f"{n} {v:.4f}" for n, v in metrics(outcome.predictions).items())
            rate = f"{outcome.samples_per_second:7.0f} samples/s"
            print(f"seed {seed} {name:12} {rate}, {measured}", flush=True)
    _report(trained, vars(arguments))
    return 0


def _arguments() -> argparse.Namespace:
    parser = benchmark.flags(__doc__, data="../shared/data/sparkastml")
    parser.add_argument("--seeds", type=int, default=5, help="splits (default: %(default)s)")
    return parser.parse_args()


def _options(arguments: argparse.Namespace, seed: int) -> dict[str, str]:
    return {
        "data": arguments.data,
        "model_name": arguments.model_name,
        "split": "random",
        "split_seed": str(seed),
        "seed": str(seed),
    }


def default(config: TrainConfig, corpus: Corpus) -> Trained:
    """This project's training, as `train_cnn` does it."""
    with tempfile.TemporaryDirectory() as checkpoints:
        result = stages.train(
            config,
            corpus,
            checkpoints=Path(checkpoints),
        )
    return Trained(result.test.predictions, result.fit.samples_per_second)


def notebook(config: TrainConfig, corpus: Corpus) -> Trained:
    """The notebook's loop over the notebook's loss; the last epoch's model at threshold -3."""
    hyperparams = config.hyperparams
    transformers.set_seed(hyperparams.seed)
    encoder = encoders.load(hyperparams, corpus.part(TRAIN)["text"], workspace=Path(config.data.workspace))
    intent2id = {intent: i for i, intent in enumerate(corpus.intents)}
    module = families.build(hyperparams, intent2id, encoder=encoder).module
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    optimizer = torch.optim.Adam(weights, lr=hyperparams.learning_rate)
    texts, labels_B = corpus.part(TRAIN)["text"].tolist(), torch.tensor(corpus.label_ids(TRAIN))
    batch = encoder.tokenizer(
        texts,
        truncation=True,
        max_length=hyperparams.max_length,
        padding="max_length",
        return_tensors="pt",
    )
    steps = hyperparams.epochs * (len(texts) // hyperparams.batch_size + 1)
    negatives = tokens_of(
        encoder.tokenizer, corpus.trainable_out_of_scope(), max_length=hyperparams.max_length
    )
    loss_of = objectives.build(
        hyperparams, encoder.tokenizer, negatives=negatives, rows=len(texts), steps=steps
    )
    module.train()
    started = time.perf_counter()
    for _ in range(hyperparams.epochs):
        for places in torch.randperm(len(texts)).split(hyperparams.batch_size):
            step = loss_of(
                module, {name: tensor[places] for name, tensor in batch.items()}, labels_B=labels_B[places]
            )
            optimizer.zero_grad()
            step.loss.backward()
            optimizer.step()
    seconds = time.perf_counter() - started
    rejection = RejectionRule(NOTEBOOK_THRESHOLD, "fixed", hyperparams.unknown_intent, fitted_temperature=1.0)
    outcome = held_out.measure(
        module, encoder.tokenizer, corpus=corpus, hyperparams=hyperparams, rejection=rejection
    )
    return Trained(outcome.predictions, hyperparams.epochs * len(texts) / seconds)


def metrics(predictions: pd.DataFrame) -> dict[str, float]:
    """Accuracy over the intents; AUROC, F1, precision and recall of accepting."""
    is_in_scope = (predictions["true_intent"] != "").to_numpy()
    accepted = predictions["in_scope"].to_numpy(dtype=bool)
    right = (predictions["true_intent"] == predictions["pred_intent"]).to_numpy()
    hits = int((accepted & is_in_scope).sum())
    return {
        "accuracy": float(right[is_in_scope].mean()),
        "auroc": float(roc_auc_score(is_in_scope, -predictions["energy"])),
        "f1": 2 * hits / max(int(accepted.sum()) + int(is_in_scope.sum()), 1),
        "precision": hits / max(int(accepted.sum()), 1),
        "recall": hits / int(is_in_scope.sum()),
    }


def pooled(outcomes: list[Trained]) -> dict[str, tuple[float, float, float]]:
    """Of each metric: the mean over the seeds, and a 95 % interval.

    Rows are redrawn within each seed, so that energies are only ever ranked against energies of the same model.
    """
    generator = np.random.default_rng(0)
    tables = [outcome.predictions for outcome in outcomes]

    def mean(redraws: bool) -> dict[str, float]:
        drawn = [t.iloc[generator.integers(len(t), size=len(t))] if redraws else t for t in tables]
        return pd.DataFrame([metrics(table) for table in drawn]).mean().to_dict()

    samples = pd.DataFrame([mean(True) for _ in range(BOOTSTRAP_SAMPLES)])
    low, high = samples.quantile(0.025), samples.quantile(0.975)
    return {name: (value, float(low[name]), float(high[name])) for name, value in mean(False).items()}


def _report(trained: dict[str, list[Trained]], options: dict[str, Any]) -> None:
    rates = {
        recipe: float(np.median([o.samples_per_second for o in all_])) for recipe, all_ in trained.items()
    }
    table = {recipe: pooled(outcomes) for recipe, outcomes in trained.items()}
    print(f"\n{'':10} samples/s  " + "  ".join(f"{name:>24}" for name in table["default"]))
    for recipe, measured in table.items():
        cells = "  ".join(f"{mean:.4f} [{low:.4f}, {high:.4f}]" for mean, low, high in measured.values())
        print(f"{recipe:10} {rates[recipe]:9.0f}  {cells}")
    ratios = {name: rate / rates["notebook"] for name, rate in rates.items()}
    print(
        "\nsamples a second beside the notebook's loop: " + str({n: round(r, 1) for n, r in ratios.items()})
    )
    result = {**options, "samples_per_second": rates, "ratios": ratios, "pooled": table}
    benchmark.write("textcnn", result)


if __name__ == "__main__":
    sys.exit(main())
