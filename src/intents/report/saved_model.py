"""A trained model's directory: the model, what was measured of it, and the pictures."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from scipy.special import softmax

from intents.data.corpus import Corpus
from intents.data.formats import spreadsheets
from intents.data.parts import TEST, TRAIN, VALIDATION
from intents.data.utterances import fingerprints
from intents.evaluation.evaluate import reliability
from intents.models import directory as model_directory
from intents.models.file_names import (
    CLASSIFICATION_REPORT,
    CONFUSION_MATRIX,
    ENERGIES,
    EVALUATION_METRICS,
    HARDEST_SAMPLES,
    INTENT_DISTRIBUTION,
    LENGTH_DISTRIBUTION,
    OPEN_SET_KINDS,
    OPEN_SET_SCORES,
    PER_INTENT_F1,
    RELIABILITY,
    SANITY_PREDICTIONS,
    TRAINING_SUMMARY,
)
from intents.models.network import predict_logits
from intents.parameters.training.train import TrainConfig
from intents.report.page import counts
from intents.report.pictures import bars, confusion, distributions
from intents.training.stages import TrainingResult

SANITY_UTTERANCES = ("你好呀，等下聊聊？", "我这会儿不方便接电话", "地址可以发一下吗？")


def save(result: TrainingResult, config: TrainConfig, *, corpus: Corpus, directory: Path) -> None:
    """Writes the complete, sealed model directory. `directory` must not exist yet."""
    directory.mkdir(parents=True)
    model_directory.save(
        directory,
        result.module,
        tokenizer=result.tokenizer,
        intents=result.intents,
        rejection=result.rejection,
    )
    measured = _evaluation_metrics(result, config, corpus=corpus)
    model_directory.write_json(directory / EVALUATION_METRICS, measured)
    model_directory.write_json(
        directory / TRAINING_SUMMARY,
        {
            "intent_count": len(corpus.intents),
            "train_rows": len(corpus.part(TRAIN)),
            "test_rows": len(corpus.part(TEST)),
            "validation_rows": len(corpus.part(VALIDATION)),
            "corpus": corpus.name,
            "corpus_digest": corpus.digest,
        },
    )
    spreadsheets.write(result.test.report.as_table(), directory / CLASSIFICATION_REPORT, index=True)
    spreadsheets.write(hardest_samples(result.test.predictions), directory / HARDEST_SAMPLES)
    if not result.test.kinds.empty:
        spreadsheets.write(result.test.kinds, directory / OPEN_SET_KINDS, index=True)
        spreadsheets.write(result.test.scores, directory / OPEN_SET_SCORES, index=True)
    model_directory.write_training_rows(directory, fingerprints(_seen(corpus)))
    _draw(result, corpus, directory=directory)
    # Sealed first so that the model can be loaded from disk, as whoever serves it will; then with what it said.
    model_directory.seal(directory)
    spreadsheets.write(_sanity_predictions(directory), directory / SANITY_PREDICTIONS)
    model_directory.seal(directory)


def _seen(corpus: Corpus) -> "pd.Series[str]":
    """Every utterance that was trained on, or that chose the epoch, the temperature and the threshold."""
    tables = [table.loc[table["part"] != TEST, "text"] for table in (corpus.rows, corpus.out_of_scope)]
    seen: pd.Series[str] = pd.concat(tables)
    return seen


def hardest_samples(predictions: pd.DataFrame) -> pd.DataFrame:
    """Wrong in-scope predictions, the most confident first."""
    in_scope, _ = counts.split(predictions)
    wrong = in_scope[~counts.is_right(in_scope)]
    columns = ["text", "true_intent", "pred_intent", "confidence"]
    return wrong.sort_values("confidence", ascending=False, kind="stable")[columns]


def _evaluation_metrics(result: TrainingResult, config: TrainConfig, *, corpus: Corpus) -> dict[str, Any]:
    told = ("model_name", "epochs", "max_length", "batch_size", "learning_rate")
    return {
        "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        **{name: getattr(config.hyperparams, name) for name in told},
        "train_size": len(corpus.part(TRAIN)),
        "test_size": len(corpus.part(TEST)),
        "num_labels": len(corpus.intents),
        "eval": result.test.report.metrics,
    }


def _draw(result: TrainingResult, corpus: Corpus, *, directory: Path) -> None:
    report, intents, lengths_N = result.test.report, corpus.intents, corpus.rows["text_length"].to_numpy()
    f1_C, support_C = (report.per_intent[name].to_numpy() for name in ("f1-score", "support"))
    confusion.plot_confusion_matrix(directory / CONFUSION_MATRIX, report.confusion_CC, intents=intents)
    bars.plot_per_intent_f1(directory / PER_INTENT_F1, f1_C, intents=intents, support_C=support_C)
    bars.plot_intent_distribution(directory / INTENT_DISTRIBUTION, corpus.rows["label"].value_counts())
    distributions.plot_length_distribution(directory / LENGTH_DISTRIBUTION, lengths_N)
    in_scope, out_of_scope = counts.split(result.test.predictions)
    distributions.plot_energies(
        directory / ENERGIES,
        in_scope["energy"].to_numpy(),
        out_of_scope_N=out_of_scope["energy"].to_numpy(),
        threshold=result.rejection.energy_threshold,
    )
    distributions.plot_reliability(
        directory / RELIABILITY,
        reliability(in_scope["confidence"].to_numpy(), counts.is_right(in_scope).to_numpy()),
        ece=report.metrics["ece"],
    )


def _sanity_predictions(directory: Path) -> pd.DataFrame:
    """What the model says, once reloaded from disk, to three everyday utterances."""
    loaded = model_directory.load(directory)
    logits_BC = predict_logits(
        loaded.module, loaded.tokenizer, texts=SANITY_UTTERANCES, max_length=loaded.max_length
    )
    intents = [loaded.intents[i] for i in logits_BC.argmax(axis=-1)]
    confidences = [f"{confidence:.4f}" for confidence in softmax(logits_BC, axis=-1).max(axis=-1)]
    return pd.DataFrame({"text": SANITY_UTTERANCES, "intent": intents, "confidence": confidences})
