"""conda.yaml, constraints.txt and pyproject.toml name the same packages; make train says how to reach them."""

import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA = yaml.safe_load((ROOT / "conda.yaml").read_text())["dependencies"]


def pins(lines: list[str]) -> dict[str, Version]:
    """Version by canonical name; every line must pin exactly one version."""
    found = {}
    for requirement in map(Requirement, lines):
        (pin,) = requirement.specifier
        assert pin.operator == "=="
        found[canonicalize_name(requirement.name)] = Version(pin.version)
    assert len(found) == len(lines)
    return found


CONSTRAINTS = pins((ROOT / "constraints.txt").read_text().split())
RUNTIME = [Requirement(line) for line in PROJECT["dependencies"]]
DEFAULT_ENCODER = [Requirement(line) for line in PROJECT["optional-dependencies"]["e5"]]
OPTIONAL = [Requirement(line) for lines in PROJECT["optional-dependencies"].values() for line in lines]


def test_conda_yaml_pins_exactly_what_the_default_commands_need_at_the_constrained_versions() -> None:
    (pip,) = (entry["pip"] for entry in CONDA if isinstance(entry, dict))
    needed = [canonicalize_name(requirement.name) for requirement in RUNTIME + DEFAULT_ENCODER]
    assert pins(pip) == {name: CONSTRAINTS[name] for name in needed}
    assert {str(r.marker) for r in map(Requirement, pip) if r.marker} == {
        str(r.marker) for r in DEFAULT_ENCODER
    }


@pytest.mark.parametrize("requirement", RUNTIME + OPTIONAL, ids=str)
def test_a_constraint_lies_in_the_range_that_pyproject_allows(requirement: Requirement) -> None:
    assert CONSTRAINTS[canonicalize_name(requirement.name)] in requirement.specifier


def test_conda_yaml_has_only_what_uv_and_virtualenv_can_convert_too() -> None:
    assert [entry for entry in CONDA if isinstance(entry, str)] == ["python=3.11", "pip"]
    assert Version("3.11") in Requirement(f"python{PROJECT['requires-python']}").specifier


def test_mlproject_names_conda_yaml_and_no_other_environment() -> None:
    project = yaml.safe_load((ROOT / "MLproject").read_text(encoding="utf-8"))
    assert project["conda_env"] == "conda.yaml"
    assert not project.keys() & {"python_env", "docker_env"}


def test_make_train_ends_by_saying_what_makes_the_commands_it_names_work() -> None:
    command = ["make", "--dry-run", "--no-print-directory", "train"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    *_, training, last = shown.stdout.splitlines()
    assert training.startswith("mlflow run . ")
    assert last.endswith("source .venv/bin/activate'")
