"""`python -m registry.promote`: publish the registered version marked Production, or take it back.

python -m registry.promote              publish what Production names now
python -m registry.promote --version 7  mark version 7 Production, then publish it
python -m registry.promote --rollback   the version before it back, at once, without a network or a registry
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence

from intents import cli
from intents.entry_points import PromoteConfig
from intents.parameters import build
from registry import commands
from registry.outcome import Outcome

Actions = Mapping[str, Callable[[PromoteConfig], Outcome]]


def main(argv: Sequence[str] | None = None, *, actions: Actions = commands.ACTIONS) -> int:
    """Runs the command; 0 when done or nothing to do, 2 when refused, 1 when something broke, 75 when busy."""
    parser = _parser()
    texts = {name: text for name, text in vars(parser.parse_args(argv)).items() if text is not None}
    return cli.guarded(lambda: _run(build(PromoteConfig, texts), actions))


def _parser() -> argparse.ArgumentParser:
    """The flags of every parameter, and a shorter way to name each action."""
    parser = argparse.ArgumentParser(
        prog="python -m registry.promote", description=(__doc__ or "").splitlines()[0], allow_abbrev=False
    )
    cli.add_flags(parser, "promote")
    actions = parser.add_mutually_exclusive_group()
    for name in commands.ACTIONS:
        actions.add_argument(
            f"--{name}", dest="action", action="store_const", const=name, help=f"--action {name}"
        )
    parser.add_argument("--json", dest="output", action="store_const", const="json", help="--output json")
    return parser


def _run(config: PromoteConfig, actions: Actions) -> str:
    outcome = actions[config.action](config)
    return outcome.as_json() if config.output == "json" else outcome.as_text()


if __name__ == "__main__":
    sys.exit(main())
