"""Imports point down. Every import of every module is read from its source, late ones included."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import intents
from intents.hyperparams import FAMILIES

ROOT = Path(__file__).parents[1]

# Low to high. Modules on one line are siblings: none imports another. A new module must be given its place here.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("intents", "intents.models", "intents.errors"),
    (
        "intents.parameters",
        "intents.processes",
        "intents.syncing",
        "intents.quiet",
        "intents.spreadsheets",
        "intents.redaction",
    ),
    ("intents.hyperparams.space",),
    ("intents.hyperparams.base",),
    ("intents.hyperparams.bert", "intents.hyperparams.textcnn"),
    ("intents.hyperparams",),
    ("intents.config",),
    ("intents.entry_points",),
    ("intents.encoder_files",),
    ("intents.hub",),
    (
        "intents.data",
        "intents.data.forms",
        "intents.data.encodings",
        "intents.data.problems",
        "intents.data.strict_json",
        "intents.encoders",
        "intents.scoring",
    ),
    ("intents.data.lines", "intents.data.rows"),
    ("intents.data.jsonl", "intents.data.intents_json", "intents.data.records"),
    ("intents.data.tables",),
    ("intents.data.reading",),
    ("intents.data.cleaning", "intents.data.corrections"),
    ("intents.data.splitting",),
    ("intents.data.duplicates", "intents.data.fingerprints"),
    ("intents.data.findings",),
    ("intents.data.out_of_scope",),
    ("intents.data.corpus",),
    (
        "intents.data.leave_out",
        "intents.data.folds",
        "intents.spelling",
        "intents.embeddings",
        "intents.models.textcnn_config",
    ),
    ("intents.models.network", "intents.models.textcnn_network"),
    ("intents.models.bert", "intents.models.textcnn"),
    ("intents.models.families", "intents.models.textcnn_tables"),
    ("intents.models.inference", "intents.metrics"),
    ("intents.bootstrap", "intents.open_set"),
    ("intents.evaluation", "intents.report", "intents.report.canvas", "intents.artifact"),
    ("intents.report.bars", "intents.report.confusion", "intents.report.distributions"),
    ("intents.baseline", "intents.answers", "intents.diagnosis", "intents.diagnosis.finding"),
    (
        "intents.diagnosis.repeats",
        "intents.diagnosis.confusions",
        "intents.diagnosis.unspelled",
        "intents.diagnosis.lookalikes",
    ),
    ("intents.diagnosis.examination", "intents.diagnosis.sheet"),
    ("intents.diagnosis.command",),
    ("intents.comparison", "intents.comparison.statistics"),
    ("intents.comparison.sides",),
    ("intents.comparison.paired", "intents.comparison.latency"),
    ("intents.comparison.table", "intents.comparison.judgement"),
    ("intents.comparison.page",),
    ("intents.batches", "intents.calibration", "intents.checkpoints"),
    ("intents.objective",),
    ("intents.progress",),
    ("intents.fitting", "intents.testing"),
    ("intents.serving", "intents.serving.limits", "intents.serving.batcher", "intents.serving.refusal"),
    ("intents.serving.runtime", "intents.serving.tables"),
    ("intents.serving.bodies",),
    ("intents.training", "intents.pyfunc"),
    (
        "intents.saving",
        "intents.card",
        "intents.report_page",
        "intents.report_page.content",
        "intents.report_page.counts",
    ),
    ("intents.report_page.advice",),
    ("intents.report_page.embedding",),
    ("intents.report_page.page",),
    ("intents.reporting",),
    ("intents.stores", "intents.liveness", "intents.interrupts"),
    ("intents.comparison.named",),
    ("intents.comparison.replacement",),
    ("intents.runs",),
    ("intents.registering",),
    ("intents.resuming",),
    ("intents.tracking", "intents.tuning", "intents.tuning.names", "intents.tuning.trials"),
    ("intents.tuning.storage", "intents.tuning.page", "intents.tuning.winner"),
    ("intents.tuning.worker",),
    ("intents.tuning.crew",),
    ("intents.tuning.study",),
    ("intents.studies",),
    ("intents.bulk", "intents.bulk.chunks", "intents.bulk.columns"),
    ("intents.bulk.reading", "intents.bulk.writing", "intents.bulk.worker", "intents.bulk.models"),
    ("intents.bulk.shards", "intents.bulk.crew", "intents.asking"),
    ("intents.bulk.command",),
    ("intents.comparison.command",),
    ("intents.mlproject",),
    ("intents.cli",),
    ("registry", "registry.disk", "registry.lock", "registry.record", "registry.fetching"),
    ("registry.store", "registry.outcome"),
    ("registry.upkeep",),
    ("registry.publishing",),
    ("registry.checks", "registry.gate", "registry.source", "registry.smoke"),
    ("registry.commands",),
    ("registry.promote",),
)
LAYER_OF = {module: height for height, layer in enumerate(LAYERS) for module in layer}

# Layer 2 of the map has three members that know nothing of each other, though `data` is a ladder of its own.
STRANGERS = ("intents.data", "intents.encoders", "intents.scoring")

# Where a family may be named in a decision.
MAY_NAME_A_FAMILY = ("intents.models", "intents.hyperparams")


def sources() -> dict[str, Path]:
    """Every module of the project by its dotted name."""
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "registry").rglob("*.py")]
    named = {}
    for file in files:
        relative = file.relative_to(ROOT / "src" if "src" in file.relative_to(ROOT).parts else ROOT)
        parts = relative.with_suffix("").parts
        named[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return named


def imported_modules(tree: ast.AST, module: str, *, known: set[str]) -> Iterator[tuple[str, int]]:
    """(module of the project, line) of each import in `tree`, wherever in the file it stands."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = node.module or ""
            if node.level:
                package = ".".join([*module.split(".")[: -node.level], *filter(None, [node.module])])
            names = [f"{package}.{alias.name}" for alias in node.names]
            # `from package import name`: a module of that name, or else something inside the package
            names = [name if name in known else package for name in names]
        yield from ((name, node.lineno) for name in names if name.split(".")[0] in {"intents", "registry"})


