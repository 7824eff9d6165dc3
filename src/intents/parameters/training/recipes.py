"""What `auto` means: the values that suit an encoder, by its name."""

from collections.abc import Mapping
from typing import Any

ALIASES = {"intfloat/multilingual-e5-small": "e5"}
"""The same encoder, from elsewhere."""
FROM_SCRATCH = "char"
"""The encoder without pretrained weights: it begins at random, with the characters of its corpus."""
OTHER = ""
"""Any encoder that has no recipe of its own."""
Recipe = Mapping[str, Any]


def recipe(recipes: Mapping[str, Recipe], model_name: str) -> Recipe:
    """The encoder's own, or the one for any other."""
    name = ALIASES.get(model_name, model_name)
    return recipes.get(name, recipes[OTHER])
