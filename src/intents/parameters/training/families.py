"""Every family's hyperparameters: their types, defaults and meanings, and what tuning may choose them from."""

import dataclasses
from typing import Literal

from intents.parameters.declaration import did_you_mean, require
from intents.parameters.training.bert import BertHyperparams
from intents.parameters.training.hyperparams import NOTEBOOK_LOOP, Hyperparams
from intents.parameters.training.textcnn import TextCNNHyperparams

__all__ = ["FAMILIES", "NOTEBOOK_LOOP", "BertHyperparams", "Family", "Hyperparams", "TextCNNHyperparams"]

Family = Literal["bert", "textcnn"]
FAMILIES: dict[str, type[Hyperparams]] = {
    hyperparams.FAMILY: hyperparams for hyperparams in (BertHyperparams, TextCNNHyperparams)
}


def by_name(pairs: str) -> dict[str, str]:
    """The values of name=value,… by name; a piece without = belongs to the value before it (kernel_sizes=2,3)."""
    values: dict[str, str] = {}
    name = ""
    for piece in filter(None, pairs.split(",")):
        head, equals, value = piece.partition("=")
        if equals:
            name = head.strip()
            values[name] = value.strip()
        else:
            values[name] = f"{values[name]},{piece.strip()}" if name in values else piece
    return values


def check_overrides(family: str, pairs: str) -> None:
    names = {field.name for field in dataclasses.fields(FAMILIES[family])} - {"seed", "recipe"}
    strange = sorted(set(by_name(pairs)) - names)
    meant = did_you_mean(strange[0], names) if strange else ""
    require(not strange, f"name=value,… of {', '.join(sorted(names))}{meant}", hyperparams=pairs)
