"""The parameters of `evaluate_open_set`."""

import math
from dataclasses import dataclass

from intents.parameters.declaration import require
from intents.parameters.training.families import Family, by_name, check_overrides


@dataclass(frozen=True, kw_only=True)
class OpenSetConfig:
    """Leaving intents out: which shares stay known, how often, with which family."""

    family: Family = "textcnn"
    """Model family."""
    known_shares: str = "0.25,0.5,0.75"
    """Shares of the intents that are trained on; the others are out-of-scope."""
    seeds: int = 3
    """Draws of the known intents, each with a training of its own, a share."""
    hyperparams: str = ""
    """Hyperparameters other than the family's defaults, such as epochs=10,learning_rate=1e-3."""

    def __post_init__(self) -> None:
        shares = self.known_shares.split(",")
        are_shares = all(_is_number(share) and 0 < float(share) < 1 for share in shares)
        require(are_shares, "shares between 0 and 1, such as 0.25,0.5", known_shares=self.known_shares)
        require(1 <= self.seeds <= 1000, "1 to 1000 draws", seeds=self.seeds)
        check_overrides(self.family, self.hyperparams)

    @property
    def shares(self) -> tuple[float, ...]:
        """`known_shares` as numbers."""
        return tuple(float(share) for share in self.known_shares.split(","))

    @property
    def overrides(self) -> dict[str, str]:
        """`hyperparams` by name."""
        return by_name(self.hyperparams)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
