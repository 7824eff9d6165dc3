"""The MLproject file: generated, current, and understood by the commands that it calls."""

import shlex
from pathlib import Path

import pytest
import yaml

from intents import cli, config
from intents.mlproject import mlproject

ROOT = Path(__file__).parents[1]
FILE = (ROOT / "MLproject").read_text(encoding="utf-8")
ENTRY_POINTS = yaml.safe_load(FILE)["entry_points"]
TYPES = {"string": str, "int": int, "float": float}


def test_the_committed_file_is_the_generated_one() -> None:
    assert mlproject() == FILE, "run `make mlproject`"


@pytest.mark.parametrize("entry_point", config.ENTRY_POINTS)
def test_parameters_have_the_declared_names_types_and_defaults(entry_point: str) -> None:
    written = ENTRY_POINTS[entry_point]["parameters"]
    declared = {p.name: (p.type, p.default) for p in config.entry_point_parameters(entry_point)}
    # YAML reads 5e-05 as text; so does MLflow, which hands every value on as text.
    read = {name: (TYPES[p["type"]], TYPES[p["type"]](p["default"])) for name, p in written.items()}
    assert read == declared


def test_every_entry_point_is_written_and_no_other() -> None:
    assert ENTRY_POINTS.keys() == config.ENTRY_POINTS.keys()


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
def test_a_command_passes_every_parameter_under_its_own_name(entry_point: str) -> None:
    flags = ENTRY_POINTS[entry_point]["command"].split(" --")[1:]
    assert flags == [f"{name} {{{name}}}" for name in ENTRY_POINTS[entry_point]["parameters"]]


@pytest.mark.parametrize("family", config.FAMILIES)
def test_a_training_command_left_at_its_defaults_trains_the_default_configuration(family: str) -> None:
    entry_point = ENTRY_POINTS[f"train_{family}"]
    defaults = {name: shlex.quote(str(p["default"])) for name, p in entry_point["parameters"].items()}
    words = shlex.split(entry_point["command"].format(**defaults))
    start = ["exec", "env", "PYTHONPATH=src", "python", "-m", "intents.cli", f"train_{family}"]
    assert words[: len(start)] == start
    texts = vars(cli.build_parser().parse_args(words[len(start) - 1 :]))
    assert config.train_config(family, texts) == config.train_config(family, {})


def test_a_meaning_stands_above_its_parameter_with_the_choices() -> None:
    lines = [line.strip() for line in FILE.splitlines()]
    above = lines[lines.index('split: {type: string, default: "grouped"}') - 1]
    assert above.startswith("# How rows reach train and test")
    assert above.endswith("One of: grouped, stratified, given.")
