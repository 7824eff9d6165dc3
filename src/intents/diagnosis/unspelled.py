"""Unspelled: utterances that an encoder's tokens can't spell, so that the model sees little or nothing of them."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from intents.data.splitting import TEST
from intents.diagnosis import spelling
from intents.diagnosis.finding import Evidence, Finding, shown_rows

UNKNOWN = "unknown_tokens"
MOSTLY = 0.5
"""Share of unknown tokens from which an utterance is taken for lost."""


def findings(known: Evidence, tokenizer: Any) -> Iterator[Finding]:
    """What the encoder's vocabulary lacks for this corpus."""
    share_B = spelling.unknown_shares(tokenizer, known.rows["text"])
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
        advice="Choose an encoder of this language; extend_vocabulary=auto adds what the training part has.",
        estimate=float((is_lost_B & is_tested_B).sum()) * (1 - known.error_rate),
        rows=shown_rows(rows, reasons=[f"{share:.0%} of its tokens are unknown" for share in share_B[order]]),
        table=table.reset_index(),
    )
