"""The parameters of `learning_curve`."""

from dataclasses import dataclass

from intents.parameters.declaration import require
from intents.parameters.training.shares import SharesConfig, are_different_shares, as_numbers


@dataclass(frozen=True, kw_only=True)
class LearningCurveConfig(SharesConfig):
    """Leaving rows out: which shares of them are trained on, how often, with which family."""

    shares: str = "0.25,0.5,1"
    """Shares of the training and validation rows that are trained on; 1 is all. The test rows are the same in each."""

    def __post_init__(self) -> None:
        expected = "different shares above 0, up to 1, such as 0.25,0.5,1"
        require(are_different_shares(self.drawn_shares), expected, shares=self.shares)
        super().__post_init__()

    @property
    def drawn_shares(self) -> tuple[float, ...]:
        """`shares` as numbers."""
        return as_numbers(self.shares)
