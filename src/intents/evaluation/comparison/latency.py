"""How long one utterance takes, model beside model, in this process."""

import itertools
import time
from collections.abc import Sequence

import numpy as np
import torch

from intents.evaluation.comparison.sides import Latency
from intents.models.directory import Artifact
from intents.models.network import predict_logits

WARMING, TIMED, ROUNDS = 10, 60, 5
"""Utterances that each model answers before timing begins; those that are timed; how often each of them is."""


def measure(models: Sequence[Artifact], texts: Sequence[str], *, timed: int = TIMED) -> tuple[Latency, ...]:
    """Each model's latency on one thread, in the order of `models`, over utterances spread evenly over `texts`.

    Of an utterance's rounds the fastest counts: whatever else the machine does only ever slows one. The models take
    turns, and who begins changes.
    """
    chosen = [texts[place * len(texts) // timed] for place in range(timed)]
    taken = np.empty((ROUNDS, timed, len(models)))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for text in chosen[:WARMING]:
            for model in models:
                _milliseconds(model, text)
        for number, place in itertools.product(range(ROUNDS), range(timed)):
            for turn in range(len(models)):
                chosen_model = (number + place + turn) % len(models)
                taken[number, place, chosen_model] = _milliseconds(models[chosen_model], chosen[place])
    finally:
        torch.set_num_threads(threads)
    fastest = taken.min(axis=0)
    return tuple(Latency(*(float(p) for p in np.percentile(column, [50, 95]))) for column in fastest.T)


def _milliseconds(model: Artifact, text: str) -> float:
    began = time.perf_counter()
    predict_logits(model.module, model.tokenizer, texts=[text], max_length=model.max_length)
    return (time.perf_counter() - began) * 1000
