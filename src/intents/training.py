"""One training run, whichever the family: fit, calibrate, test once, write the model directory.

Progress is reported through callbacks, so nothing here has heard of MLflow.
"""

import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import transformers
from scipy.special import softmax

from intents import artifact, encoders, models, report, scoring
from intents.artifact import Rejection
from intents.config import Hyperparams, TrainConfig
from intents.data.corpus import Corpus
from intents.data.splitting import TEST, TRAIN, VALIDATION
from intents.encoders import Encoder
from intents.errors import ConfigError
from intents.evaluation import EvaluationReport, evaluate
from intents.fitting import Fit, Labelled, OnEpoch, fit
from intents.models.network import fold_temperature, predict_logits
from intents.scoring import Floats

UNKNOWN_SHARE_WARNING = 0.02
SANITY_UTTERANCES = ("你好呀，等下聊聊？", "我这会儿不方便接电话", "地址可以发一下吗？")
MEGABYTE = 2**20


@dataclass(frozen=True)
class TrainingResult:
    """What a run leaves: a model, its measure, and what it cost.

    `predictions` has one row a test utterance, in-scope then out-of-scope. `facts` are numbers worth logging.
    """

    module: Any
    tokenizer: Any
    intents: tuple[str, ...]
    rejection: Rejection
    fit: Fit
    test: EvaluationReport
    predictions: pd.DataFrame
    facts: dict[str, float]


def train(
    config: TrainConfig,
    corpus: Corpus,
    checkpoints: Path,
    *,
    on_epoch: OnEpoch,
    on_note: Callable[[str], None],
) -> TrainingResult:
    """Trains on the corpus's training part and tests the best epoch's model, once. Raises ConfigError or EncoderError.

    `on_epoch(epoch, metrics)` is called after each epoch, `on_note(line)` with what a person should know.
    """
    hyperparams = config.hyperparams
    if hyperparams.unknown_intent in corpus.intents:
        raise ConfigError(
            f"unknown_intent={hyperparams.unknown_intent!r} is an intent of {corpus.name}: what is rejected needs a "
            "name of its own. Pass --unknown_intent <another name>; under mlflow run, -P unknown_intent=<another name>."
        )
    transformers.set_seed(hyperparams.seed)
    encoder = load_encoder(hyperparams, corpus, on_note)
    network = models.build(hyperparams, {intent: i for i, intent in enumerate(corpus.intents)}, encoder)
    selection = labelled(corpus, TEST if hyperparams.selects_on_test else VALIDATION)
    outcome = fit(
        network,
        encoder.tokenizer,
        hyperparams,
        train=labelled(corpus, TRAIN),
        validation=selection,
        checkpoints=checkpoints,
        on_epoch=on_epoch,
    )
    rejection = _calibrate(network.module, encoder.tokenizer, selection, hyperparams)
    test, out_of_scope = labelled(corpus, TEST), corpus.out_of_scope_part(TEST)
    test_logits_BC = _logits(network.module, encoder.tokenizer, test.texts, hyperparams)
    out_of_scope_logits_NC = _logits(network.module, encoder.tokenizer, out_of_scope["text"], hyperparams)
    return TrainingResult(
        module=network.module,
        tokenizer=encoder.tokenizer,
        intents=corpus.intents,
        rejection=rejection,
        fit=outcome,
        test=evaluate(
            test_logits_BC,
            test.labels_B,
            intents=corpus.intents,
            threshold=rejection.energy_threshold,
            out_of_scope_logits_NC=out_of_scope_logits_NC,
        ),
        predictions=pd.concat(
            [
                _predictions(corpus.part(TEST), test_logits_BC, corpus.intents, rejection),
                _predictions(out_of_scope, out_of_scope_logits_NC, corpus.intents, rejection),
            ],
            ignore_index=True,
        ),
        facts=_facts(encoder, network.module, outcome),
    )


def save(result: TrainingResult, config: TrainConfig, corpus: Corpus, directory: Path) -> None:
    """Writes the complete, sealed model directory. `directory` must not exist yet."""
    directory.mkdir(parents=True)
    artifact.save(directory, result.module, result.tokenizer, result.intents, result.rejection)
    artifact.write_json(directory / artifact.EVALUATION_METRICS, _evaluation_metrics(result, config, corpus))
    artifact.write_json(
        directory / artifact.TRAINING_SUMMARY,
        {
            "intent_count": len(corpus.intents),
            "train_rows": len(corpus.part(TRAIN)),
            "test_rows": len(corpus.part(TEST)),
            "validation_rows": len(corpus.part(VALIDATION)),
            "corpus": corpus.name,
            "corpus_digest": corpus.digest,
        },
    )
    result.test.as_table().to_csv(directory / artifact.CLASSIFICATION_REPORT)
    hardest_samples(result.predictions).to_csv(directory / artifact.HARDEST_SAMPLES, index=False)
    _draw(result, corpus, directory)
    # Sealed first so that the model can be loaded from disk, as whoever serves it will; then with what it said.
    artifact.seal(directory)
    _sanity_predictions(directory).to_csv(directory / artifact.SANITY_PREDICTIONS, index=False)
    artifact.seal(directory)


def load_encoder(hyperparams: Hyperparams, corpus: Corpus, on_note: Callable[[str], None]) -> Encoder:
    """The encoder, fitted to the training part's characters; says what it could not spell. Raises EncoderError."""
    encoder = encoders.load(
        hyperparams.model_name,
        corpus.part(TRAIN)["text"],
        max_length=hyperparams.max_length,
        extend_vocabulary=hyperparams.extend_vocabulary,
    )
    if encoder.unknown_share > UNKNOWN_SHARE_WARNING:
        remedy = (
            f"{encoder.added_tokens} missing characters were added, to be learned from this corpus alone."
            if encoder.added_tokens
            else "Use extend_vocabulary=auto, or an encoder of the corpus's language."
        )
        on_note(f"{hyperparams.model_name} can't spell {encoder.unknown_share:.0%} of the corpus. {remedy}")
    return encoder


