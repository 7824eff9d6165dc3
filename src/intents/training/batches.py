"""Batches: encoded utterances with their labels, and the order in which training reads them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
import transformers

from intents.axes import Integers
from intents.parameters.training.hyperparams import Hyperparams

Tokens = Sequence[int]
"""One utterance's token ids."""
POOL_BATCHES = 50


@dataclass(frozen=True)
class Labelled:
    """Utterances and their label ids, shape (B,)."""

    texts: Sequence[str]
    labels_B: Integers


def tokens_of(tokenizer: Any, texts: Sequence[str], *, max_length: int) -> list[Tokens]:
    """The tokens of utterances, cut at `max_length`."""
    if not texts:
        return []
    return list(tokenizer(list(texts), truncation=True, max_length=max_length)["input_ids"])


class TokenDataset(torch.utils.data.Dataset[dict[str, Any]]):
    """Encoded utterances with their labels."""

    def __init__(self, input_ids: Sequence[Tokens], labels_B: Integers) -> None:
        self.input_ids = input_ids
        self.labels_B = labels_B

    @classmethod
    def of(cls, tokenizer: Any, rows: Labelled, *, max_length: int) -> Self:
        """The tokens of labelled utterances, cut at `max_length`."""
        return cls(tokens_of(tokenizer, rows.texts, max_length=max_length), rows.labels_B)

    def repeated(self, passes: int) -> Self:
        """The same rows so many times over."""
        return type(self)([*self.input_ids] * passes, np.tile(self.labels_B, passes))

    def __len__(self) -> int:
        return len(self.input_ids)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"input_ids": self.input_ids[index], "labels": int(self.labels_B[index])}


class LengthBatchedSampler(torch.utils.data.Sampler[int]):
    """Places of the training rows, so ordered that each run of `batch_size` of them holds like lengths.

    Pools of POOL_BATCHES batches are drawn at random, sorted by length and cut into batches; then all batches are
    shuffled. (transformers' own sampler leaves each pool in order of length, so that a small corpus is read from
    its longest utterance to its shortest in every epoch: measurably worse.) A last, smaller batch stays last.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, *, shared_seed: int | None = None) -> None:
        """With `shared_seed` every process that has it draws the same order, else the global generator's."""
        self.lengths_B = torch.tensor(lengths)
        self.batch_size = batch_size
        self.shared_seed = shared_seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called before each epoch, so that a shared seed does not repeat one order."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths_B)

    def __iter__(self) -> Iterator[int]:
        generator = None
        if self.shared_seed is not None:
            generator = torch.Generator().manual_seed(self.shared_seed + self.epoch)
        order = torch.randperm(len(self), generator=generator)
        whole = len(order) // self.batch_size * self.batch_size
        pools = torch.split(order[:whole], POOL_BATCHES * self.batch_size)
        batches = [
            batch
            for pool in pools
            for batch in torch.split(pool[self.lengths_B[pool].argsort()], self.batch_size)
        ]
        for place in torch.randperm(len(batches), generator=generator):
            yield from batches[int(place)].tolist()
        yield from order[whole:].tolist()


def collator(tokenizer: Any, hyperparams: Hyperparams) -> Any:
    """What pads encoded utterances to one batch."""
    is_fixed = hyperparams.padding == "max_length"
    return transformers.DataCollatorWithPadding(
        tokenizer, padding=hyperparams.padding, max_length=hyperparams.max_length if is_fixed else None
    )
