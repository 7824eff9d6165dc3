"""Everything a user can cause. A message says what was found, what was expected and what to do next."""

from collections.abc import Sequence
from typing import ClassVar


class IntentsError(Exception):
    """Base of every error that the user can mend."""

    exit_code: ClassVar[int] = 2


class ConfigError(IntentsError):
    """A parameter has an impossible value."""


class DataError(IntentsError):
    """A corpus can't be read, or can't be trained on."""


class EncoderError(IntentsError):
    """An encoder can't be found, or isn't safe to load."""


class ArtifactError(IntentsError):
    """A model directory is incomplete, damaged or forbidden."""


class TrackingError(IntentsError):
    """The tracking store or the registry can't be used."""


class ResumeError(IntentsError):
    """A training can't be gone on with."""


class TuningError(IntentsError):
    """A study can't be begun, or gone on with."""


class ScoringError(IntentsError):
    """A file can't be scored."""


class ComparisonError(IntentsError):
    """Runs can't be compared."""


class PromotionError(IntentsError):
    """A model version can't be published."""

    def __init__(self, message: str, *, reasons: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.reasons = tuple(reasons) or (message,)
        """Each on its own, for scripts."""
