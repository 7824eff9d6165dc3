"""How a configuration dataclass is read: its fields are parameters, each with type, default and meaning.

The meaning is the line beneath the field. From it come the flag's help and the MLproject file's remarks.
"""

import ast
import dataclasses
import difflib
import hashlib
import inspect
import textwrap
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from intents.errors import ConfigError

BOOLEANS = {"true": True, "false": False}
AUTO: Any = "auto"
"""The default of a parameter whose value others decide."""


def _how_to_pass(name: str) -> str:
    return f"Pass --{name} <value>; under mlflow run, -P {name}=<value>."


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """A question that names the choice most like the word; "" where none is."""
    by_lower_case = {choice.lower(): choice for choice in choices}
    close = difflib.get_close_matches(word.lower(), by_lower_case, n=1)
    return f" (did you mean {by_lower_case[close[0]]}?)" if close else ""


def shortened(text: str, limit: int) -> str:
    """The text, or where it is longer than that its beginning and a digest that tells it from all others."""
    if len(text) <= limit:
        return text
    mark = f"…{hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"
    return text[: limit - len(mark)] + mark


def require(holds: bool, expected: str, /, **given: object) -> None:
    """Raises ConfigError, naming the parameter that is given and what it may be, unless the claim holds."""
    if not holds:
        [(name, value)] = given.items()
        raise ConfigError(f"{name}={value!r}: expected {expected}. {_how_to_pass(name)}")


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter of an entry point, as every reader of the declaration sees it."""

    name: str
    type: type
    default: Any
    meaning: str
    choices: tuple[str, ...]

    def parse(self, text: str) -> Any:
        """The typed value of `text`. Raises ConfigError when it can't be one."""
        is_utf_8 = text.encode("utf-8", "ignore").decode() == text  # a name from the disk may not be
        require(is_utf_8, "text in UTF-8; rename a file whose name is not", **{self.name: text})
        if text == self.default == AUTO:
            return AUTO
        if self.choices:
            expected = f"one of {', '.join(self.choices)}{did_you_mean(text, self.choices)}"
            require(text in self.choices, expected, **{self.name: text})
            return text
        if self.type is bool:
            require(text.lower() in BOOLEANS, "true or false", **{self.name: text})
            return BOOLEANS[text.lower()]
        try:
            return self.type(text)
        except ValueError as error:
            kind = {int: "a whole number", float: "a number"}[self.type] + " or auto" * (self.default == AUTO)
            raise ConfigError(f"{self.name}={text!r}: expected {kind}. {_how_to_pass(self.name)}") from error


def parameters(declaration: type[Any]) -> tuple[Parameter, ...]:
    """The parameters that a configuration dataclass declares, in order."""
    meanings = _meanings(declaration)
    hints = typing.get_type_hints(declaration)
    return tuple(
        Parameter(
            name=field.name,
            type=str if typing.get_origin(hints[field.name]) is Literal else hints[field.name],
            default=field.default,
            meaning=meanings[field.name],
            choices=typing.get_args(hints[field.name]),
        )
        for field in dataclasses.fields(declaration)
    )


def build(declaration: type[Any], texts: Mapping[str, str]) -> Any:
    """A configuration dataclass from the texts a user typed. Raises ConfigError."""
    known = {parameter.name: parameter for parameter in parameters(declaration)}
    return declaration(**{name: known[name].parse(text) for name, text in texts.items() if name in known})


def _meanings(declaration: type[Any]) -> dict[str, str]:
    """The line beneath each field, by field name; a subclass's line wins."""
    meanings: dict[str, str] = {}
    for cls in reversed(declaration.__mro__):
        if not dataclasses.is_dataclass(cls):
            continue
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
        assert isinstance(node, ast.ClassDef)
        for field, line in zip(node.body, node.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(line, ast.Expr):
                assert isinstance(field.target, ast.Name)
                meanings[field.target.id] = ast.literal_eval(line.value)
    return meanings


def as_texts(config: Any) -> dict[str, str]:
    """A configuration as a user would type it: what `build` makes it from."""
    return {name: str(value) for name, value in vars(config).items()}
