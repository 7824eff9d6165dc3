"""Which epoch is kept."""

import math
from collections.abc import Mapping
from typing import Any


class Selection:
    """Which epoch to keep: strictly the best, or the latest that validation rows can't tell from the best.

    Each epoch gets a number; the highest is kept. With "latest" that is the epoch's own number as long as its
    weighted F1 is within one standard error of the best so far, else 0. The learning rate falls to the end, so of
    epochs that are alike the later one generalises better; the highest F1 of many epochs is partly luck.
    """

    def __init__(self, rule: str) -> None:
        self.rule = rule
        self.best = 0.0
        self.epoch = 0

    def restore(self, remembered: Mapping[str, Any]) -> None:
        """Goes on from what another one's `vars` were; from the beginning if they are empty."""
        vars(self).update(remembered)

    def __call__(self, f1_weighted: float, *, rows: int) -> float:
        """The number of the next epoch, its weighted F1 measured on so many rows."""
        if self.rule == "best":
            return f1_weighted
        self.epoch += 1
        self.best = max(self.best, f1_weighted)
        standard_error = math.sqrt(self.best * (1 - self.best) / rows)
        return float(self.epoch if f1_weighted >= self.best - standard_error else 0)
