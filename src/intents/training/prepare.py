"""What a training starts from: its corpus, its encoder, its labelled rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from intents.data import corpus as corpora
from intents.data.corpus import Corpus
from intents.data.parts import TEST, TRAIN, VALIDATION
from intents.models.encoders import encoder as encoders
from intents.models.encoders.encoder import Encoder
from intents.parameters.training.hyperparams import Hyperparams
from intents.parameters.training.train import TrainConfig
from intents.system import processes
from intents.training.batches import Labelled, TokenDataset, Tokens, tokens_of

UNKNOWN_SHARE_WARNING = 0.02


@dataclass(frozen=True)
class Prepared:
    """The encoder and the tokens that training takes: the same for all trainings that agree on what it depends on."""

    encoder: Encoder
    train: TokenDataset
    validation: TokenDataset
    negatives: list[Tokens]


def corpus_of(config: TrainConfig) -> Corpus:
    """The corpus as the training takes it. Raises DataError."""
    hyperparams = config.hyperparams
    cross_fits = hyperparams.cross_fits and processes.count() == 1  # those beside it would wait for ever
    corpus = corpora.load(config.data, selects_on_test=hyperparams.selects_on_test, cross_fits=cross_fits)
    return corpus.few_rows_trained_on() if cross_fits else corpus


def prepare(config: TrainConfig, corpus: Corpus, *, on_note: Callable[[str], None]) -> Prepared:
    """The encoder and the corpus's tokens; says what the encoder can't spell. Raises EncoderError."""
    hyperparams = config.hyperparams
    encoder = load_encoder(config, corpus, on_note=on_note)
    learned = labelled(corpus, TRAIN)
    if hyperparams.intent_names == "learn":
        learned = with_names(learned, corpus.intents)
    train, validation = (
        TokenDataset.of(encoder.tokenizer, rows, max_length=hyperparams.max_length)
        for rows in (learned, labelled(corpus, selecting_part(hyperparams)))
    )
    negatives = tokens_of(
        encoder.tokenizer, corpus.trainable_out_of_scope(), max_length=hyperparams.max_length
    )
    return Prepared(encoder, train, validation, negatives)


def selecting_part(hyperparams: Hyperparams) -> str:
    """The part that chooses the epoch, the temperature and the threshold."""
    return TEST if hyperparams.selects_on_test else VALIDATION


def load_encoder(config: TrainConfig, corpus: Corpus, *, on_note: Callable[[str], None]) -> Encoder:
    """The encoder, fitted to the training part's characters; says what it could not spell. Raises EncoderError."""
    hyperparams = config.hyperparams
    encoder = encoders.load(hyperparams, corpus.part(TRAIN)["text"], workspace=Path(config.data.workspace))
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
    return Labelled(corpus.part(part)["text"].tolist(), corpus.label_ids(part))


def with_names(rows: Labelled, intents: Sequence[str]) -> Labelled:
    """The rows and, one more of each intent, its name: what an encoder that reads can know before any utterance."""
    spoken = [" ".join(intent.replace("_", " ").replace("-", " ").split()) for intent in intents]
    return Labelled([*rows.texts, *spoken], np.concatenate([rows.labels_B, np.arange(len(intents))]))
