"""What is added later is added in one place: how often the things that tend to be copied are written."""

import ast
import re
from collections.abc import Iterator

import pytest

from intents.evaluation.names import METRICS
from tests.test_architecture import MODULES, ROOT

NAMES = "intents.evaluation.names"
ASSETS = sorted((ROOT / "src").rglob("*.js")) + sorted((ROOT / "src").rglob("*.j2"))


def said(text: str) -> Iterator[str]:
    """Every string of the source that someone may read when it runs: no docstring, nothing in an f-string's braces."""
    tree = ast.parse(text)
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.value


def stand_in(words: str, text: str) -> bool:
    """Whether the words stand in the text, whatever their capitals, and are no part of longer ones."""
    return re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text, re.IGNORECASE) is not None


STRINGS = {module: list(said(file.read_text(encoding="utf-8"))) for module, file in MODULES.items()}


def places(words: str) -> list[str]:
    """The modules where the words are said, as often as they are; not where they are the name of a column."""
    return [
        module
        for module, strings in STRINGS.items()
        for text in strings
        if (text == words if module == NAMES else text not in METRICS and stand_in(words, text))
    ]


@pytest.mark.parametrize("name", METRICS)
def test_a_metrics_words_stand_in_one_place(name: str):
    metric = METRICS[name]
    for words in {metric.words, metric.in_full}:
        assert places(words) == [NAMES] * (2 if words == name else 1)
        shown = [file.name for file in ASSETS if words != name and stand_in(words, file.read_text("utf-8"))]
        assert shown == []


def test_the_check_itself_sees_words_between_braces_and_not_in_a_docstring():
    source = 'def f(x):\n    """weighted F1"""\n    return f"Weighted F1 {x:.4f}" + "val_accuracy"'
    assert [text for text in said(source) if stand_in("weighted F1", text)] == ["Weighted F1 "]
    assert not stand_in("accuracy", "val_accuracy")
