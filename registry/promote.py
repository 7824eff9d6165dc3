"""`python -m registry.promote`: publish the registered version marked Production, or take it back.

python -m registry.promote              publish what Production names now
python -m registry.promote --version 7  mark version 7 Production, then publish it
python -m registry.promote --rollback   the version before it back, at once, without a network or a registry
"""

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
    words = sys.argv[1:] if argv is None else argv
    return cli.guarded(lambda: _run(_config(words), actions), run_name=cli.name_of_run(["promote", *words]))


def _config(words: Sequence[str]) -> PromoteConfig:
    texts = _parser().texts(words, lambda _: cli.parameter_names("promote"))
    config: PromoteConfig = build(PromoteConfig, texts)
    return config


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


def _run(config: PromoteConfig, actions: Actions) -> str:
    outcome = actions[config.action](config)
    return outcome.as_json() if config.output == "json" else outcome.as_text()


if __name__ == "__main__":
    sys.exit(main())
