"""Imports point down. Every import of every module is read from its source, late ones included."""

import ast
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import intents
from intents.parameters.training.families import FAMILIES
from intents.tracking.training.logged import CARRIED

ROOT = Path(__file__).parents[1]

# Low to high. Packages on one line do not know each other; inside a package imports make no circle.
PACKAGES: tuple[tuple[str, ...], ...] = (
    ("intents",),
    ("intents.errors", "intents.axes"),
    ("intents.system", "intents.parameters"),
    ("intents.data", "intents.models"),
    ("intents.serving", "intents.evaluation"),
    ("intents.training", "intents.diagnosis"),
    ("intents.report",),
    ("intents.tracking",),
    ("intents.tuning",),
    ("intents.cli",),
    ("registry",),
)
HEIGHT_OF = {package: height for height, packages in enumerate(PACKAGES) for package in packages}

# Where a family may be named in a decision.
MAY_NAME_A_FAMILY = ("intents.models", "intents.parameters")

# Where mlflow may be imported.
MAY_IMPORT_MLFLOW = (
    "intents.tracking",
    "intents.tuning",
    "intents.serving.pyfunc",
    "intents.serving.refusal",
    "intents.serving.bodies",
    "registry",
)

# Positional arguments and lines of a function, modules of a package; and who takes more, called by a library.
MOST_POSITIONAL = 2
MOST_LINES = 40
MOST_MODULES = 12
CALLED_BY_A_LIBRARY = {
    "intents.serving.bodies:_invocations": "mlflow's server calls it in place of its own",
    "intents:find_spec": "importlib asks a finder",
    "intents.serving.pyfunc:predict": "mlflow asks a model",
    "intents.models.textcnn.network:forward": "torch runs a module, with the arguments of transformers' models",
    "intents.training.fit:compute_loss": "transformers' Trainer asks for a loss",
    **{
        f"intents.training.callbacks:{event}": "transformers' Trainer tells its callbacks"
        for event in ("on_train_begin", "on_step_end", "on_log", "on_evaluate", "on_save", "on_train_end")
    },
}

# What answers at once (`--help`, `--status`, `--rollback`), and so reaches torch by late imports alone.
ANSWERS_AT_ONCE = (
    "intents.system",
    "intents.parameters",
    *(
        f"registry.{name}"
        for name in ("promote", "commands", "queries", "target", "record", "transaction", "upkeep")
    ),
)


