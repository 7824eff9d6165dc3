"""How well an encoder spells a corpus: unknown tokens and cut utterances of each part, without training."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from intents.data.corpus import Corpus
from intents.data.splitting import TEST, TRAIN, VALIDATION
from intents.models.encoders import encoder
from intents.models.energy import Floats


def tokenizer_for(corpus: Corpus, model_name: str, *, max_length: int) -> Any:
    """The encoder's tokenizer for this corpus, nothing added to its vocabulary. Raises EncoderError."""
    return encoder.tokenizer_for(model_name, list(corpus.part(TRAIN)["text"]), max_length=max_length)


def unknown_shares(tokenizer: Any, texts: Iterable[str]) -> Floats:
    """The share of each utterance's tokens that are unknown, shape (B,)."""
    return np.array([encoder.unknown_share(tokenizer, [text]) for text in texts], dtype=float)


def account(corpus: Corpus, tokenizer: Any, *, model_name: str, max_length: int) -> list[str]:
    """A line each part: the share of tokens the encoder can't spell, and the utterances cut."""
    texts = {part: list(corpus.part(part)["text"]) for part in (TRAIN, VALIDATION, TEST)}
    texts["out-of-scope"] = list(corpus.out_of_scope["text"])
    return [
        f"spelled by {model_name}: {encoder.unknown_share(tokenizer, found):.1%} of {part} tokens unknown, "
        f"{_cut(tokenizer, found, max_length=max_length):,} of {len(found):,} utterances over {max_length} tokens"
        for part, found in texts.items()
        if found
    ]


def _cut(tokenizer: object, texts: Sequence[str], *, max_length: int) -> int:
    encoded = tokenizer(list(texts), truncation=False, return_attention_mask=False)["input_ids"]  # type: ignore[operator]
    return sum(len(ids) > max_length for ids in encoded)
