"""The parameters of `ask`."""

from dataclasses import dataclass

from intents.parameters.declaration import require
from intents.parameters.training.train import REGISTERED_MODEL


@dataclass(frozen=True, kw_only=True)
class AskConfig:
    """Which model is asked, and what."""

    model: str = f"models:/{REGISTERED_MODEL}@Production"
    """Registered version (models:/name@alias or models:/name/3), run (runs:/<id>), or a model directory."""
    text: str = ""
    """Utterance; empty: each line of standard input, typed or piped."""

    def __post_init__(self) -> None:
        require(bool(self.model.strip()), "a model's uri, or its directory", model=self.model)
