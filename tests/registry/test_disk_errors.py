"""A disk that fails at any operation: what was live stays, the message says so, and the next run gets through."""

import errno
import itertools
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import publishers
from bench.filesystem import Operation, watched
from bench.publishers import version_in
from intents.errors import IntentsError
from registry.store import Store
from tests.registry.conftest import assert_sound

ERRORS = ("ENOSPC", "EIO", "EROFS", "EACCES", "EMFILE")
Toys = dict[int, Path]


def fails_at(place: int, number: int, target: Path, work: Callable[[], None]) -> tuple[Operation | None, str]:
    """The operation that failed (None where the work ended before it came to it), and what was said."""
    numbers = itertools.count()
    failed: list[Operation] = []

    def fail(operation: Operation) -> None:
        if next(numbers) == place:
            failed.append(operation)
            raise OSError(number, os.strerror(number), operation.paths[0])

    try:
        with watched(target.parent.parent, before=fail):
            work()
    except (OSError, IntentsError) as error:
        return failed[0], str(error)
    return (failed[0] if failed else None), ""


@pytest.mark.parametrize("name", ERRORS)
def test_an_update_that_fails_anywhere_leaves_the_live_version_unless_it_says_otherwise(
    name: str, toys: Toys, prepared: Callable[..., Path], figures: Counter[str]
):
    outcomes: Counter[str] = Counter()
    for place in itertools.count():
        target = prepared(1, 2)
        failed, said = fails_at(
            place, getattr(errno, name), target, lambda target=target: publishers.publish(target, toys[3], 3)
        )
        if failed is None:
            break
        version = version_in(target)
        if not said:
            assert version == 3
            outcomes["got over it"] += 1
        elif "was live, and whole" in said:
            assert version == 3
            outcomes["live, with an error after"] += 1
        else:
            assert version == 2, (failed, said)
            outcomes["untouched"] += 1
            assert [p.identity.version for p in Store(target).versions().values()] in (
                ["1", "2"],
                ["1", "2", "3"],
            )
        publishers.publish(target, toys[3], 3)
        assert version_in(target) == 3
        assert_sound(target)
    assert outcomes["untouched"] > 60
    assert 0 < outcomes["live, with an error after"] < 40
    figures.update({f"disk errors: update, {outcome}": count for outcome, count in outcomes.items()})


@pytest.mark.parametrize("name", ERRORS)
def test_a_rollback_that_fails_anywhere_leaves_the_live_version_unless_it_says_otherwise(
    name: str, prepared: Callable[..., Path], figures: Counter[str]
):
    for place in itertools.count():
        target = prepared(1, 2)
        failed, said = fails_at(
            place, getattr(errno, name), target, lambda target=target: publishers.roll_back(target)
        )
        if failed is None:
            break
        took_place = version_in(target) == 1
        assert took_place == (not said or "was live, and whole" in said), (failed, said)
        if not took_place:
            assert version_in(target) == 2
            publishers.roll_back(target)
        assert version_in(target) == 1
        refused = Store(target).refused()
        assert refused is not None
        assert refused.version == "2"
    assert place > 20
    figures["disk errors: rollback, old or new as it said"] += place


def test_after_a_failure_nothing_half_done_is_left(toys: Toys, prepared: Callable[..., Path]):
    """A disk that is full at one operation lets the rest of the program tidy up."""
    tried = 0
    for place in itertools.count():
        target = prepared(1)
        before = sorted(os.listdir(Store(target).folder))
        failed, said = fails_at(
            place, errno.ENOSPC, target, lambda target=target: publishers.publish(target, toys[2], 2)
        )
        if failed is None:
            break
        if failed.call in ("write", "mkdir", "symlink", "rename", "fsync") and version_in(target) == 1:
            assert "What was live before still is, untouched." in said
            assert sorted(os.listdir(Store(target).folder)) == before, failed
            assert not os.path.lexists(Store(target).link)
            tried += 1
    assert tried > 10
