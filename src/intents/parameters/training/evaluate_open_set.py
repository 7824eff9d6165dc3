"""The parameters of `evaluate_open_set`."""

from dataclasses import dataclass

from intents.parameters.declaration import require
from intents.parameters.training.shares import SharesConfig, are_different_shares, as_numbers


@dataclass(frozen=True, kw_only=True)
class OpenSetConfig(SharesConfig):
    """Leaving intents out: which shares stay known, how often, with which family."""

    known_shares: str = "0.25,0.5,0.75"
    """Shares of the intents that are trained on; the others are out-of-scope."""

    def __post_init__(self) -> None:
        are_shares = are_different_shares(self.drawn_shares) and 1 not in self.drawn_shares
        require(
            are_shares, "different shares between 0 and 1, such as 0.25,0.5", known_shares=self.known_shares
        )
        super().__post_init__()

    @property
    def drawn_shares(self) -> tuple[float, ...]:
        """`known_shares` as numbers."""
        return as_numbers(self.known_shares)
