"""A power cut after any operation: what was not synced may be gone. Leave out any one fsync, and harm is done."""

import ast
import os
import shutil
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bench.promotion import publishers, scenes
from bench.promotion.filesystem import Operation, PowerCut, empty, watched
from bench.promotion.publishers import MISSING, version_in
from intents.errors import PromotionError
from intents.system import disk
from registry import record, transaction
from registry import target as targets
from registry.target import Target

Toys = dict[int, Path]
Work = Callable[[Path, Toys], object]
SOURCES = [*Path(record.__file__).parent.glob("*.py"), Path(disk.__file__)]
"""The modules that sync what is published: the registry's, and what it writes files with."""
CHANGES = {"mkdir", "symlink", "open", "unlink", "remove", "rmdir", "rename", "exchange", "fsync"}


class Dead(BaseException):
    """Raised at every operation of a process that is no more."""


@dataclass(frozen=True)
class Command:
    """Work on a target that holds what was published and prepared before; the live versions before and after it.

    `undone`: whether, with the new version live, what must have come before that is gone. `lost`: whether, after the
    command's end, something else is gone that it had promised.
    """

    work: Work
    old: int
    new: int
    published: tuple[int, ...] = ()
    prepare: Work = lambda *_: None
    undone: Callable[[Target], bool] = lambda _: False
    lost: Callable[[Target], bool] = lambda _: False


def put_a_directory_there(target: Path, toys: Toys) -> None:
    """As someone might who doesn't know this command: version 3, copied by hand over the link."""
    target.unlink()
    shutil.copytree(toys[3], target)


def release(target: Path, _: Toys) -> None:
    with transaction.writing(Target(target), wait=1):
        Target(target).release()


def die_once_live_and_recover(target: Path, toys: Toys) -> None:
    """The process dies right after the link's rename; the next one finds nothing to do but to recover."""
    is_live = []

    def die(operation: Operation) -> None:
        if is_live:
            raise Dead
        is_live.extend(path for path in operation.paths[1:] if path == str(target))

    with pytest.raises(Dead), watched(target.parent.parent, before=die):
        publishers.publish(target, toys[2], 2)
    scenes.recover(target)


COMMANDS = {
    "first publication": Command(lambda target, toys: publishers.publish(target, toys[1], 1), MISSING, 1),
    "update": Command(lambda target, toys: publishers.publish(target, toys[2], 2), 1, 2, published=(1,)),
    "rollback": Command(
        lambda target, _: publishers.roll_back(target),
        2,
        1,
        published=(1, 2),
        undone=lambda kept: kept.refused() is None,
    ),
    "release": Command(
        release,
        1,
        1,
        published=(1, 2),
        prepare=lambda target, _: publishers.roll_back(target),
        lost=lambda kept: kept.refused() is not None,
    ),
    "adoption": Command(
        lambda target, toys: publishers.publish(target, toys[2], 2),
        3,
        2,
        published=(1,),
        prepare=put_a_directory_there,
        lost=lambda kept: [version_in(folder) for folder in kept.named(targets.ADOPTED)] != [3],
    ),
    "recovery": Command(die_once_live_and_recover, 1, 2, published=(1,)),
}


@dataclass(frozen=True)
class Step:
    """A change to the disk, and the line of the registry's source that asked for it."""

    operation: Operation
    line: str


@dataclass(frozen=True)
class Scenario:
    """A command's steps, and a copy of the folder that it began with."""

    command: Command
    before: Path
    place: Path
    steps: tuple[Step, ...]

    def syncs(self, line: str = "") -> list[int]:
        """Numbers of the steps that sync, all of them or those of one line of the source."""
        syncs = [number for number, step in enumerate(self.steps) if step.operation.call == "fsync"]
        return [number for number in syncs if line in ("", self.steps[number].line)]

    def is_harmed_without(self, *left_out: int) -> bool:
        """Whether a power cut could do harm if these steps had been forgotten."""
        kept = tuple(step for number, step in enumerate(self.steps) if number not in left_out)
        return any(replace(self, steps=kept).faults(Counter()))

    def faults(self, counts: Counter[str]) -> Iterator[str]:
        """What is wrong with any state that a power cut could leave, during the command or after its end."""
        disk = PowerCut(self.before)
        target = self.place / "models" / "intent_predictor"
        for step in self.steps:
            disk.apply(step.operation)
            for state in disk.states():
                state(empty(self.place))
                counts["power cuts: states of the disk examined"] += 1
                yield from (f"after {step}: {fault}" for fault in self._faults_under_way(target))
        next(iter(disk.states()))(empty(self.place))
        yield from (f"at the end: {fault}" for fault in self._faults_at_the_end(target))

    def _faults_under_way(self, target: Path) -> Iterator[str]:
        version = version_in(target)
        if version not in (self.command.old, self.command.new) or (
            version == MISSING and target.is_symlink()
        ):
            yield f"version {version} is live"
        try:
            live = Target(target).live()
            if live:
                record.check(live)
            if version == self.command.new and self.command.undone(Target(target)):
                yield "what had to come first is undone"
        except PromotionError as error:
            yield str(error)

    def _faults_at_the_end(self, target: Path) -> Iterator[str]:
        if version_in(target) != self.command.new:
            yield "the new version is lost after the command said that it was live"
            return
        told = [entry["to"] for entry in Target(target).history()[-1:]]
        if told != [Path(os.readlink(target)).name]:
            yield "the history is lost"
        if self.command.lost(Target(target)):
            yield "what else was promised is lost"


