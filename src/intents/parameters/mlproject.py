"""The MLproject file, generated from `parameters/commands.py`: `python -m intents.parameters.mlproject > MLproject`."""

import json

from intents.parameters.commands import ENTRY_POINT_MEANINGS, ENTRY_POINTS, entry_point_parameters
from intents.parameters.declaration import Parameter

MODULES = {"promote": "registry.promote"}
HEADER = """\
# Generated from the declarations in src/intents by `make mlproject`; a test holds the two equal.
# mlflow run . -e <entry point> -P <parameter>=<value> --env-manager local
name: intents

conda_env: conda.yaml

entry_points:
"""


def mlproject() -> str:
    """The text of the MLproject file."""
    return HEADER + "\n".join(_entry_point(name) for name in ENTRY_POINTS)


def _entry_point(name: str) -> str:
    parameters = entry_point_parameters(name)
    module = MODULES.get(name, f"intents.cli {name}")
    # `exec env` lets signals reach Python, and runs a clone that is not installed.
    flags = " ".join(f"--{parameter.name} {{{parameter.name}}}" for parameter in parameters)
    lines = [f"  # {ENTRY_POINT_MEANINGS[name]}", f"  {name}:", "    parameters:"]
    lines += [line for parameter in parameters for line in _parameter(parameter)]
    lines.append(f"    command: exec env PYTHONPATH=src python -m {module} {flags}")
    return "\n".join(lines) + "\n"


def _parameter(parameter: Parameter) -> tuple[str, str]:
    kind = {str: "string", int: "int", float: "float", bool: "string"}[parameter.type]
    choices = f" One of: {', '.join(parameter.choices)}." if parameter.choices else ""
    return (
        f"      # {parameter.meaning}{choices}",
        f"      {parameter.name}: {{type: {kind}, default: {json.dumps(parameter.default)}}}",
    )


if __name__ == "__main__":
    print(mlproject(), end="")
