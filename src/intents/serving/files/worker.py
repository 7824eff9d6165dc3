"""One process that answers chunks of texts, one after another, on one thread."""

import gc
import hashlib
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pyarrow
import torch

from intents.axes import Floats
from intents.errors import IntentsError
from intents.models import directory as model_directory
from intents.models.file_names import MANIFEST
from intents.serving import answers
from intents.serving.files.answer_columns import ANSWERS, Answered
from intents.serving.runtime import Runtime
from intents.system.console import quieten

WARMING_CHUNKS = 3
BATCH_TEXTS = 64
"""Of like length, in one forward pass: few enough that what they need stays in a processor's cache."""


class Model:
    """A model as the server runs it, asked for many texts at once."""

    def __init__(self, directory: Path) -> None:
        """Loads and verifies the directory. Raises ArtifactError."""
        self._artifact = model_directory.load(directory)
        self.digest = hashlib.sha256((directory / MANIFEST).read_bytes()).hexdigest()
        self._runtime = Runtime(self._artifact)

    def answered(self, texts: Sequence[object]) -> Answered:
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
        found = answers.answer(self._logits(asked), self._artifact)
        columns = [pyarrow.array(getattr(found, field.name), field.type) for field in ANSWERS]
        return Answered(places, pyarrow.record_batch(columns, schema=ANSWERS), refused)

    def _logits(self, texts: Sequence[str]) -> Floats:
        """Logits (B, C), from batches of texts of like length."""
        rows = self._runtime.tokens(texts)
        order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
        logits_BC = np.empty((len(rows), len(self._artifact.intents)), dtype=np.float32)
        for start in range(0, len(order), BATCH_TEXTS):
            batch = order[start : start + BATCH_TEXTS]
            logits_BC[batch] = self._runtime.logits([rows[place] for place in batch])
        return logits_BC


def work(connection: Connection, directory: Path) -> None:
    """Says the model's digest once it is loaded, then an `Answered` to each list of texts, while somebody asks.

    An error that the user can mend is sent in place of an answer.
    """
    gc.freeze()  # what was inherited is not looked through, so its memory stays shared
    torch.set_num_threads(1)
    quieten()
    try:
        model = Model(directory)
        for _ in range(WARMING_CHUNKS):  # the first answers take longer
            model.answered(["warm" * length for length in range(1, BATCH_TEXTS)])
        connection.send(model.digest)
        while True:
            connection.send(model.answered(connection.recv()))
    except IntentsError as error:
        connection.send(error)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # whoever asked is gone
