"""What a server takes on, read from its environment when it loads the model: the operator's choice, not the model's."""

import dataclasses
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from intents.errors import ConfigError
from intents.serving.answers import MOST_CHARACTERS


def _limit(variable: str, default: int) -> Any:
    return field(default=default, metadata={"variable": variable})


@dataclass(frozen=True)
class Limits:
    """Each is a whole number from 1, set by its variable where it has one."""

    rows: int = _limit("INTENTS_MOST_ROWS", 1_000)
    """Utterances in a request."""
    characters: int = _limit("INTENTS_MOST_CHARACTERS", MOST_CHARACTERS)
    """Characters in an utterance."""
    request_characters: int = _limit("INTENTS_MOST_REQUEST_CHARACTERS", 1_000_000)
    """Characters in all utterances of a request."""
    queue: int = _limit("INTENTS_QUEUE", 2_000)
    """Utterances that wait, of all requests together. What would exceed them is refused at once, as busy."""
    long_requests: int = field(default_factory=lambda: min(32, (os.cpu_count() or 1) + 4) // 2)
    """Requests of more than a pass that wait or are answered: half of the threads in which MLflow answers requests, so
    that the others stay free for short ones. Follows from the machine; no variable sets it."""
    threads: int = field(
        default_factory=lambda: max(1, len(os.sched_getaffinity(0)) - 1),
        metadata={"variable": "INTENTS_THREADS"},
    )
    """Forward passes at a time, each on one thread. Unless set one core is left to HTTP, where there are several."""


IN_PROCESS = Limits(
    rows=sys.maxsize,
    request_characters=sys.maxsize,
    queue=sys.maxsize,
    long_requests=sys.maxsize,
    threads=1,
)
"""Whoever calls predict in a process of their own (a notebook, a Spark worker) may ask for as much as they like. A pass
then takes as many threads as PyTorch is set to."""


def from_environment(environment: Mapping[str, str]) -> Limits:
    """The limits of a server with these variables. Raises ConfigError."""
    return Limits(
        **{
            limit.name: _whole_number(variable, environment[variable])
            for limit in dataclasses.fields(Limits)
            if (variable := limit.metadata.get("variable", "")) in environment
        }
    )


def _whole_number(variable: str, text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) < 10 and int(text):
        return int(text)
    raise ConfigError(
        f"{variable}={text!r}: expected a whole number from 1 to 999999999. Set it to one, or unset it for the default."
    )