def asking_line() -> str:
    """The line of SOURCES that is being executed, or has called `sync`."""
    frames = (
        (Path(frame.f_code.co_filename), line)
        for frame, line in traceback.walk_stack(None)
        if frame.f_code is not disk.sync.__code__
    )
    return next((f"{file.name}:{line}" for file, line in frames if file in SOURCES), "elsewhere")


def recorded(root: Path, work: Callable[[], object]) -> list[Step]:
    """Every change below the folder, in order."""
    steps: list[Step] = []
    with watched(
        root, before=lambda _: None, after=lambda operation: steps.append(Step(operation, asking_line()))
    ):
        work()
    return [step for step in steps if step.operation.call in CHANGES]


@pytest.fixture
def scenario_of(toys: Toys, prepared: Callable[..., Path], tmp_path: Path) -> Callable[[str], Scenario]:
    """The command of a name, run once on a real disk and recorded."""

    def record_it(name: str) -> Scenario:
        command = COMMANDS[name]
        target = (
            prepared(*command.published)
            if command.published
            else tmp_path / "fresh" / "models" / "intent_predictor"
        )
        root = target.parents[1]
        root.mkdir(exist_ok=True)
        command.prepare(target, toys)
        before = tmp_path / "before" / name
        shutil.copytree(root, before, symlinks=True)
        steps = recorded(root, lambda: command.work(target, toys))
        moved = str(root.resolve()), str(before.resolve())
        return Scenario(
            command, before, tmp_path / "after" / name, tuple(_elsewhere(step, *moved) for step in steps)
        )

    return record_it


def _elsewhere(step: Step, root: str, other: str) -> Step:
    paths = tuple(path.replace(root, other) for path in step.operation.paths)
    return replace(step, operation=replace(step.operation, paths=paths))


def syncs_of_the_source() -> set[str]:
    """Every line of SOURCES that syncs a file or a folder, but for `sync` itself."""
    return {
        f"{file.name}:{node.lineno}"
        for file in SOURCES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", getattr(node.func, "id", "")) in {"sync", "fsync"}
    } - {f"disk.py:{line}" for *_, line in disk.sync.__code__.co_lines()}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_power_cut_at_any_time_leaves_old_or_new_and_after_the_end_new(
    name: str, scenario_of: Callable[[str], Scenario], figures: Counter[str]
):
    scenario = scenario_of(name)
    assert list(scenario.faults(figures)) == []
    assert scenario.syncs()


@pytest.mark.parametrize("name", ["first publication", "update", "rollback", "release"])
def test_without_any_one_sync_a_power_cut_would_do_harm(
    name: str, scenario_of: Callable[[str], Scenario], figures: Counter[str]
):
    scenario = scenario_of(name)
    needless = [scenario.steps[sync] for sync in scenario.syncs() if not scenario.is_harmed_without(sync)]
    assert needless == []
    figures["power cuts: syncs left out one at a time, harm done each time"] += len(scenario.syncs())


def test_there_is_no_sync_in_the_source_whose_removal_would_go_unnoticed(
    scenario_of: Callable[[str], Scenario], figures: Counter[str]
):
    scenarios = [scenario_of(name) for name in COMMANDS]
    needed = {
        line
        for line in syncs_of_the_source()
        for scenario in scenarios
        if (left_out := scenario.syncs(line)) and scenario.is_harmed_without(*left_out)
    }
    assert needed == syncs_of_the_source()
    assert len(needed) > 10
    figures["power cuts: lines of the source that sync, each one needed"] += len(needed)
