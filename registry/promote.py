"""`python -m registry.promote`: publish the registered version marked Production, or take it back.

python -m registry.promote              publish what Production names now
python -m registry.promote --version 7  mark version 7 Production, then publish it
python -m registry.promote --rollback   the version before it back, at once, without a network or a registry
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from intents import cli
from intents.parameters.declaration import build
from intents.parameters.promote import PromoteConfig
from registry import commands, outcome
from registry.outcome import Outcome

Actions = Mapping[str, Callable[[PromoteConfig], Outcome]]


def main(argv: Sequence[str] | None = None, *, actions: Actions = commands.ACTIONS) -> int:
    """Runs the command; 0 when done or nothing to do, 2 when refused, 1 when something broke, 75 when busy."""
    words = sys.argv[1:] if argv is None else argv
    name = cli.name_of_run(["promote", *words])
    if _is_for_scripts(words):
        return cli.guarded(lambda: _as_json(words, actions), run_name=name)
    return cli.guarded(lambda: _outcome(words, actions).as_text(), run_name=name)


def _is_for_scripts(words: Sequence[str]) -> bool:
    """Whether JSON is wanted, be the other words understood or not."""
    return not {"--json", "--output=json"}.isdisjoint(words) or ("--output", "json") in pairwise(words)


def _as_json(words: Sequence[str], actions: Actions) -> None:
    """Prints what was done. An error is printed too, so that there is one object whatever happens, and raised."""
    try:
        cli.put(_outcome(words, actions).as_json())
    except (Exception, KeyboardInterrupt) as error:
        cli.put(outcome.of(error).as_json())
        raise


def _outcome(words: Sequence[str], actions: Actions) -> Outcome:
    config = build(PromoteConfig, _parser().texts(words, lambda _: cli.parameter_names("promote")))
    return actions[config.action](config)


def _parser() -> cli.Parser:
    """The flags of every parameter, and a shorter way to name each action."""
    parser = cli.Parser(prog="python -m registry.promote", description=(__doc__ or "").splitlines()[0])
    cli.add_flags(parser, "promote")
    actions = parser.add_mutually_exclusive_group()
    for name in commands.ACTIONS:
        actions.add_argument(
            f"--{name}", dest="action", action="store_const", const=name, help=f"--action {name}"
        )
    parser.add_argument("--json", dest="output", action="store_const", const="json", help="--output json")
    return parser


if __name__ == "__main__":
    sys.exit(main())
