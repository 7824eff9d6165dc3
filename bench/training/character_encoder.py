"""How the default encoder was chosen: candidates trained alike on the Chinese corpora's training part.

    PYTHONPATH=src python -m bench.training.character_encoder

A fifth of the training part is held out and measured on; the test part is never touched. Prints a table and
writes bench/results/character_encoder.json. A character TF-IDF with logistic regression is the mark to beat.
"""

import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import transformers
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from transformers import AutoConfig, AutoModelForSequenceClassification
from transformers.utils import logging as transformers_logging

from bench import benchmark
from intents.data import corpus as corpora
from intents.data.parts import TRAIN, VALIDATION
from intents.models.bert import CHARACTER_ENCODER, WIDE, look_at_neighbours
from intents.models.encoders import encoder
from intents.models.network import Network
from intents.parameters.training import train as declarations
from intents.parameters.training.bert import BertHyperparams
from intents.training.batches import Labelled, TokenDataset
from intents.training.callbacks import Callbacks
from intents.training.fit import fit
from intents.training.prepare import labelled

DATA = "../shared/data/telemarketing_intent_cn/telemarketing_intent_cn.jsonl,../shared/data/crosswoz/crosswoz.jsonl"


@dataclass(frozen=True)
class Candidate:
    """An architecture: what differs from the chosen one, and whether heads begin at their neighbours."""

    changes: dict[str, Any] = field(default_factory=dict)
    looks_at_neighbours: bool = True


CANDIDATES = {
    "chosen: ModernBERT, 2 narrow layers + 1 wide, mean of tokens": Candidate(),
    "heads begin anywhere": Candidate(looks_at_neighbours=False),
    "the library's first weights (0.02)": Candidate({"initializer_range": 0.02}),
    "both of these": Candidate({"initializer_range": 0.02}, looks_at_neighbours=False),
    "the library's rotary base": Candidate({"rope_parameters": None}),
    "3 wide layers": Candidate({"layer_types": [WIDE] * 3}),
    "first token instead of mean": Candidate({"classifier_pooling": "cls"}),
}


def main() -> int:
    transformers_logging.disable_progress_bar()
    options = {"data": DATA, "model_name": "char", "split": "stratified", "validation_size": "0.2"}
    config = declarations.train_config("bert", options)
    corpus = corpora.load(config.data)
    train, held_out = labelled(corpus, TRAIN), labelled(corpus, VALIDATION)
    rows = [{"encoder": "TF-IDF of 1-2 characters, logistic regression", **_baseline(train, held_out)}]
    print(rows[0], flush=True)
    for name, candidate in CANDIDATES.items():
        measured = _measure(candidate, config.hyperparams, len(corpus.intents), train, held_out)
        rows.append({"encoder": name, **measured})
        print(rows[-1], flush=True)
    benchmark.write("character_encoder", {"rows": rows, "train_rows": len(train.texts)})
    print("\n".join(f"| {r['encoder']} | {r['parameters_m']:.1f}M | {r['f1_weighted']:.4f} |" for r in rows))
    return 0


def _baseline(train: Labelled, held_out: Labelled) -> dict[str, float]:
    features = TfidfVectorizer(analyzer="char", ngram_range=(1, 2), sublinear_tf=True)
    model = make_pipeline(features, LogisticRegression(C=10, max_iter=1000)).fit(train.texts, train.labels_B)
    score = f1_score(held_out.labels_B, model.predict(held_out.texts), average="weighted")
    return {"f1_weighted": float(score), "parameters_m": model[-1].coef_.size / 1e6}


def _measure(
    candidate: Candidate, hyperparams: BertHyperparams, intents: int, train: Labelled, held_out: Labelled
) -> dict[str, float]:
    transformers.set_seed(hyperparams.seed)
    tokenizer = encoder.character_tokenizer(train.texts, max_length=hyperparams.max_length)
    config = AutoConfig.for_model(
        "modernbert",
        **{**CHARACTER_ENCODER, **candidate.changes},
        vocab_size=len(tokenizer),
        num_labels=intents,
        pad_token_id=tokenizer.pad_token_id,
    )
    module = AutoModelForSequenceClassification.from_config(config)
    if candidate.looks_at_neighbours:
        look_at_neighbours(module)
    network = Network(module, new_weights=frozenset(name for name, _ in module.named_parameters()))
    with tempfile.TemporaryDirectory() as checkpoints:
        outcome = fit(
            network,
            tokenizer,
            hyperparams=replace(hyperparams, patience=0),
            train=TokenDataset.of(tokenizer, train, max_length=hyperparams.max_length),
            validation=TokenDataset.of(tokenizer, held_out, max_length=hyperparams.max_length),
            negatives=(),
            folder=Path(checkpoints),
            callbacks=Callbacks(),
        )
    parameters = sum(weight.numel() for weight in module.parameters())
    return {
        "f1_weighted": outcome.best_f1_weighted,
        "seconds": outcome.seconds,
        "parameters_m": parameters / 1e6,
    }


if __name__ == "__main__":
    sys.exit(main())
