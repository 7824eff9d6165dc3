"""How publishing stands up to kills, readers, rivals, a full disk and a clock.

    PYTHONPATH=src python -m bench.promotion.promotion            # all of it, about a quarter of an hour
    PYTHONPATH=src python -m bench.promotion.promotion --quick    # the same with small numbers, a minute or two
    PYTHONPATH=src python -m bench.promotion.promotion --only kills,readers

Prints one line a figure and writes bench/results/promotion.json; exit code 1 when any promise was broken, or when the
harness found no fault with the publishers that have one. Versions are toys (publishers.py) except where it is about
time, and in `mlflow_server` (server.py), where all is real. Kills are SIGKILLs of a process of its own.
"""

import argparse
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.promotion import clock, publishers, scenes, server
from bench.promotion.publishers import MISSING, TORN, in_child, version_in
from intents.errors import IntentsError
from registry import record, transaction
from registry.target import Target

Figures = dict[str, Any]
ROOT = Path(__file__).parents[2]
READERS, PROMOTERS = 4, 8
MOST_NAIVE_KILLS = 5000
FULL_DISK_BYTES = 24 << 20
FILL_LEVELS = 20


def main() -> int:
    arguments = _arguments()
    sizes = QUICK if arguments.quick else FULL
    results: Figures = {}
    for name in arguments.only.split(",") if arguments.only else BENCHES:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            began = time.monotonic()
            results[name] = BENCHES[name](Path(folder), sizes)
        print(f"{name} ({time.monotonic() - began:.0f} s)")
        for what, figure in results[name].items():
            print(f"    {what:<58} {figure}")
    broken = [f"{name}: {what}" for name, figures in results.items() for what in broken_promises(figures)]
    print("\n".join(["broken:", *broken] if broken else ["every promise was kept"]))
    if not arguments.quick:
        from bench.benchmark import write  # imports torch, which nothing above may wait for

        write("promotion", results)
    return 1 if broken else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small numbers; writes no results")
    parser.add_argument("--only", default="", help=f"of {','.join(BENCHES)}")
    parser.add_argument(
        "--folder", default=None, help="on the disk that is measured (default: the system's own)"
    )
    return parser.parse_args()


def broken_promises(figures: Figures) -> list[str]:
    """Figures that must be 0 and aren't, or, where a fault must be found, are."""
    return [
        f"{what} = {figure}"
        for what, figure in figures.items()
        if (what.endswith("(must be 0)") and figure != 0)
        or (what.endswith("(must not be 0)") and figure == 0)
    ]


def kills(folder: Path, sizes: Figures) -> Figures:
    """SIGKILL ahead of every operation on the disk, in each of four commands; then the next run."""
    toys = scenes.toys(folder)
    fresh = scenes.places(folder / "fresh")
    prepared = {name: scenes.prepared(folder / name, toys, count) for name, count in (("one", 1), ("two", 2))}
    copies = scenes.places(folder / "copies")

    def copy(name: str) -> Path:
        target = next(copies)
        shutil.copytree(prepared[name].parent, target.parent, symlinks=True)
        return target

    update = scenes.kill_everywhere(
        lambda: copy("one"), lambda target: publishers.publish(target, toys[2], 2)
    )
    wrecks = update[:: sizes["every"]]
    commands: dict[str, tuple[list[Path], set[int], Callable[[Path], None], int]] = {
        "first publication": (
            scenes.kill_everywhere(lambda: next(fresh), lambda target: publishers.publish(target, toys[1], 1)),
            {MISSING, 1}, lambda target: publishers.publish(target, toys[1], 1), 1,
        ),
        "rollback": (
            scenes.kill_everywhere(lambda: copy("two"), publishers.roll_back),
            {1, 2}, scenes.roll_back_unless_done, 1,
        ),
        "recovery": (
            [
                target
                for wreck in wrecks
                for target in scenes.kill_everywhere(
                    lambda wreck=wreck: scenes.copy_of(wreck, copies), scenes.recover
                )
            ],
            {1, 2}, lambda target: publishers.publish(target, toys[2], 2), 2,
        ),
        "update": (update, {1, 2}, lambda target: publishers.publish(target, toys[2], 2), 2),
    }  # fmt: skip
    figures: Figures = {}
    for name, (targets, allowed, next_run, final) in commands.items():
        found = _after_kills(targets, allowed, next_run=next_run, final=final)
        figures |= {f"{name}: {what}": figure for what, figure in found.items()}
    return figures | _kills_of_naive_publishers(toys, copies)


