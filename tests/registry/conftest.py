"""Toy versions and stores that hold some (bench/promotion/publishers.py), and two real ones with the real command."""

import functools
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from bench.promotion import publishers
from bench.promotion.promoter import smoke_in_this_process
from intents.models.file_names import MANIFEST
from registry import commands, promote, record
from registry.target import Target
from registry.transaction import Check
from tests.conftest import Logged, run_tracked

SHOP = "shop"
PUBLISHED = "models/intent_predictor"
FIGURES: Counter[str] = Counter()


@pytest.fixture
def figures() -> Counter[str]:
    """What the tests count beside passing or failing; printed after the last of them."""
    return FIGURES


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints what was counted."""
    for what, figure in sorted(FIGURES.items()):
        terminalreporter.write_line(f"{what:<72} {figure}")


@pytest.fixture(autouse=True)
def patient_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here pulls the plug: that a sync is asked for is seen, that it is done would cost minutes on a busy disk.

    bench/promotion/promotion.py, in processes of its own, syncs for real.
    """
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def toys(tmp_path: Path) -> dict[int, Path]:
    """Directories of versions 1, 2 and 3."""
    return {number: publishers.make_version(tmp_path / "toys" / str(number), number) for number in (1, 2, 3)}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where nothing is published yet."""
    return tmp_path / "here" / PUBLISHED


@pytest.fixture
def prepared(toys: dict[int, Path], tmp_path: Path) -> Callable[..., Path]:
    """A copy of a target to which these versions were published in turn."""
    made: dict[tuple[int, ...], Path] = {}
    copies = iter(range(100_000))

    def prepare(*numbers: int) -> Path:
        if numbers not in made:
            made[numbers] = tmp_path / "prepared" / "_".join(map(str, numbers)) / PUBLISHED
            made[numbers].parent.mkdir(parents=True)
            for number in numbers:
                publishers.publish(made[numbers], toys[number], number)
        copy = tmp_path / "copies" / str(next(copies)) / PUBLISHED
        shutil.copytree(made[numbers].parent, copy.parent, symlinks=True)
        return copy

    return prepare


def assert_sound(target: Path) -> None:
    """Every kept version is whole, the history ends with the live one, and nothing half-done lies about."""
    kept = Target(target)
    live = kept.live()
    assert live is not None
    record.check(live)
    for folder in kept.folder.glob("v*"):
        record.check(folder)
    assert kept.history()[-1]["to"] == live.name
    known = {".lock", ".publishing", "history.jsonl", "hold.json"}
    assert [name for name in os.listdir(kept.folder) if name not in known and name[0] not in "va"] == []
    assert not os.path.lexists(kept.link)


def age(kept: Target, by: timedelta, *, history: bool = True) -> None:
    """As if everything had been published so much earlier."""
    then = (datetime.now(UTC) - by).isoformat(timespec="seconds")
    for folder in kept.versions():
        path = folder / "promotion.json"
        path.chmod(0o644)
        path.write_text(json.dumps(json.loads(path.read_text()) | {"published_at": then}))
    if history:
        lines = [json.dumps(entry | {"time": then}) for entry in kept.history()]
        kept.history_file.write_text("\n".join(lines) + "\n")


@dataclass(frozen=True)
class Promote:
    """The command, its target below a folder of the test's own, and what it printed last."""

    target: Path
    capsys: pytest.CaptureFixture[str]
    gate: Callable[..., Check] = lambda *_, **__: lambda _: {}
    """Open, unless a test is about it: two tiny models differ by chance."""

    def __call__(self, *arguments: str, name: str = SHOP) -> tuple[int, str]:
        said = self.apart(*arguments, name=name)
        return said[0], said[1] + said[2]

    def apart(self, *arguments: str, name: str = SHOP) -> tuple[int, str, str]:
        """The exit code, what it printed, and what it said on the error stream."""
        checks: dict[str, Any] = {"smoke": smoke_in_this_process, "gate": self.gate}
        actions = {
            **commands.ACTIONS,
            "publish": functools.partial(commands.publish, **checks),
            "dry-run": functools.partial(commands.dry_run, **checks),
        }
        code = promote.main(["--name", name, "--target", str(self.target), *arguments], actions=actions)
        said = self.capsys.readouterr()
        return code, said.out, said.err

    @property
    def kept(self) -> list[Path]:
        """Every version's folder, and whatever was adopted or left over."""
        folder = self.target.with_name(f"{self.target.name}_backups")
        own = {".lock", ".publishing", "history.jsonl", "hold.json"}
        return sorted(path for path in folder.iterdir() if path.name not in own) if folder.exists() else []


@pytest.fixture(scope="session")
def versions(store: str, tiny_settings: dict[str, str]) -> tuple[Logged, Logged]:
    """Versions 1 and 2 of the registered model `shop`, of different content."""
    one, two = (run_tracked(store, tiny_settings | {"register": SHOP, "seed": seed}) for seed in ("1", "2"))
    assert (one.version, two.version) == ("1", "2")
    assert manifest(stored(one)) != manifest(stored(two))
    return one, two


@pytest.fixture
def run(
    versions: tuple[Logged, Logged], in_store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Promote]:
    assert versions[0].uri == in_store
    yield Promote(tmp_path / "models" / "intent_predictor", capsys)
    if SHOP in [model.name for model in MlflowClient().search_registered_models()]:
        for alias in MlflowClient().get_registered_model(SHOP).aliases:
            MlflowClient().delete_registered_model_alias(SHOP, alias)


def logged_model(made: Logged) -> mlflow.entities.LoggedModel:
    source = MlflowClient().get_model_version(made.config.run.register, made.version).source
    return MlflowClient().get_logged_model(source.removeprefix("models:/"))


def stored(made: Logged) -> Path:
    """Where the store keeps the version's model directory."""
    return Path(logged_model(made).artifact_location.removeprefix("file://")) / "artifacts" / "model"


def manifest(directory: Path) -> bytes:
    return (directory / MANIFEST).read_bytes()


def production() -> str | None:
    """The version that the alias Production names."""
    try:
        return str(MlflowClient().get_model_version_by_alias(SHOP, "Production").version)
    except MlflowException:
        return None
