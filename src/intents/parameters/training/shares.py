"""What commands take that train once a share of something and seed, and how shares are written."""

import math
from dataclasses import dataclass

from intents.parameters.declaration import require
from intents.parameters.training.families import Family, by_name, check_overrides


@dataclass(frozen=True, kw_only=True)
class SharesConfig:
    """Trainings by share and seed: of which family, how many a share, with which hyperparameters."""

    family: Family = "textcnn"
    """Model family."""
    seeds: int = 3
    """Draws, each with a training of its own, a share."""
    hyperparams: str = ""
    """Hyperparameters other than the family's defaults, such as epochs=10,learning_rate=1e-3."""

    def __post_init__(self) -> None:
        require(1 <= self.seeds <= 1000, "1 to 1000 draws", seeds=self.seeds)
        check_overrides(self.family, self.hyperparams)

    @property
    def overrides(self) -> dict[str, str]:
        """`hyperparams` by name."""
        return by_name(self.hyperparams)


def as_numbers(shares: str) -> tuple[float, ...]:
    """The shares of a text such as 0.25,0.5; NaN for what is no number."""
    return tuple(map(_number, shares.split(",")))


def are_different_shares(shares: tuple[float, ...]) -> bool:
    """Whether all are above 0 and at most 1, none of them twice."""
    return all(0 < share <= 1 for share in shares) and len(set(shares)) == len(shares)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
