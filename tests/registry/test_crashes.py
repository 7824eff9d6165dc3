"""A process that dies at any operation on the disk leaves the old version or the new one, and the next run repairs.

Here a process dies by doing nothing more to the disk, which leaves what SIGKILL leaves and takes no process.
bench/promotion/promotion.py does the same with SIGKILL, and a test runs it.
"""

import functools
import itertools
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from bench.promotion import publishers
from bench.promotion.filesystem import Operation, watched
from bench.promotion.publishers import MISSING, TORN, version_in
from registry import disk, transaction, upkeep
from registry.target import Target
from tests.registry.conftest import age, assert_sound

Toys = dict[int, Path]
Prepare = Callable[..., Path]


class Dead(BaseException):
    """Raised at every operation of a process that is no more."""


def dies_at(place: int, target: Path, work: Callable[[], None]) -> bool:
    """Whether the work came to the operation of this number; from there on it could do nothing."""
    numbers = itertools.count()

    def die(_: Operation) -> None:
        if next(numbers) >= place:
            raise Dead

    try:
        with watched(target.parent.parent, before=die):
            work()
    except Dead:
        return True
    return False


def kill_everywhere(prepare: Callable[[], Path], work: Callable[[Path], None]) -> list[Path]:
    """A target for each place where a process can die, left as it was then."""
    targets = []
    for place in itertools.count():
        target = prepare()
        if not dies_at(place, target, lambda target=target: work(target)):
            return targets
        targets.append(target)
    raise AssertionError


def test_a_first_publication_killed_anywhere_is_none_or_whole_and_the_next_run_makes_it_whole(
    toys: Toys, tmp_path: Path
):
    fresh = (tmp_path / "fresh" / str(i) / "models" / "intent_predictor" for i in itertools.count())

    def prepare() -> Path:
        target = next(fresh)
        target.parent.parent.mkdir(parents=True)
        return target

    targets = kill_everywhere(prepare, lambda target: publishers.publish(target, toys[1], 1))
    found = [version_in(target) for target in targets]
    assert set(found) == {MISSING, 1}
    assert found == sorted(found)
    for target in targets:
        publishers.publish(target, toys[1], 1)
        assert version_in(target) == 1
        assert_sound(target)
        assert len(Target(target).versions()) == 1


def test_an_update_killed_anywhere_leaves_old_or_new_and_the_next_run_ends_it(toys: Toys, prepared: Prepare):
    targets = kill_everywhere(lambda: prepared(1, 2), lambda target: publishers.publish(target, toys[3], 3))
    found = [version_in(target) for target in targets]
    assert set(found) == {2, 3}
    assert found == sorted(found)
    for target in targets:
        publishers.publish(target, toys[3], 3)
        assert version_in(target) == 3
        assert_sound(target)
        assert [p.identity.version for p in Target(target).versions().values()] == ["1", "2", "3"]
        assert [entry["version"] for entry in Target(target).history()] == ["1", "2", "3"]


def test_a_rollback_killed_anywhere_leaves_old_or_new_and_holds_exactly_when_it_took_place(prepared: Prepare):
    targets = kill_everywhere(lambda: prepared(1, 2, 3), publishers.roll_back)
    found = [version_in(target) for target in targets]
    assert set(found) == {2, 3}
    assert found == sorted(found, reverse=True)
    for target, version in zip(targets, found, strict=True):
        refused = Target(target).refused()
        assert (refused.version if refused else None) == (None if version == 3 else "3")
        if version == 3:
            publishers.roll_back(target)
        else:
            upkeep.recover(Target(target))
        assert version_in(target) == 2
        assert_sound(target)


def test_a_second_rollback_killed_anywhere_never_ends_the_hold_of_the_first(prepared: Prepare):
    def prepare() -> Path:
        target = prepared(1, 2, 3)
        publishers.roll_back(target)
        return target

    for target in kill_everywhere(prepare, publishers.roll_back):
        refused = Target(target).refused()
        assert refused is not None
        assert refused.version == "3"


