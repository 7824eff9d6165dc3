"""How long one utterance takes, model beside model, in this process."""

import time
from collections.abc import Sequence

import numpy as np
import torch

from intents.artifact import Artifact
from intents.comparison.sides import Latency
from intents.models.network import predict_logits

WARMING, TIMED = 10, 200
"""Utterances each model answers before timing begins, and while it lasts."""


def measure(models: Sequence[Artifact], texts: Sequence[str], *, timed: int = TIMED) -> tuple[Latency, ...]:
    """Each model's latency on one thread, in the order of `models`, over utterances spread evenly over `texts`.

    The models take turns, and who begins changes, so that whatever else the machine does slows all of them.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for place in range(WARMING):
            for model in models:
                _milliseconds(model, texts[place % len(texts)])
        taken = np.empty((timed, len(models)))
        for place in range(timed):
            for turn in range(len(models)):
                number = (place + turn) % len(models)
                taken[place, number] = _milliseconds(models[number], texts[place * len(texts) // timed])
    finally:
        torch.set_num_threads(threads)
    return tuple(Latency(*(float(p) for p in np.percentile(column, [50, 95]))) for column in taken.T)


def _milliseconds(model: Artifact, text: str) -> float:
    began = time.perf_counter()
    predict_logits(model.module, model.tokenizer, [text], max_length=model.max_length)
    return (time.perf_counter() - began) * 1000