def _after_kills(
    targets: Sequence[Path], allowed: set[int], *, next_run: Callable[[Path], None], final: int
) -> Figures:
    """What stands in each target, and what the next run makes of it: version `final`, whole."""
    found = Counter(version_in(target) for target in targets)
    repaired = [in_child(functools.partial(next_run, target)) for target in targets]
    return {
        "places killed at": len(targets),
        "neither old nor new (must be 0)": sum(n for v, n in found.items() if v not in allowed),
        "next run failed (must be 0)": sum(code != 0 for code in repaired),
        "not whole after it (must be 0)": sum(not scenes.is_sound(target, final) for target in targets),
    }


def _kills_of_naive_publishers(toys: Mapping[int, Path], copies: Iterator[Path]) -> Figures:
    """The same harness over the two ways of publishing that have a fault."""
    figures: Figures = {}
    for naive in (publishers.delete_and_copy, publishers.two_renames):

        def prepare(naive: publishers.Publisher = naive) -> Path:
            target = next(copies)
            target.parent.mkdir()
            naive(target, toys[1], 1)
            return target

        targets = scenes.kill_everywhere(prepare, functools.partial(scenes.replace, naive, toys[2]))
        faults = sum(version_in(target) in (MISSING, TORN) for target in targets)
        figures[f"{naive.__name__}: places killed at"] = len(targets)
        figures[f"{naive.__name__}: missing or torn (must not be 0)"] = faults
    return figures


def random_kills(folder: Path, sizes: Figures) -> Figures:
    """SIGKILL at any time of publishing over and over; the naive publishers under the same harness.

    Two renames leave a moment of microseconds without a target: it is killed until one kill has met it.
    """
    toys = scenes.toys(folder)
    found = scenes.kill_at_random(publishers.publish, folder / "transaction", toys, count=sizes["kills"])
    figures: Figures = {
        "transaction: kills": found.total(),
        "transaction: missing (must be 0)": found[MISSING],
        "transaction: torn (must be 0)": found[TORN],
    }
    for naive in (publishers.delete_and_copy, publishers.two_renames):
        name = naive.__name__
        found = scenes.kill_at_random(
            naive, folder / name, toys, count=sizes["naive_kills"], most=MOST_NAIVE_KILLS
        )
        figures[f"{name}: kills"] = found.total()
        figures[f"{name}: missing or torn (must not be 0)"] = found[MISSING] + found[TORN]
    return figures


def readers(folder: Path, sizes: Figures) -> Figures:
    """Readers that resolve the link once, and readers that don't, during many publications."""
    toys, target = scenes.toys(folder), next(scenes.places(folder / "read"))
    publishers.publish(target, toys[1], 1)
    stop = folder / "stop"
    started = [
        publishers.start(lambda n=n: scenes.read_until(stop, target, n, folder / f"counts{n}"))
        for n in range(READERS)
    ]
    least, began = sizes["loads"] // READERS, time.monotonic()
    swaps = 0
    while swaps < sizes["swaps"] or min(scenes.loads(folder / f"counts{n}") for n in range(READERS)) < least:
        if swaps % 200 == 199:  # a rollback is a swap too
            publishers.roll_back(target)
        else:
            publishers.publish(target, toys[swaps % 2 + 1], swaps + 2)
        swaps += 1
    seconds = time.monotonic() - began
    stop.touch()
    for reader in started:
        os.waitpid(reader, 0)
    counts: Counter[str] = Counter()
    for n in range(READERS):
        counts.update(json.loads((folder / f"counts{n}").read_text()))
    return {
        "swaps": swaps,
        "swaps a second": round(swaps / seconds, 1),
        "loads, link resolved once": counts["resolved"],
        "loads, link resolved once: torn (must be 0)": counts["resolved torn"],
        "loads, link resolved once: missing (must be 0)": counts["resolved missing"],
        "loads, link followed anew for each file": counts["followed"],
        "loads, link followed anew for each file: mixed": counts["mixed"],
        "mixed, and not seen to be by the record (must be 0)": counts["undetected"],
    }


