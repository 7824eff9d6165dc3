"""One promoter that stays: its imports are done once, then it publishes one version after the other.

    PYTHONPATH=src python -m bench.promotion.promoter TARGET NAME VERSION…

Each promotion is what `python -m registry.promote --version N --json` does, command line and exit code included, and
prints its line of JSON. The check that loads the model and lets it predict runs in a child process for the first of
them, as it does for a user, and in this process for the others: the child's seconds are spent on imports. The gate is
left out.
"""

import contextlib
import functools
import sys
from collections.abc import Iterator

from registry import commands, promote
from registry.checks import smoke, smoke_child
from registry.transaction import Check

WAIT_SECONDS = 3600
"""For the lock: many promoters on one core take their time."""


@contextlib.contextmanager
def smoke_in_this_process() -> Iterator[Check]:
    """What the child process does, without its seconds of importing."""
    yield lambda directory: smoke.accepted(smoke_child.judge(directory))


def no_gate(*_: object, **__: object) -> Check:
    """Two models that take turns can't each be the better one."""
    return lambda _: {}


def main() -> int:
    """Promotes; the highest exit code."""
    target, name, *versions = sys.argv[1:]
    settings = {"target": target, "name": name, "wait": str(WAIT_SECONDS), "output": "json"}
    flags = [word for setting, text in settings.items() for word in (f"--{setting}", text)]
    codes = []
    for number, version in enumerate(versions):
        check = smoke_in_this_process if number else smoke.smoke
        publish = functools.partial(commands.publish, smoke=check, gate=no_gate)
        actions = {**commands.ACTIONS, "publish": publish}
        codes.append(promote.main([*flags, "--version", version], actions=actions))
        sys.stdout.flush()
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