def upward_imports(text: str, module: str, *, known: set[str]) -> list[str]:
    """Each import of `text` that does not point strictly down, as a sentence."""
    found = []
    for imported, line in imported_modules(ast.parse(text), module, known=known):
        home = [stranger for stranger in STRANGERS if f"{module}.".startswith(f"{stranger}.")]
        other = [stranger for stranger in STRANGERS if f"{imported}.".startswith(f"{stranger}.")]
        if imported not in LAYER_OF or LAYER_OF[imported] >= LAYER_OF[module]:
            found.append(f"{module}:{line} imports {imported}, which is not below it")
        elif home and other and home != other:
            found.append(f"{module}:{line} imports {imported}, its sibling")
    return found


def decisions_on_family(text: str) -> list[int]:
    """Lines where a comparison, a condition or a `match` names a family."""
    lines = []
    for node in ast.walk(ast.parse(text)):
        parts: list[ast.AST] = []
        if isinstance(node, ast.Compare):
            parts = [node]
        elif isinstance(node, ast.If | ast.IfExp | ast.While):
            parts = [node.test]
        elif isinstance(node, ast.match_case):
            parts = [node.pattern]
        lines += [
            constant.lineno
            for part in parts
            for constant in ast.walk(part)
            if isinstance(constant, ast.Constant) and constant.value in {*FAMILIES, "bert", "textcnn"}
        ]
    return sorted(set(lines))


def test_every_module_has_a_place_in_the_layers_and_every_place_a_module():
    assert set(sources()) == set(LAYER_OF)


@pytest.mark.parametrize("module", sorted(LAYER_OF))
def test_a_module_imports_only_from_lower_layers(module: str):
    files = sources()
    text = files[module].read_text(encoding="utf-8")
    assert upward_imports(text, module, known=set(files)) == []


def test_nothing_outside_registry_imports_registry():
    files = sources()
    importers = [
        module
        for module, file in files.items()
        for imported, _ in imported_modules(ast.parse(file.read_text("utf-8")), module, known=set(files))
        if imported.split(".")[0] == "registry" and module.split(".")[0] != "registry"
    ]
    assert importers == []


def imports_by_name(text: str) -> list[int]:
    """Lines that import a module by a string, which no reading of import statements sees."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", getattr(node.func, "id", "")) in {"import_module", "__import__"}
    ]


def test_only_the_package_imports_by_name_and_only_what_follows_transformers():
    importers = {module for module, file in sources().items() if imports_by_name(file.read_text("utf-8"))}
    assert importers == {"intents"}
    assert set(intents.FOLLOWERS.values()) == {
        "intents.models.textcnn_network",
        "intents.models.textcnn_config",
    }


@pytest.mark.parametrize(
    "text", ["importlib.import_module('intents.cli')", "import_module(name)", "__import__('intents.cli')"]
)
def test_the_check_itself_sees_an_import_by_name(text: str):
    assert imports_by_name(text) == [1]


def test_registry_and_training_stages_know_no_family_by_name():
    offenders = {
        module: lines
        for module, file in sources().items()
        if not module.startswith(MAY_NAME_A_FAMILY)
        if (lines := decisions_on_family(file.read_text(encoding="utf-8")))
    }
    assert offenders == {}


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("intents.training", "from intents import tracking"),
        ("intents.training", "def late():\n    import intents.tracking"),
        ("intents.artifact", "from intents.report import plot_confusion_matrix"),
        ("intents.scoring", "from intents.data import splitting"),
        ("intents.data.corpus", "from intents.encoders import load"),
        ("intents.data.cleaning", "from . import splitting"),
        ("intents.models.network", "from intents.models import families"),
        ("intents.models.bert", "from intents.models.textcnn import TextCNN"),
        ("intents.objective", "def late():\n    from intents import fitting"),
        ("intents.cli", "if True:\n    from registry import promote"),
        ("intents.config", "import intents.config"),
    ],
)
def test_the_check_itself_sees_an_upward_sideways_or_late_import(module: str, text: str):
    assert len(upward_imports(text, module, known=set(LAYER_OF))) == 1


@pytest.mark.parametrize(
    "text",
    [
        'if family == "bert": pass',
        'x = 1 if "textcnn" in name else 2',
        'match family:\n    case "bert": pass',
    ],
)
def test_the_check_itself_sees_a_decision_on_a_family(text: str):
    assert decisions_on_family(text) != []


def test_a_family_named_as_a_value_is_no_decision():
    assert decisions_on_family('FAMILIES = {"bert": build}\nrun("bert")') == []
