"""The network as a server runs it: texts to tokens from any thread, tokens to logits in one."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from intents.artifact import Artifact
from intents.scoring import Floats

SHORT, LIKE_LENGTH = 8, 2
"""Rows share a forward pass while the longest has at most twice the tokens of the shortest, or of a short row."""


class Runtime:
    """A model's tokenizer and network, without what training needs of them."""

    def __init__(self, loaded: Artifact) -> None:
        self._module: Any = loaded.module.eval()
        self._padding = loaded.tokenizer.pad_token_id
        # Set up once: transformers' own tokenizer is set up in each call, which two threads can't do at once.
        self._tokenizer = Tokenizer.from_str(loaded.tokenizer.backend_tokenizer.to_str())
        self._tokenizer.enable_truncation(loaded.max_length)
        self._tokenizer.no_padding()

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text, at most the model's length. Any thread may ask."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]

    def logits(self, rows: Sequence[Sequence[int]]) -> Floats:
        """Logits (B, C) in float32, in order. Rows are padded beside those of like length only."""
        order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
        logits_BC = np.concatenate([self._forward([rows[i] for i in group]) for group in _alike(rows, order)])
        in_order_BC = np.empty_like(logits_BC)
        in_order_BC[order] = logits_BC
        return in_order_BC

    def _forward(self, rows: Sequence[Sequence[int]]) -> Floats:
        longest = max(1, max(map(len, rows)))
        ids_BL = np.full((len(rows), longest), self._padding, dtype=np.int64)
        mask_BL = np.zeros_like(ids_BL)
        for place, row in enumerate(rows):
            ids_BL[place, : len(row)] = row
            mask_BL[place, : len(row)] = 1
        with torch.inference_mode():
            logits_BC = self._module(
                input_ids=torch.from_numpy(ids_BL), attention_mask=torch.from_numpy(mask_BL)
            ).logits
        found_BC: Floats = logits_BC.float().numpy()
        return found_BC


def _alike(rows: Sequence[Sequence[int]], order: Sequence[int]) -> Iterator[list[int]]:
    """Groups of like length of the places in `order`, which is by length."""
    group: list[int] = []
    for place in order:
        if group and len(rows[place]) > LIKE_LENGTH * max(SHORT, len(rows[group[0]])):
            yield group
            group = []
        group.append(place)
    yield group
