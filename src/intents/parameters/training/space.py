"""What tuning may choose a hyperparameter from."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Between:
    """Any number from `low` to `high`; with `is_log` each order of magnitude is as likely as another."""

    low: float
    high: float
    is_log: bool = False

    def __contains__(self, value: Any) -> bool:
        return bool(self.low <= value <= self.high)


@dataclass(frozen=True)
class OneOf:
    """One of some values that have no order, or too few to have one that helps."""

    choices: tuple[Any, ...]

    def __contains__(self, value: Any) -> bool:
        return value in self.choices


Range = Between | OneOf