def test_a_recovery_killed_anywhere_is_ended_by_the_next(toys: Toys, prepared: Prepare):
    """From each tenth place where an update can die, and from those where a version has entered but isn't live."""
    died = kill_everywhere(lambda: prepared(1, 2), lambda target: publishers.publish(target, toys[3], 3))
    tried = 0
    copies = itertools.count()

    def copy_of(wreck: Path) -> Path:
        copy = wreck.parents[2] / f"again{next(copies)}" / "models"
        shutil.copytree(wreck.parent, copy, symlinks=True)
        return copy / wreck.name

    entered = [wreck for wreck in died if version_in(wreck) == 2 and len(Target(wreck).versions()) == 3]
    assert entered
    for wreck in [*died[::10], *entered]:
        prepare = functools.partial(copy_of, wreck)
        for target in kill_everywhere(prepare, lambda target: upkeep.recover(Target(target)) and None):
            assert version_in(target) == version_in(wreck)
            publishers.publish(target, toys[3], 3)
            assert version_in(target) == 3
            assert_sound(target)
            tried += 1
    assert tried > 20


@pytest.mark.parametrize("can_exchange", [True, False])
def test_adopting_a_directory_killed_anywhere_loses_neither_it_nor_the_new_version(
    can_exchange: bool, toys: Toys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    if not can_exchange:  # a system that can't
        monkeypatch.setattr(disk, "exchange", lambda *_: False)
    copies = itertools.count()

    def prepare() -> Path:
        target = tmp_path / "adopting" / str(next(copies)) / "models" / "intent_predictor"
        shutil.copytree(toys[1], target)
        return target

    targets = kill_everywhere(prepare, lambda target: publishers.publish(target, toys[2], 2))
    found = [version_in(target) for target in targets]
    assert set(found) == ({1, 2} if can_exchange else {1, 2, MISSING})
    assert found.count(MISSING) == (0 if can_exchange else 1)
    for target in targets:
        with transaction.writing(Target(target), wait=1):
            assert version_in(target) in {1, 2}
        publishers.publish(target, toys[2], 2)
        assert version_in(target) == 2
        assert_sound(target)
        (adopted,) = Target(target).folder.glob("adopted_*")
        assert version_in(adopted) == 1


def test_a_removal_of_old_versions_killed_anywhere_leaves_each_whole_or_gone(toys: Toys, prepared: Prepare):
    def prepare() -> Path:
        target = prepared(*[1, 2] * 4)
        age(Target(target), timedelta(days=2))
        return target

    targets = kill_everywhere(prepare, lambda target: upkeep.prune(Target(target)) and None)
    kept = set()
    for target in targets:
        upkeep.recover(Target(target))
        assert version_in(target) == 2
        assert_sound(target)
        kept.add(len(Target(target).versions()))
    assert kept == {8, 7, 6, 5}
    publishers.publish(targets[0], toys[3], 3)
    assert len(Target(targets[0]).versions()) == 5


@pytest.mark.parametrize(
    ("naive", "fault"), [(publishers.delete_and_copy, TORN), (publishers.two_renames, MISSING)]
)
def test_the_same_kills_find_fault_with_naive_publishers(
    naive: publishers.Publisher, fault: int, toys: Toys, tmp_path: Path
):
    copies = itertools.count()

    def prepare() -> Path:
        target = tmp_path / "naive" / str(next(copies)) / "models" / "intent_predictor"
        target.parent.mkdir(parents=True)
        naive(target, toys[1], 1)
        return target

    found = {version_in(t) for t in kill_everywhere(prepare, lambda target: naive(target, toys[2], 2))}
    assert fault in found


def test_an_interrupted_run_is_named_by_the_next(toys: Toys, prepared: Prepare):
    targets = kill_everywhere(lambda: prepared(1), lambda target: publishers.publish(target, toys[2], 2))
    said = [upkeep.recover(Target(target)) for target in targets]
    assert any("removed what an interrupted publication had left" in line for lines in said for line in lines)
    assert any("the history now says so" in line for lines in said for line in lines)
    assert upkeep.recover(Target(targets[-1])) == []
