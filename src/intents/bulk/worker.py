"""One process that answers chunks of texts, one after another, on one thread."""

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pyarrow
import torch

from intents import answers, artifact
from intents.answers import Answers
from intents.artifact import Artifact
from intents.bulk.columns import ANSWERS
from intents.errors import IntentsError
from intents.models.inference import for_inference
from intents.models.network import predict_logits
from intents.quiet import quieten

BATCH_TEXTS = 64
"""Of like length, in one forward pass: few enough that what they need stays in a processor's cache."""


@dataclass(frozen=True)
class Answered:
    """What became of the texts of a chunk."""

    places: Sequence[int]
    """Which of the texts have an answer, ascending."""
    answers: Any
    """An Arrow batch of the columns ANSWERS, a row a place."""
    refused: Sequence[tuple[int, str]]
    """The places of the other texts, and why they have none."""


def work(connection: Connection, directory: Path) -> None:
    """Says None once the model is loaded, then an `Answered` to each list of texts, until nobody is there to ask.

    An error that the user can mend is sent in place of an answer.
    """
    torch.set_num_threads(1)
    quieten()
    try:
        model = load(directory)
        connection.send(None)
        while True:
            connection.send(answered(connection.recv(), model))
    except IntentsError as error:
        connection.send(error)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        os._exit(0)  # whoever asked is gone


def load(directory: Path) -> Artifact:
    """The verified model, ready to do nothing but predict. Raises ArtifactError."""
    loaded = artifact.load(directory)
    return dataclasses.replace(loaded, module=for_inference(loaded.module))


def answered(texts: Sequence[object], model: Artifact) -> Answered:
    """The answers to those of the texts that can be asked. Raises ArtifactError."""
    asked: list[str] = []
    places: list[int] = []
    refused: list[tuple[int, str]] = []
    for place, text in enumerate(texts):
        if problem := answers.problem(text):
            refused.append((place, problem))
        else:
            asked.append(answers.normalised(str(text)))
            places.append(place)
    logits_BC = predict_logits(
        model.module, model.tokenizer, asked, max_length=model.max_length, batch_size=BATCH_TEXTS
    )
    return Answered(places, _batch(answers.answer(logits_BC, model)), refused)


def _batch(found: Answers) -> Any:
    columns = [getattr(found, field.name) for field in ANSWERS]
    arrays = [pyarrow.array(column, field.type) for column, field in zip(columns, ANSWERS, strict=True)]
    return pyarrow.record_batch(arrays, schema=ANSWERS)
