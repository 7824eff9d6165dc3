"""What the promises of publishing are tried on: targets, kills, readers, a disk that fills up."""

import itertools
import json
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.promotion import publishers
from bench.promotion.filesystem import Operation, watched
from bench.promotion.publishers import FILES, KILLED, MISSING, TORN, in_child, version_in
from intents.errors import IntentsError
from intents.models.file_names import PROMOTION
from registry import record, transaction
from registry.target import Target

PAGE_BYTES = 4096
LONGEST_KILL_SECONDS = 0.03
FRESH_AFTER = 40
"""Kills on one target before a new one is begun: nothing is pruned within a day, and lists grow."""


def toys(folder: Path) -> dict[int, Path]:
    """Versions 1 and 2, each a folder."""
    return {number: publishers.make_version(folder / "toys" / str(number), number) for number in (1, 2)}


def places(folder: Path) -> Iterator[Path]:
    """Targets below the folder, none of them there yet; the folder above each is."""
    for number in itertools.count():
        (folder / str(number)).mkdir(parents=True)
        yield folder / str(number) / "models" / "intent_predictor"


def prepared(folder: Path, toys: dict[int, Path], count: int) -> Path:
    """A target to which so many versions were published."""
    target = next(places(folder))
    for number in range(1, count + 1):
        publishers.publish(target, toys[number], number)
    return target


def copy_of(wreck: Path, copies: Iterator[Path]) -> Path:
    """The same wreck again, elsewhere."""
    target = next(copies)
    shutil.copytree(wreck.parent, target.parent, symlinks=True)
    return target


def recover(target: Path) -> None:
    """What the next run does first."""
    with transaction.writing(Target(target), wait=60):
        pass


def replace(publisher: publishers.Publisher, source: Path, target: Path) -> None:
    """Publishes by a naive publisher."""
    publisher(target, source, 2)


def roll_back_unless_done(target: Path) -> None:
    """The next run of a rollback."""
    if version_in(target) == 2:
        publishers.roll_back(target)
    recover(target)


def kill_everywhere(prepare: Callable[[], Path], work: Callable[[Path], None]) -> list[Path]:
    """A target for each operation ahead of which the process was killed, as it was then."""
    targets = []
    for place in itertools.count():
        target = prepare()
        numbers = itertools.count()

        def die(_: Operation, place: int = place, numbers: Iterator[int] = numbers) -> None:
            if next(numbers) == place:
                os.kill(os.getpid(), signal.SIGKILL)

        def watched_work(target: Path = target, die: Callable[[Operation], None] = die) -> None:
            with watched(target.parent.parent, before=die):
                work(target)

        code = in_child(watched_work)
        if code != KILLED:
            assert code == 0, f"exit code {code} at {place}"
            return targets
        targets.append(target)
    raise AssertionError


def kill_at_random(
    publisher: publishers.Publisher, folder: Path, toys: dict[int, Path], *, count: int, most: int = 0
) -> Counter[int]:
    """What is found after each of so many kills; of more, up to `most`, until one has done harm."""
    found: Counter[int] = Counter()
    generator, targets = random.Random(0), places(folder)
    while found.total() < count or (found.total() < most and not found[MISSING] + found[TORN]):
        if found.total() % FRESH_AFTER == 0:
            target = next(targets)
            target.parent.mkdir(parents=True)
            publisher(target, toys[1], 1)
        kill_after(
            generator.uniform(0, LONGEST_KILL_SECONDS),
            lambda target=target: publish_for_ever(publisher, target, toys),
        )
        found[version_in(target)] += 1
    return found


def kill_after(seconds: float, work: Callable[[], None]) -> None:
    """SIGKILL some seconds after the work began."""
    child = publishers.start(work)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def publish_for_ever(publisher: publishers.Publisher, target: Path, toys: dict[int, Path]) -> None:
    """Both versions in turn."""
    for number in itertools.count(time.monotonic_ns()):
        publisher(target, toys[number % 2 + 1], number)


def is_sound(target: Path, version: int) -> bool:
    """Whether the live version is whole and this one."""
    try:
        record.check(target.resolve())
    except IntentsError:
        return False
    left = [
        path.name for path in Target(target).folder.iterdir() if path.name.startswith((".staging", ".trash"))
    ]
    return version_in(target) == version and not left and not os.path.lexists(Target(target).link)


def read_until(stop: Path, target: Path, seed: int, counts_file: Path) -> None:
    """One reader, until the file `stop` is there; its counts go to a file."""
    counts: Counter[str] = Counter()
    parent = os.getppid()
    while not stop.exists() and os.getppid() == parent:
        if (counts.total() + seed) % 2:
            version = version_in(Path(os.path.realpath(target)))
            counts["resolved"] += 1
            counts["resolved torn"] += version == TORN
            counts["resolved missing"] += version == MISSING
        else:
            read_following(target, counts)
        if counts.total() % 50 < 2:
            tell(counts, counts_file)
    tell(counts, counts_file)


def read_following(target: Path, counts: Counter[str]) -> None:
    """Each file through the link, as a careless reader does; then whether the record tells if they belong together."""
    before = (target / PROMOTION).read_bytes()
    contents = {name: (target / name).read_bytes() for name in FILES}
    after = (target / PROMOTION).read_bytes()
    is_mixed = len({json.loads(content)["version"] for content in contents.values()}) > 1
    files = json.loads(before)["files"]
    is_detected = before != after or any(
        publishers.sha256(contents[name]) != files[name]["sha256"] for name in FILES
    )
    counts["followed"] += 1
    counts["mixed"] += is_mixed
    counts["undetected"] += is_mixed and not is_detected


def tell(counts: Counter[str], file: Path) -> None:
    """Writes the counts."""
    aside = file.with_suffix(".aside")
    aside.write_text(json.dumps(counts))
    os.replace(aside, file)


def loads(counts_file: Path) -> int:
    """How often a reader has read."""
    if not counts_file.exists():
        return 0
    counts = json.loads(counts_file.read_text())
    return int(counts.get("resolved", 0) + counts.get("followed", 0))


def fill(file: Path, *, leave: int) -> None:
    """Fills the disk but for so many bytes."""
    with file.open("wb", buffering=0) as filling:
        try:
            while True:
                filling.write(bytes(PAGE_BYTES))
        except OSError:
            pass
        filling.truncate(max(0, filling.tell() - leave))


def large(folder: Path, size: int, seed: int) -> Path:
    """A version whose weights have so many bytes, none of them like the others."""
    publishers.make_version(folder, seed)
    with (folder / "model.safetensors").open("wb") as file:
        block = random.Random(seed).randbytes(1 << 20)
        for number in range(size >> 20):
            file.write(number.to_bytes(8, "little") + block[8:])
    return folder


def copy_and_sync(source: Path, destination: Path) -> None:
    """What publishing is compared with."""
    shutil.copytree(source, destination)
    for path in (*destination.iterdir(), destination, destination.parent):
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
