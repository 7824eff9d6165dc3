"""A disk that fails at any operation: what was live stays, the message says so, and the next run gets through."""

import errno
import os
import re
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.promotion import publishers
from bench.promotion.filesystem import Operation, watched
from bench.promotion.publishers import version_in
from intents.errors import IntentsError
from registry.target import Target
from tests.registry.conftest import assert_sound

ERRORS = ("ENOSPC", "EIO", "EROFS", "EACCES", "EMFILE")
TIME_AND_HASH = re.compile(r"\d{8}T\d{12}Z(_[0-9a-f]{12})?")
Toys = dict[int, Path]
Place = tuple[str, tuple[str, ...], int]


class Places:
    """Names each operation: the call, its paths below the folder without times and hashes, how often it was there.

    Files are copied by several threads: such a name means the same operation in every run, a number would not.
    """

    def __init__(self, folder: Path) -> None:
        self.root = os.path.realpath(folder)
        self.seen: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self.lock = threading.Lock()

    def of(self, operation: Operation) -> Place:
        paths = tuple(TIME_AND_HASH.sub("*", path.removeprefix(self.root)) for path in operation.paths)
        with self.lock:
            self.seen[operation.call, paths] += 1
            return operation.call, paths, self.seen[operation.call, paths]


def places_of(target: Path, work: Callable[[Path], None]) -> list[Place]:
    """Every operation of the work, each once."""
    folder = target.parent.parent
    places = Places(folder)
    found: list[Place] = []
    with watched(folder, before=lambda operation: found.append(places.of(operation))):
        work(target)
    return found


def said_when(place: Place, number: int, target: Path, work: Callable[[Path], None]) -> str:
    """What the work says ("" where it got over it) when the operation at that place fails."""
    folder = target.parent.parent
    places = Places(folder)
    failed: list[Operation] = []

    def fail(operation: Operation) -> None:
        if places.of(operation) == place:
            failed.append(operation)
            raise OSError(number, os.strerror(number), operation.paths[0])

    said = ""
    try:
        with watched(folder, before=fail):
            work(target)
    except (OSError, IntentsError) as error:
        said = str(error)
    assert failed, f"{place} never came: {said}"
    return said


@pytest.mark.parametrize("name", ERRORS)
def test_an_update_that_fails_anywhere_leaves_the_live_version_unless_it_says_otherwise(
    name: str, toys: Toys, prepared: Callable[..., Path], figures: Counter[str]
):
    def update(target: Path) -> None:
        publishers.publish(target, toys[3], 3)

    outcomes: Counter[str] = Counter()
    for place in places_of(prepared(1, 2), update):
        target = prepared(1, 2)
        said = said_when(place, getattr(errno, name), target, update)
        version = version_in(target)
        if not said:
            assert version == 3
            outcomes["got over it"] += 1
        elif "was live, and whole" in said:
            assert version == 3
            outcomes["live, with an error after"] += 1
        else:
            assert version == 2, (place, said)
            outcomes["untouched"] += 1
            assert [p.identity.version for p in Target(target).versions().values()] in (
                ["1", "2"],
                ["1", "2", "3"],
            )
        update(target)
        assert version_in(target) == 3
        assert_sound(target)
    assert outcomes["untouched"] > 60
    assert 0 < outcomes["live, with an error after"] < 40
    figures.update({f"disk errors: update, {outcome}": count for outcome, count in outcomes.items()})


@pytest.mark.parametrize("name", ERRORS)
def test_a_rollback_that_fails_anywhere_leaves_the_live_version_unless_it_says_otherwise(
    name: str, prepared: Callable[..., Path], figures: Counter[str]
):
    places = places_of(prepared(1, 2), publishers.roll_back)
    assert len(places) > 20
    for place in places:
        target = prepared(1, 2)
        said = said_when(place, getattr(errno, name), target, publishers.roll_back)
        took_place = version_in(target) == 1
        assert took_place == (not said or "was live, and whole" in said), (place, said)
        if not took_place:
            assert version_in(target) == 2
            publishers.roll_back(target)
        assert version_in(target) == 1
        refused = Target(target).refused()
        assert refused is not None
        assert refused.version == "2"
    figures["disk errors: rollback, old or new as it said"] += len(places)


def test_after_a_failure_nothing_half_done_is_left(toys: Toys, prepared: Callable[..., Path]):
    """A disk that is full at one operation lets the rest of the program tidy up."""

    def publish(target: Path) -> None:
        publishers.publish(target, toys[2], 2)

    tidied: Counter[str] = Counter()
    for place in places_of(prepared(1), publish):
        call = place[0]
        if call not in ("write", "mkdir", "symlink", "rename", "fsync"):
            continue
        target = prepared(1)
        before = sorted(os.listdir(Target(target).folder))
        said = said_when(place, errno.ENOSPC, target, publish)
        if version_in(target) == 1:
            assert "What was live before still is, untouched." in said
            assert sorted(os.listdir(Target(target).folder)) == before, place
            assert not os.path.lexists(Target(target).link)
            tidied[call] += 1
    files = len([path for path in toys[2].rglob("*") if path.is_file()])
    assert tidied == {"mkdir": 2, "write": 1, "symlink": 1, "rename": 2, "fsync": files + 3}
