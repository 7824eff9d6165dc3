"""What a command did: lines for a person, the same facts for a script."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """`action`: what was done, in a word or two that never change their meaning."""

    action: str
    lines: tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def as_text(self) -> str:
        return "\n".join(self.lines)

    def as_json(self) -> str:
        return json.dumps({"action": self.action, **self.facts, "said": self.lines}, ensure_ascii=False)
