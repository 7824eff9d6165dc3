"""A power cut after any operation: what was not synced may be gone. Leave out any one fsync, and harm is done."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import publishers
from bench.filesystem import Operation, PowerCut, empty, watched
from bench.publishers import MISSING, version_in
from intents.errors import PromotionError
from registry import record
from registry.store import Store

Toys = dict[int, Path]


def recorded(root: Path, work: Callable[[], None]) -> list[Operation]:
    """Every operation below the folder, in order."""
    operations: list[Operation] = []
    with watched(root, before=lambda _: None, after=operations.append):
        work()
    changing = {"mkdir", "symlink", "open", "unlink", "remove", "rmdir", "rename", "exchange", "fsync"}
    return [operation for operation in operations if operation.call in changing]


def faults(
    before: Path, operations: list[Operation], place: Path, *, old: int, new: int, holds: bool
) -> list[str]:
    """What is wrong with any state that a power cut could leave, during the operations or after the last."""
    disk = PowerCut(before)
    found = []
    for number, operation in enumerate(operations):
        disk.apply(operation)
        for state in disk.states():
            state(empty(place))
            target = place / "models" / "intent_predictor"
            version = version_in(target)
            if version not in (old, new) or (version == MISSING and target.is_symlink()):
                found.append(f"after {number} {operation.call} {operation.paths}: version {version}")
            found += [
                f"after {number} {operation.call}: {what}"
                for what in unsound(target, version == new and holds)
            ]
    next(iter(disk.states()))(empty(place))
    target = place / "models" / "intent_predictor"
    if version_in(target) != new:
        found.append("the new version is lost after the command said that it was live")
    elif (
        Store(target).history()[-1:] == []
        or Store(target).history()[-1]["to"] != os.readlink(target).split("/")[1]
    ):
        found.append("the history is lost")
    return found


def unsound(target: Path, is_rolled_back: bool) -> list[str]:
    """What the project's own reading of the target finds fault with."""
    try:
        live = Store(target).live()
        if live:
            record.check(live)
        if is_rolled_back and Store(target).refused() is None:
            return ["rolled back without a hold"]
    except PromotionError as error:
        return [str(error)]
    return []


class Scenario:
    """A command's operations, and the state it began with."""

    def __init__(self, folder: Path, target: Path, work: Callable[[Path], None]) -> None:
        self.place = folder / "after"
        self.before = folder / "before"
        root = target.parents[1]
        shutil.copytree(root, self.before, symlinks=True)
        self.operations = recorded(root, lambda: work(target))
        moved = str(root.resolve()), str(self.before.resolve())
        self.operations = [
            Operation(o.call, tuple(path.replace(*moved) for path in o.paths), o.content)
            for o in self.operations
        ]

    def faults(self, without: int | None = None, **expected: int) -> list[str]:
        """With the sync of this number left out, if one is named."""
        kept = [o for number, o in enumerate(self.operations) if number != without]
        return faults(self.before, kept, self.place, **expected)

    @property
    def syncs(self) -> list[int]:
        return [number for number, o in enumerate(self.operations) if o.call == "fsync"]


@pytest.fixture(params=["first publication", "update", "rollback"])
def scenario(
    request: pytest.FixtureRequest, toys: Toys, prepared: Callable[..., Path], tmp_path: Path
) -> tuple[Scenario, dict[str, int]]:
    if request.param == "first publication":
        target = tmp_path / "fresh" / "models" / "intent_predictor"
        target.parent.parent.mkdir()
        made = Scenario(tmp_path / "cut", target, lambda target: publishers.publish(target, toys[1], 1))
        return made, {"old": MISSING, "new": 1, "holds": False}
    if request.param == "update":
        made = Scenario(tmp_path / "cut", prepared(1), lambda target: publishers.publish(target, toys[2], 2))
        return made, {"old": 1, "new": 2, "holds": False}
    return Scenario(tmp_path / "cut", prepared(1, 2), publishers.roll_back), {
        "old": 2,
        "new": 1,
        "holds": True,
    }


def test_a_power_cut_at_any_time_leaves_old_or_new_and_after_the_end_new(
    scenario: tuple[Scenario, dict[str, int]],
):
    made, expected = scenario
    assert made.faults(**expected) == []
    assert len(made.operations) > 8


def test_without_any_one_sync_a_power_cut_would_do_harm(scenario: tuple[Scenario, dict[str, int]]):
    made, expected = scenario
    needless = [
        made.operations[sync].paths for sync in made.syncs if not made.faults(without=sync, **expected)
    ]
    assert needless == []
    assert len(made.syncs) >= 4