def rivals(folder: Path, sizes: Figures) -> Figures:
    """Promoters at once, each naming its own versions in a registry that is a file: nothing but the transaction, so
    that they meet as often as can be."""
    toys, target = scenes.toys(folder), next(scenes.places(folder / "rivals"))
    named = folder / "named"

    def promote(rival: int) -> None:
        for number in range(sizes["promotions"]):
            version = 1000 * (rival + 1) + number
            mark = functools.partial(named.write_text, str(version))
            publishers.publish(target, toys[version % 2 + 1], version, mark)

    began = time.monotonic()
    started = [publishers.start(lambda rival=rival: promote(rival)) for rival in range(PROMOTERS)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(rival, 0)[1]) for rival in started]
    live = record.check(target.resolve())
    return {
        "promoters": PROMOTERS,
        "promotions": len(Target(target).history()),
        "promotions missing (must be 0)": PROMOTERS * sizes["promotions"] - len(Target(target).history()),
        "promoters that failed (must be 0)": sum(code != 0 for code in codes),
        "published is not what was named last (must be 0)": int(live.identity.version != named.read_text()),
        "seconds": round(time.monotonic() - began, 1),
    }


def mlflow_server(folder: Path, sizes: Figures) -> Figures:
    """Promoters at once with the real command, registry and models, and docs/consumer.py reading meanwhile."""
    return server.measure(folder, promoters=sizes["promoters"], promotions=sizes["promotions"])


def full_disk(folder: Path, sizes: Figures) -> Figures:  # noqa: ARG001
    """A small disk of its own, filled to different levels; skipped where none can be mounted."""
    toys = scenes.toys(folder)
    disk = folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={FULL_DISK_BYTES}", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        return {"skipped": "no disk can be mounted here (needs root on Linux)"}
    outcomes: Counter[str] = Counter()
    transaction.SPARE_BYTES = 0  # the check ahead of everything would spare the disk from being full
    try:
        for level in range(FILL_LEVELS):
            target = disk / str(level) / "models" / "intent_predictor"
            publishers.publish(target, toys[1], 1)
            scenes.fill(disk / "filling", leave=level * scenes.PAGE_BYTES)
            try:
                publishers.publish(target, toys[2], 2)
                outcomes["published"] += 1
                outcomes["torn"] += version_in(target) != 2
            except (OSError, IntentsError):
                outcomes["refused"] += 1
                outcomes["torn"] += version_in(target) != 1
            (disk / "filling").unlink()
            publishers.publish(target, toys[2], 2)
            outcomes["next run failed"] += not scenes.is_sound(target, 2)
            shutil.rmtree(disk / str(level))
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    return {
        "fill levels": FILL_LEVELS,
        "refused (must not be 0)": outcomes["refused"],
        "published (must not be 0)": outcomes["published"],
        "live version touched (must be 0)": outcomes["torn"],
        "next run failed, once there was space (must be 0)": outcomes["next run failed"],
    }


BENCHES: dict[str, Callable[[Path, Figures], Figures]] = {
    "kills": kills,
    "random_kills": random_kills,
    "readers": readers,
    "rivals": rivals,
    "mlflow_server": mlflow_server,
    "full_disk": full_disk,
    "rollback_time": clock.rollback_time,
    "publishing_time": clock.publishing_time,
}
FULL: Figures = {
    "every": 5, "kills": 1000, "naive_kills": 200, "swaps": 1000, "loads": 20_000, "promoters": 8, "promotions": 25,
    "rollback_bytes": 400 << 20, "rollbacks": 5, "copied_bytes": 400 << 20, "copies": 5, "ratio": 1.5,
}  # fmt: skip
QUICK: Figures = {
    "every": 25, "kills": 20, "naive_kills": 40, "swaps": 20, "loads": 200, "promoters": 2, "promotions": 2,
    "rollback_bytes": 4 << 20, "rollbacks": 2, "copied_bytes": 4 << 20, "copies": 2, "ratio": 10,
}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