def labelled(corpus: Corpus, part: str) -> Labelled:
    """The utterances of one part with their label ids."""
    rows = corpus.part(part)
    ids = {intent: i for i, intent in enumerate(corpus.intents)}
    return Labelled(rows["text"].tolist(), rows["label"].map(ids).to_numpy(dtype="int64"))


def hardest_samples(predictions: pd.DataFrame) -> pd.DataFrame:
    """Wrong in-scope predictions, the most confident first."""
    in_scope = predictions[predictions["true_intent"] != ""]
    wrong = in_scope[in_scope["true_intent"] != in_scope["pred_intent"]]
    columns = ["text", "true_intent", "pred_intent", "confidence"]
    return wrong.sort_values("confidence", ascending=False, kind="stable")[columns]


def _logits(module: Any, tokenizer: Any, texts: Any, hyperparams: Hyperparams) -> Floats:
    return predict_logits(
        module,
        tokenizer,
        list(texts),
        max_length=hyperparams.max_length,
        batch_size=hyperparams.evaluation_batch_size,
    )


def _calibrate(module: Any, tokenizer: Any, selection: Labelled, hyperparams: Hyperparams) -> Rejection:
    """Folds the temperature into the head, then fits the threshold on the folded logits."""
    logits_BC = _logits(module, tokenizer, selection.texts, hyperparams)
    temperature = scoring.fit_temperature(logits_BC, selection.labels_B)
    fold_temperature(module, temperature)
    energies_B = scoring.energy(logits_BC / temperature)
    target = hyperparams.target_acceptance
    return Rejection(
        energy_threshold=scoring.fit_threshold(energies_B, target_acceptance=target),
        target=f"accept {target:.1%} of in-scope validation rows",
        unknown_intent=hyperparams.unknown_intent,
        fitted_temperature=temperature,
    )


def _predictions(
    rows: pd.DataFrame, logits_BC: Floats, intents: tuple[str, ...], rejection: Rejection
) -> pd.DataFrame:
    """Of each row: true and predicted intent, confidence, energy, whether accepted; kind if out-of-scope."""
    probabilities_BC = softmax(logits_BC, axis=-1)
    energies_B = scoring.energy(logits_BC)
    is_labelled = "label" in rows
    return pd.DataFrame(
        {
            "text": rows["text"].to_numpy(),
            "true_intent": rows["label"].to_numpy() if is_labelled else "",
            "pred_intent": [intents[i] for i in logits_BC.argmax(axis=-1)],
            "confidence": probabilities_BC.max(axis=-1, initial=0.0).astype(float),
            "energy": energies_B,
            "in_scope": scoring.is_in_scope(energies_B, rejection.energy_threshold),
            "kind": "" if is_labelled else rows["kind"].to_numpy(),
        }
    )


def _facts(encoder: Encoder, module: Any, outcome: Fit) -> dict[str, float]:
    gpu_bytes = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "train_seconds": outcome.seconds,
        "train_samples_per_second": outcome.samples_per_second,
        "best_epoch": outcome.best_epoch,
        "unk_share": encoder.unknown_share,
        "added_tokens": encoder.added_tokens,
        "parameters": sum(weight.numel() for weight in module.parameters()),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MEGABYTE,
        "peak_gpu_memory_mb": gpu_bytes / MEGABYTE,
    }


def _evaluation_metrics(result: TrainingResult, config: TrainConfig, corpus: Corpus) -> dict[str, Any]:
    hyperparams = config.hyperparams
    return {
        "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        "model_name": hyperparams.model_name,
        "epochs": hyperparams.epochs,
        "max_length": hyperparams.max_length,
        "batch_size": hyperparams.batch_size,
        "learning_rate": hyperparams.learning_rate,
        "train_size": len(corpus.part(TRAIN)),
        "test_size": len(corpus.part(TEST)),
        "num_labels": len(corpus.intents),
        "eval": result.test.metrics,
    }


def _draw(result: TrainingResult, corpus: Corpus, directory: Path) -> None:
    table = result.test.per_intent
    report.plot_confusion_matrix(
        directory / artifact.CONFUSION_MATRIX, result.test.confusion_CC, intents=corpus.intents
    )
    report.plot_per_intent_f1(
        directory / artifact.PER_INTENT_F1,
        table["f1-score"].to_numpy(),
        intents=corpus.intents,
        support_C=table["support"].to_numpy(),
    )
    report.plot_intent_distribution(
        directory / artifact.INTENT_DISTRIBUTION, corpus.rows["label"].value_counts()
    )
    report.plot_length_distribution(
        directory / artifact.LENGTH_DISTRIBUTION, corpus.rows["text_length"].to_numpy()
    )


def _sanity_predictions(directory: Path) -> pd.DataFrame:
    """What the model says, once reloaded from disk, to three everyday utterances."""
    loaded = artifact.load(directory)
    logits_BC = predict_logits(
        loaded.module, loaded.tokenizer, SANITY_UTTERANCES, max_length=loaded.max_length
    )
    confidence_B = softmax(logits_BC, axis=-1).max(axis=-1)
    return pd.DataFrame(
        {
            "text": SANITY_UTTERANCES,
            "intent": [loaded.intents[i] for i in logits_BC.argmax(axis=-1)],
            "confidence": [f"{confidence:.4f}" for confidence in confidence_B],
        }
    )
