"""The user's commands: `python -m intents.cli <command> --name value …`. Each parses, makes one call, prints."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from intents import config as declarations
from intents import entry_points
from intents.errors import IntentsError
from intents.hyperparams import FAMILIES
from intents.parameters import build
from intents.quiet import quieten

_FAMILY_OF = {hyperparams.ENTRY_POINT: family for family, hyperparams in FAMILIES.items()}
USER_ERROR, FAILURE, INTERRUPTED = 2, 1, 130
TRACEBACK_VARIABLE = "INTENTS_TRACEBACK"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns 0, or 2 for what the user can mend, 1 for what broke, 130 when interrupted."""
    arguments = vars(build_parser().parse_args(argv))
    command = arguments.pop("command")
    texts = {name: text for name, text in arguments.items() if text is not None}
    if command in _FAMILY_OF:
        return guarded(lambda: _train(_FAMILY_OF[command], texts))
    return guarded(lambda: _COMMANDS[command](texts))


def build_parser() -> argparse.ArgumentParser:
    """One subcommand an entry point, one flag a parameter; flags left out keep their default."""
    parser = argparse.ArgumentParser(
        prog="intents", description="Train and check intent classifiers.", allow_abbrev=False
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name in (*_FAMILY_OF, *_COMMANDS):
        command = commands.add_parser(name, help=entry_points.ENTRY_POINT_MEANINGS[name], allow_abbrev=False)
        add_flags(command, name)
    return parser


def add_flags(parser: argparse.ArgumentParser, entry_point: str) -> None:
    """One flag a parameter of the entry point; its text is parsed by `config`, not here."""
    for parameter in entry_points.entry_point_parameters(entry_point):
        parser.add_argument(
            f"--{parameter.name}",
            metavar="|".join(parameter.choices) or parameter.type.__name__,
            help=f"{parameter.meaning} (default: {parameter.default!r})".replace("%", "%%"),
        )


def guarded(command: Callable[[], Any]) -> int:
    """Prints what the command returns, if anything, or the error in one line; returns the exit code."""
    try:
        result = command()
        if result is not None:
            print(result)
    except IntentsError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        print(f"error: {_in_one_line(error)} ({TRACEBACK_VARIABLE}=1 shows where)", file=sys.stderr)
        return FAILURE
    return 0


def _in_one_line(error: Exception) -> str:
    """What broke underneath; of a known kind the library's own words say enough."""
    said = (str(error).strip() or "no reason given").splitlines()[0]
    return said if isinstance(error, OSError) else f"{type(error).__name__}: {said}"


def _train(family: str, texts: Mapping[str, str]) -> Any:
    config = declarations.train_config(family, texts)
    quieten()
    from intents import studies

    return studies.train(config, say=_say)


def _evaluate_open_set(texts: Mapping[str, str]) -> Any:
    data, study = build(declarations.DataConfig, texts), build(entry_points.OpenSetConfig, texts)
    quieten()
    from intents import studies

    return studies.evaluate_open_set(data, study, say=_say)


def _tune(texts: Mapping[str, str]) -> Any:
    data, config = build(declarations.DataConfig, texts), build(entry_points.TuneConfig, texts)
    quieten()
    from intents.tuning import study

    return study.tune(data, config, say=_say)


def _compare(texts: Mapping[str, str]) -> Any:
    config = build(entry_points.CompareConfig, texts)
    quieten()
    from intents.comparison import command

    return command.compare_runs(config, say=_say)


def _score(texts: Mapping[str, str]) -> Any:
    config = build(entry_points.ScoreConfig, texts)
    from intents.bulk import command

    return command.score(config, say=_say)


def _ask(texts: Mapping[str, str]) -> None:
    config = build(entry_points.AskConfig, texts)
    quieten()
    from intents import asking

    asking.ask(config, say=_say)


def _reduce_embeddings(texts: Mapping[str, str]) -> Any:
    config = build(entry_points.ReductionConfig, texts)
    quieten()
    from intents import embeddings

    return embeddings.reduced_table(
        config.model_name, size=config.embedding_size, workspace=Path(config.workspace)
    )


def _check_data(texts: Mapping[str, str]) -> Any:
    config, check = build(declarations.DataConfig, texts), build(entry_points.CheckConfig, texts)
    quieten()
    from intents.diagnosis import command

    return command.check(config, check, say=_say)


_COMMANDS: dict[str, Callable[[Mapping[str, str]], Any]] = {
    "check_data": _check_data,
    "tune": _tune,
    "evaluate_open_set": _evaluate_open_set,
    "compare": _compare,
    "score": _score,
    "ask": _ask,
    "reduce_embeddings": _reduce_embeddings,
}


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
