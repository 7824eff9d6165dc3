"""What is added later is added in one place: how often the things that tend to be copied are written."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

import numpy as np
import pytest

from intents import cli
from intents.data.formats import by_suffix
from intents.evaluation import detectors
from intents.models import families as builders
from intents.models.network import Outputs
from intents.parameters import commands, mlproject, score
from intents.parameters.commands import ENTRY_POINTS
from intents.parameters.training import families
from intents.parameters.training import train as declarations
from intents.parameters.training.families import FAMILIES, Family
from intents.parameters.training.textcnn import TextCNNHyperparams
from intents.parameters.tune import TuneConfig
from tests.test_architecture import MODULES, ROOT

# Beside a family's own modules, these know it by name: its declaration is listed, and its network.
LISTS_OF_FAMILIES = {families.__name__, builders.__name__}
# What a family may have beside that, and what takes one of them by default.
MAY_NAME_A_FAMILY = {
    "intents": "its own configuration and network are found by transformers",
    "intents.models.encoders.e5": "the architecture of that name",
    "intents.models.pooling": "the architecture of that name",
    "intents.models.straight_bert": "the architecture of that name",
    "intents.models.inference": "it has a faster network for answers",
    "intents.parameters.tune": "the default",
    "intents.parameters.training.shares": "the default",
    "registry.source": "a command to begin with",
    "intents.tracking.training.logged": "the code that a logged model carries",
}
# Where a parameter of training is named by a string beside its declaration.
MAY_NAME_A_PARAMETER = {
    "intents.report.saved_model": "the summary of a training",
    "intents.data.corpus": "the key of the cache; the split's arguments",
    "intents.data.notes": "advice to lower min_per_intent",
    "intents.models.bert": "transformers' own name of a dropout",
    "intents.models.encoders.vocabulary": "the tokenizer file's own word",
    "intents.models.encoders.reduce_embeddings": "the file says which encoder it is of",
    "intents.training.batches": "transformers' word for padding",
    "intents.training.fit": "torch's name of an optimiser's setting",
}


def written(text: str) -> Iterator[str]:
    """Every name and every string of the source; no comment, no docstring."""
    tree = ast.parse(text)
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.value
        for part in ("id", "attr", "name", "arg", "module", "asname"):
            if isinstance(name := getattr(node, part, None), str):
                yield name


WRITTEN = {module: list(written(file.read_text(encoding="utf-8"))) for module, file in MODULES.items()}
ASSETS = [*(ROOT / "src").rglob("*.js"), *(ROOT / "src").rglob("*.j2")]


def is_in(family: str, text: str) -> bool:
    """Whether the text names the family: BertHyperparams and train_bert do, number_type does not."""
    return re.search(rf"(?<![a-z]){family}", text, re.IGNORECASE) is not None


def where(word: str) -> set[str]:
    """The modules in which that stands, exactly so."""
    return {module for module, words in WRITTEN.items() if word in words}


def test_the_check_itself_sees_names_strings_and_imports_and_no_docstring():
    source = 'from a import b as c\nclass D:\n    """bert"""\n    e = f.g(h="i")  # bert'
    assert {"a", "b", "c", "D", "e", "f", "g", "h", "i"} == set(written(source))
    assert [is_in("bert", word) for word in ("BertModel", "train_bert", "numbertype")] == [True, True, False]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_named_in_its_own_modules_and_in_two_lists(family: str):
    naming = {module for module, words in WRITTEN.items() if any(is_in(family, word) for word in words)}
    own = {module for module in naming if family in module.split(".")}
    assert len({module.split(".")[1] for module in own}) == 2  # its parameters, its models
    assert naming - own - MAY_NAME_A_FAMILY.keys() == LISTS_OF_FAMILIES
    assert [file.name for file in ASSETS if is_in(family, file.read_text(encoding="utf-8"))] == []


def test_the_two_lists_have_the_same_families():
    assert set(get_args(Family)) == set(FAMILIES) == set(builders.FAMILIES)


def test_a_rejection_score_is_named_where_it_is_computed_and_nowhere_else():
    features_BF, labels_B = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2
    outputs = Outputs(logits_BC=features_BF[:, :2], features_BF=features_BF)
    panel = detectors.score_panel(outputs, outputs, train=outputs, train_labels_B=labels_B)
    scores = set(panel.index) - {"energy"}  # what a model itself goes by, and so known to all
    assert len(scores) == len(panel) - 1 >= 1
    for name in scores:
        assert where(name) == {detectors.__name__}
        assert [file.name for file in ASSETS if name in file.read_text(encoding="utf-8")] == []


@dataclass(frozen=True, kw_only=True)
class WithOneMore(TextCNNHyperparams):
    forgetfulness: float = 0.5
    """Share of what is learned that is forgotten."""


@pytest.fixture
def one_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parameter that is declared, and no more than that."""
    monkeypatch.setitem(FAMILIES, "textcnn", WithOneMore)
    data, _, run = ENTRY_POINTS["train_cnn"]
    for commands_of in (commands.ENTRY_POINTS, commands.COMMANDS):
        monkeypatch.setitem(commands_of, "train_cnn", (data, WithOneMore, run))


@pytest.mark.usefixtures("one_more")
def test_a_parameter_reaches_all_that_read_parameters_from_its_declaration_alone():
    assert "--forgetfulness {forgetfulness}" in mlproject.mlproject()
    assert "# Share of what is learned that is forgotten." in mlproject.mlproject()
    assert "forgetfulness" in cli.parameter_names("train_cnn")
    config = declarations.train_config("textcnn", {"forgetfulness": "0.25"})
    assert config.as_parameters()["forgetfulness"] == 0.25
    assert TuneConfig(hyperparams="forgetfulness=0.25").overrides == {"forgetfulness": "0.25"}


def test_a_parameter_is_declared_once_and_listed_by_hand_in_few_places():
    names = [[p.name for p in commands.entry_point_parameters(entry_point)] for entry_point in ENTRY_POINTS]
    assert all(len(set(of_one)) == len(of_one) for of_one in names)
    of_training = {
        p.name for family in FAMILIES.values() for p in commands.entry_point_parameters(family.ENTRY_POINT)
    }
    strings = {
        module: {
            node.value
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "_" in node.value
        }
        for module, file in MODULES.items()
        if not module.startswith("intents.parameters.")
    }
    listing = {module for module, words in strings.items() if words & of_training}
    assert listing - MAY_NAME_A_PARAMETER.keys() == set()


def test_what_score_takes_is_what_it_can_write():
    assert set(score.SCORED_SUFFIXES) == set(by_suffix.WRITERS)
    assert set(score.SCORED_SUFFIXES) <= set(by_suffix.READERS)
