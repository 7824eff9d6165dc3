"""Characters that an encoder can't spell, counted in a corpus and told as a finding."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from intents.data.corpus import Corpus
from intents.data.parts import TEST, TRAIN, VALIDATION
from intents.diagnosis.finding import Evidence, Finding, shown_rows
from intents.models.encoders import encoder

UNKNOWN = "unknown_tokens"
MOSTLY = 0.5
"""Share of unknown tokens from which an utterance is taken for lost."""
CHOOSE = "Choose an encoder of this language; extend_vocabulary=auto adds what the training part has."
ADD = "Add training rows that have these characters: so far none has."
"""What char, which spells whatever it was trained on, always wants."""


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


def findings(known: Evidence, tokenizer: Any) -> Iterator[Finding]:
    """What the encoder's vocabulary lacks for this corpus."""
    share_B = np.array([encoder.unknown_share(tokenizer, [text]) for text in known.rows["text"]], dtype=float)
    order = np.flatnonzero(share_B > 0)
    order = order[np.argsort(-share_B[order], kind="stable")]
    if not len(order):
        return
    rows, is_lost_B = known.rows.iloc[order], share_B >= MOSTLY
    table = known.rows.assign(share=share_B, lost=is_lost_B).groupby("part")[["share", "lost"]].mean()
    is_tested_B = (known.rows["part"] == TEST).to_numpy()
    yield Finding(
        kind=UNKNOWN,
        headline=f"{len(order):,} of {len(known.rows):,} utterances have unknown tokens, "
        f"{int(is_lost_B.sum()):,} of them half or more",
        advice=CHOOSE if TRAIN in set(rows["part"]) else ADD,
        estimate=float((is_lost_B & is_tested_B).sum()) * (1 - known.error_rate),
        rows=shown_rows(rows, reasons=[f"{share:.0%} of its tokens are unknown" for share in share_B[order]]),
        table=table.reset_index(),
    )
