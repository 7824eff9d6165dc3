"""A trained model as a server runs it: texts to tokens in any thread, tokens to logits in one."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from intents.axes import Floats
from intents.models.directory import Artifact
from intents.models.inference import for_inference

SHORT, LIKE_LENGTH = 8, 2
"""Rows share a forward pass while the longest has at most twice the tokens of the shortest, or of a short row."""
PROBES = ((2, 4), (1, 4), (1, 11), (5, 16), (3, 48))
"""Shapes (B, L) for which what is faster must give the module's own logits."""
TOLERANCE = 1e-4
log = logging.getLogger(__name__)
Network = Callable[[Tensor, Tensor], Tensor]


class Runtime:
    """A model's tokenizer and network, without what training needs of them."""

    def __init__(self, loaded: Artifact) -> None:
        self._padding = int(loaded.tokenizer.pad_token_id)
        # Set up once: transformers' own is set up in every call, which two threads can't do at once.
        self._tokenizer = Tokenizer.from_str(loaded.tokenizer.backend_tokenizer.to_str())
        self._tokenizer.enable_truncation(loaded.max_length)
        self._tokenizer.no_padding()
        self._network = fastest(loaded.module.eval(), tokens=len(loaded.tokenizer))

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text, no more than the model reads. Any thread may ask."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]

    def logits(self, rows: Sequence[Sequence[int]]) -> Floats:
        """Logits (B, C) in float32, in order. Rows are padded beside those of like length only."""
        order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
        logits_BC = np.concatenate([self._forward([rows[i] for i in group]) for group in _alike(rows, order)])
        in_order_BC = np.empty_like(logits_BC)
        in_order_BC[order] = logits_BC
        return in_order_BC

    def _forward(self, rows: Sequence[Sequence[int]]) -> Floats:
        longest = max(1, *map(len, rows))
        ids_BL = np.full((len(rows), longest), self._padding, dtype=np.int64)
        mask_BL = np.zeros_like(ids_BL)
        for place, row in enumerate(rows):
            ids_BL[place, : len(row)] = row
            mask_BL[place, : len(row)] = 1
        with torch.inference_mode():
            logits_BC: Floats = self._network(torch.from_numpy(ids_BL), torch.from_numpy(mask_BL)).numpy()
        return logits_BC


class _Logits(torch.nn.Module):
    """The part of a network's output that is wanted."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module

    def forward(self, ids_BL: Tensor, mask_BL: Tensor) -> Tensor:
        logits_BC: Tensor = self.module(input_ids=ids_BL, attention_mask=mask_BL).logits
        return logits_BC.float()


def fastest(module: Any, *, tokens: int) -> Network:
    """The network made ready for inference, as long as it answers as the module itself does; else that one."""
    own = _Logits(module).eval()
    generator = torch.Generator().manual_seed(0)
    probes = [_probe(*shape, tokens=tokens, generator=generator) for shape in PROBES]
    with torch.inference_mode():
        try:
            network = _Logits(for_inference(module)).eval()
            apart = [(network(*probe) - own(*probe)).abs().max() for probe in probes]
        except (
            RuntimeError,
            TypeError,
            AttributeError,
        ) as error:  # another build of PyTorch may lack operators
            log.warning("the network is run as it is: %s", str(error).splitlines()[0])
            return own
    difference = float(torch.stack(apart).max())
    if not difference <= TOLERANCE:
        log.warning("the network is run as it is: made faster, its logits differ by %g", difference)
        return own
    return network


def _probe(rows: int, length: int, *, tokens: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random token ids, every row one shorter than the one before."""
    ids_BL = torch.randint(tokens, (rows, length), generator=generator)
    mask_BL = (torch.arange(length) < length - torch.arange(rows)[:, None]).long()
    return ids_BL, mask_BL


def _alike(rows: Sequence[Sequence[int]], order: Sequence[int]) -> Iterator[list[int]]:
    """Groups of like length of the places in `order`, which is by length."""
    group: list[int] = []
    for place in order:
        if group and len(rows[place]) > LIKE_LENGTH * max(SHORT, len(rows[group[0]])):
            yield group
            group = []
        group.append(place)
    yield group
