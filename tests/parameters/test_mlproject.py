"""The MLproject file: generated, current, and understood by the commands that it calls."""

import argparse
import shlex
from pathlib import Path

import pytest
import yaml
from mlflow.projects._project_spec import load_project

from intents import cli
from intents.parameters import commands
from intents.parameters.declaration import AUTO
from intents.parameters.mlproject import mlproject
from intents.parameters.training import train
from intents.parameters.training.families import FAMILIES

ROOT = Path(__file__).parents[2]
FILE = (ROOT / "MLproject").read_text(encoding="utf-8")
ENTRY_POINTS = yaml.safe_load(FILE)["entry_points"]
# MLflow knows no booleans: it hands on "True" or "False".
WRITTEN_TYPES = {str: "string", int: "int", float: "float", bool: "string"}


def test_the_committed_file_is_the_generated_one() -> None:
    assert mlproject() == FILE, "run `make mlproject`"


@pytest.mark.parametrize("entry_point", commands.ENTRY_POINTS)
def test_parameters_have_the_declared_names_types_and_defaults(entry_point: str) -> None:
    written = ENTRY_POINTS[entry_point]["parameters"]
    declared = {p.name: p for p in commands.entry_point_parameters(entry_point)}
    assert list(written) == list(declared)
    for name, parameter in declared.items():
        assert written[name]["type"] == WRITTEN_TYPES[parameter.type]
        # YAML reads 5e-05 as text; so does MLflow, which hands every value on as text.
        read = parameter.parse(str(written[name]["default"]))
        assert read == parameter.default
        assert type(read) is (str if read == AUTO else parameter.type)


def test_every_entry_point_is_written_and_no_other() -> None:
    assert ENTRY_POINTS.keys() == commands.ENTRY_POINTS.keys()


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
def test_a_command_passes_every_parameter_under_its_own_name(entry_point: str) -> None:
    flags = ENTRY_POINTS[entry_point]["command"].split(" --")[1:]
    assert flags == [f"{name} {{{name}}}" for name in ENTRY_POINTS[entry_point]["parameters"]]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_training_command_left_at_its_defaults_trains_the_default_configuration(family: str) -> None:
    name = FAMILIES[family].ENTRY_POINT
    entry_point = ENTRY_POINTS[name]
    defaults = {flag: shlex.quote(str(p["default"])) for flag, p in entry_point["parameters"].items()}
    words = shlex.split(entry_point["command"].format(**defaults))
    start = ["exec", "env", "PYTHONPATH=src", "python", "-m", "intents.cli", name]
    assert words[: len(start)] == start
    texts = vars(cli.build_parser().parse_args(words[len(start) - 1 :]))
    assert train.train_config(family, texts) == train.train_config(family, {})


@pytest.mark.parametrize("entry_point", commands.ENTRY_POINTS)
def test_mlflow_itself_makes_of_the_defaults_a_command_that_means_them(entry_point: str) -> None:
    command = load_project(ROOT).get_entry_point(entry_point).compute_command({}, None)
    _, _, flags = command.partition(" --")
    parser = argparse.ArgumentParser()
    cli.add_flags(parser, entry_point)
    texts = vars(parser.parse_args(shlex.split(f"--{flags}")))
    for parameter in commands.entry_point_parameters(entry_point):
        assert parameter.parse(texts[parameter.name]) == parameter.default, parameter.name


def test_a_meaning_stands_above_its_parameter_with_the_choices() -> None:
    lines = [line.strip() for line in FILE.splitlines()]
    above = lines[lines.index('split: {type: string, default: "grouped"}') - 1]
    assert above.startswith("# How rows reach train and test")
    assert above.endswith("One of: grouped, stratified, random, given.")
