"""What a command did: lines for a person, the same facts for a script."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from intents.errors import IntentsError, PromotionError
from intents.system.lock import BusyError
from intents.system.redaction import without_secrets


@dataclass(frozen=True)
class Outcome:
    """`action`: what was done, in a word or two that never change their meaning."""

    action: str
    lines: tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def as_text(self) -> str:
        return "\n".join(self.lines)

    def as_json(self) -> str:
        """One object, its texts without secrets."""
        facts = {"action": self.action, **self.facts, "said": self.lines}
        return json.dumps(_harmless(facts), ensure_ascii=False)


def _harmless(value: Any) -> Any:
    """The same, its texts without secrets: replaced after they are written, they could break the JSON."""
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, Mapping):
        return {name: _harmless(inner) for name, inner in value.items()}
    return [_harmless(inner) for inner in value] if isinstance(value, list | tuple) else value


def of(error: BaseException) -> Outcome:
    """What a script is told of an error: `reasons` are those of a refusal, one by one."""
    said = str(error).strip() or type(error).__name__
    reasons = error.reasons if isinstance(error, PromotionError) else (said,)
    return Outcome(_ended(error), (said,), {"error": said, "reasons": reasons})


def _ended(error: BaseException) -> str:
    if isinstance(error, BusyError):
        return "busy"
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return "refused" if isinstance(error, IntentsError) else "failed"
