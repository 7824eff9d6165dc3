"""README.md and README.zh.md say the same: the same commands, the same figures, and no link that leads nowhere.

They and CONTRIBUTING.md draw the map of the packages as tests/test_architecture.py holds it.
"""

import re

import pytest

from tests.test_architecture import PACKAGES, ROOT

ENGLISH, CHINESE = "README.md", "README.zh.md"
READMES = {name: (ROOT / name).read_text(encoding="utf-8") for name in (ENGLISH, CHINESE)}
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FENCED = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(mlflow|make|python|torchrun|curl)\s|[A-Z_]+=")
"""A program of ours or beside it, or a variable: PYTHONPATH=src python …, MINILM="-P …"."""


def fenced_commands(markdown: str) -> list[str]:
    """Commands in fenced blocks, in order, each on one line and without its comment, which may be translated."""
    joined = (re.sub(r"\\\n\s*", "", block) for block in FENCED.findall(markdown))
    lines = (re.sub(r"\s+# .*", "", line) for block in joined for line in block.splitlines())
    return [line for line in lines if COMMAND.match(line)]


def inline_commands(markdown: str) -> set[str]:
    """Commands in running text, each on one line wherever the paragraph breaks."""
    spans = (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", FENCED.sub("", markdown)))
    return {span for span in spans if COMMAND.match(span)}


def figures(markdown: str) -> list[str]:
    """Numbers with four decimals, in order."""
    return re.findall(r"(?<![\d.])\d+\.\d{4}(?!\d)", markdown)


def relative_links(markdown: str) -> list[str]:
    """Files that are linked to, without the section."""
    targets = re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", markdown))
    return [target.partition("#")[0] for target in targets if not re.match(r"[a-z]+:|#", target)]


def test_commands_are_read_whole_and_without_comments_or_output() -> None:
    fenced = "```\nA=1 make b   # why\ncurl x \\\n     -d y\n1 python\n```\n```python\nimport json\n```\n"
    assert fenced_commands(fenced) == ["A=1 make b", "curl x -d y"]
    assert inline_commands(f"`mlflow\nrun .` and `-P data=x`\n{fenced}") == {"mlflow run ."}


def test_fenced_blocks_have_the_same_commands_in_the_same_order() -> None:
    assert fenced_commands(READMES[ENGLISH])
    assert fenced_commands(READMES[CHINESE]) == fenced_commands(READMES[ENGLISH])


def test_running_text_has_the_same_commands() -> None:
    assert inline_commands(READMES[ENGLISH])
    assert inline_commands(READMES[CHINESE]) == inline_commands(READMES[ENGLISH])


def test_figures_with_four_decimals_are_the_same_in_the_same_order() -> None:
    assert figures("0.9614 [0.9554, 12.0001] 5.23 0.153 0.12345") == ["0.9614", "0.9554", "12.0001"]
    assert figures(READMES[ENGLISH])
    assert figures(READMES[CHINESE]) == figures(READMES[ENGLISH])


def test_each_readme_links_to_the_other() -> None:
    assert CHINESE in relative_links(READMES[ENGLISH])
    assert ENGLISH in relative_links(READMES[CHINESE])


@pytest.mark.parametrize("name", READMES)
def test_every_relative_link_leads_to_a_file(name: str) -> None:
    assert [link for link in relative_links(READMES[name]) if not (ROOT / link).is_file()] == []


def rooms(places: str) -> list[str]:
    """The packages that a row of a table names, by the names in `PACKAGES`."""
    names = [name.removesuffix("/").removesuffix(".py") for name in re.findall(r"`([^`]+)`", places)]
    return [name if name == "registry" else f"intents.{name}" for name in names]


@pytest.mark.parametrize("text", [*READMES.values(), CONTRIBUTING], ids=[*READMES, "CONTRIBUTING.md"])
def test_the_line_of_packages_is_the_one_that_is_held(text: str) -> None:
    lines = [" · ".join(name.removeprefix("intents.") for name in packages) for packages in PACKAGES[1:]]
    assert f"```\n{' → '.join(lines)}\n" in text


def test_the_guide_says_of_every_package_what_it_owns() -> None:
    table = re.findall(r"^\| (.*?) \|", CONTRIBUTING.partition("## To add")[0], re.MULTILINE)
    assert {room for row in table for room in rooms(row)} == {
        package for packages in PACKAGES[1:] for package in packages
    }


def test_the_guide_sends_nobody_to_a_file_that_is_not_there() -> None:
    named = re.findall(r"`([\w/<>]+(?:\.\w+)+|[\w/<>]*/[\w/<>]*)`", FENCED.sub("", CONTRIBUTING))
    assert len(named) > 20
    patterns = {re.sub(r"<\w+>", "*", name).rstrip("/") for name in named}
    assert [p for p in patterns if not any(any(root.glob(p)) for root in (ROOT, ROOT / "src/intents"))] == []


@pytest.mark.parametrize("name", READMES)
def test_every_command_finds_its_environment_and_the_server_leaves_the_pages_their_port(name: str) -> None:
    commands = [*fenced_commands(READMES[name]), *inline_commands(READMES[name])]
    runs = [command for command in commands if "mlflow run . " in command]
    assert len(runs) > 10
    assert [run for run in runs if "--env-manager" not in run] == []
    served = [command for command in commands if command.startswith("mlflow models serve")]
    assert served
    assert not [command for command in served if " -p " not in command or "-p 5000" in command]