def sources() -> dict[str, Path]:
    """Every module of the project by its dotted name."""
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "registry").rglob("*.py")]
    named = {}
    for file in files:
        relative = file.relative_to(ROOT / "src" if "src" in file.relative_to(ROOT).parts else ROOT)
        parts = relative.with_suffix("").parts
        named[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return named


MODULES = sources()


def package_of(module: str) -> str:
    """The package of PACKAGES that the module is, or is in."""
    name = ".".join(module.split(".")[: 1 if module.startswith("registry") else 2])
    if name not in HEIGHT_OF:
        raise LookupError(f"{module} is in no package of PACKAGES")
    return name


def is_in(module: str, places: tuple[str, ...]) -> bool:
    """Whether the module is one of these, or in one."""
    return any(f"{module}.".startswith(f"{place}.") for place in places)


def named_modules(node: ast.AST, module: str, *, known: set[str]) -> list[str]:
    """What an import statement imports; of the project's modules the innermost that it names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    package = node.module or ""
    if node.level:
        package = ".".join([*module.split(".")[: -node.level], *filter(None, [node.module])])
    names = [f"{package}.{alias.name}" for alias in node.names]
    # `from package import name`: a module of that name, or else something inside the package
    return [name if name in known else package for name in names]


def imported_modules(tree: ast.AST, module: str, *, known: set[str]) -> Iterator[tuple[str, int]]:
    """(module of the project, line) of each import in `tree`, wherever in the file it stands."""
    for node in ast.walk(tree):
        for name in named_modules(node, module, known=known):
            if name.split(".")[0] in {"intents", "registry"}:
                yield name, getattr(node, "lineno", 0)


def upward_imports(text: str, module: str, *, known: set[str]) -> list[str]:
    """Each import of `text` that leaves the module's package and does not point down, as a sentence."""
    package = package_of(module)
    return [
        f"{module}:{line} imports {imported}, which is not below {package}"
        for imported, line in imported_modules(ast.parse(text), module, known=known)
        if imported not in known
        or (package_of(imported) != package and HEIGHT_OF[package_of(imported)] >= HEIGHT_OF[package])
    ]


def circle(imports: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle; empty where there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def imports_within(package: str) -> dict[str, set[str]]:
    """Which modules of the package each of them imports."""
    return {
        module: {
            imported
            for imported, _ in imported_modules(
                ast.parse(file.read_text(encoding="utf-8")), module, known=set(MODULES)
            )
            if package_of(imported) == package
        }
        for module, file in MODULES.items()
        if package_of(module) == package
    }


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


def at_once(tree: ast.Module) -> Iterator[ast.AST]:
    """The statements that importing the module runs: none within a function, none for the type checker alone."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += [
            child
            for child in ast.iter_child_nodes(node)
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            and not (isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING")
        ]


def reached(module: str, statements: Callable[[ast.Module], Iterable[ast.AST]] = at_once) -> set[str]:
    """Every module, of any project, that these statements of this one import, as this project's own files say."""
    found: set[str] = set()
    waiting = {module}
    while waiting:
        found |= waiting
        waiting = {
            imported
            for each in waiting
            if each in MODULES
            for node in statements(ast.parse(MODULES[each].read_text(encoding="utf-8")))
            for imported in named_modules(node, each, known=set(MODULES))
        } - found
    return found


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_imports_only_its_own_package_and_those_below(module: str):
    text = MODULES[module].read_text(encoding="utf-8")
    assert upward_imports(text, module, known=set(MODULES)) == []


@pytest.mark.parametrize("package", sorted(HEIGHT_OF))
def test_no_modules_of_a_package_import_each_other_in_a_circle(package: str):
    within = imports_within(package)
    assert within
    assert circle(within) == []


def test_nothing_outside_registry_imports_registry():
    importers = [
        module
        for module, file in MODULES.items()
        for imported, _ in imported_modules(ast.parse(file.read_text("utf-8")), module, known=set(MODULES))
        if imported.split(".")[0] == "registry" and module.split(".")[0] != "registry"
    ]
    assert importers == []


def test_packages_import_nothing_themselves():
    files = {module: file for module, file in MODULES.items() if file.name == "__init__.py"}
    importers = [
        module
        for module, file in files.items()
        for _ in imported_modules(ast.parse(file.read_text("utf-8")), module, known=set(MODULES))
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
    importers = {module for module, file in MODULES.items() if imports_by_name(file.read_text("utf-8"))}
    assert importers == {"intents"}
    assert set(intents.FOLLOWERS.values()) == {
        "intents.models.textcnn.network",
        "intents.models.textcnn.config",
    }


@pytest.mark.parametrize(
    "text", ["importlib.import_module('intents.cli')", "import_module(name)", "__import__('intents.cli')"]
)
def test_the_check_itself_sees_an_import_by_name(text: str):
    assert imports_by_name(text) == [1]


def test_registry_and_training_stages_know_no_family_by_name():
    offenders = {
        module: lines
        for module, file in MODULES.items()
        if not is_in(module, MAY_NAME_A_FAMILY)
        if (lines := decisions_on_family(file.read_text(encoding="utf-8")))
    }
    assert offenders == {}


def test_mlflow_is_imported_where_runs_and_versions_are_and_nowhere_else():
    importers = {
        module
        for module, file in MODULES.items()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        for imported in named_modules(node, module, known=set(MODULES))
        if imported.split(".")[0] == "mlflow"
    }
    assert [module for module in sorted(importers) if not is_in(module, MAY_IMPORT_MLFLOW)] == []
    assert all(any(is_in(module, (place,)) for module in importers) for place in MAY_IMPORT_MLFLOW)


def functions(text: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of the text, in functions and classes too."""
    found = ast.walk(ast.parse(text))
    return [node for node in found if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def takes_many(text: str) -> list[str]:
    """The functions that take more positional arguments than two, `self` and `cls` apart."""
    return [
        function.name
        for function in functions(text)
        if sum(
            argument.arg not in {"self", "cls"}
            for argument in [*function.args.posonlyargs, *function.args.args]
        )
        > MOST_POSITIONAL
    ]


def test_what_follows_the_second_argument_is_named_unless_a_library_passes_it():
    found = {
        f"{module}:{name}" for module, file in MODULES.items() for name in takes_many(file.read_text("utf-8"))
    }
    assert found == set(CALLED_BY_A_LIBRARY)


def test_the_check_itself_sees_a_third_positional_argument():
    assert takes_many("def f(a, /, b, c): ...") == ["f"]
    assert takes_many("class A:\n    async def f(self, a, b, c=1): ...") == ["f"]
    assert takes_many("class A:\n    def f(self, a, b, *, c): ...") == []


def test_no_function_is_longer_than_a_screen():
    found = {
        f"{module}:{function.name}": length
        for module, file in MODULES.items()
        for function in functions(file.read_text("utf-8"))
        if (length := (function.end_lineno or 0) - function.lineno + 1) > MOST_LINES
    }
    assert found == {}


def test_no_package_has_more_modules_than_one_sees_at_a_glance():
    folders = Counter(file.parent for file in MODULES.values() if file.name != "__init__.py")
    assert {folder.name for folder, number in folders.items() if number > MOST_MODULES} == set()


@pytest.mark.parametrize("module", sorted(module for module in MODULES if is_in(module, ANSWERS_AT_ONCE)))
def test_what_answers_at_once_does_not_wait_for_torch(module: str):
    assert {name for name in reached(module) if name.split(".")[0] in {"torch", "transformers"}} == set()


def test_the_check_itself_sees_torch_behind_other_modules_but_not_late_ones():
    assert "torch" in reached("intents.training.fit")
    assert "intents.tracking.train" not in reached("intents.cli")


def test_a_logged_model_carries_the_code_that_its_wrapper_reaches_and_no_more():
    starts = ["intents.serving.pyfunc", *intents.FOLLOWERS.values()]
    needed = {name for start in starts for name in reached(start, ast.walk) if name in MODULES}
    carried = {
        ".".join(["intents", *place.split("/"), name] if place else ["intents", name])
        for place, names in CARRIED.items()
        for name in names.split()
    }
    assert carried == {name for name in needed if MODULES[name].name != "__init__.py"}


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("intents.training.stages", "from intents import tracking"),
        ("intents.training.stages", "def late():\n    import intents.tracking.runs"),
        ("intents.models.directory", "from intents.report.pictures import bars"),
        ("intents.models.energy", "from intents.data import splitting"),
        ("intents.data.corpus", "from intents.models.encoders.encoder import load"),
        ("intents.system.disk", "from ..parameters import declaration"),
        ("intents.training.fit", "def late():\n    from intents.diagnosis import finding"),
        ("intents.cli", "if True:\n    from registry import promote"),
        ("intents.errors", "from intents import axes"),
        ("intents.data.corpus", "from intents.nowhere import anything"),
    ],
)
def test_the_check_itself_sees_an_upward_sideways_or_late_import(module: str, text: str):
    assert len(upward_imports(text, module, known=set(MODULES))) == 1


def test_the_check_itself_sees_a_circle_and_a_module_without_a_package():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) != []
    assert circle({"a": {"a"}}) != []
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
    with pytest.raises(LookupError, match=r"intents\.loose is in no package"):
        package_of("intents.loose")


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
