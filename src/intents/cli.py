"""The user's commands: `python -m intents.cli <command> --name value …`. Each parses, makes one call, prints."""

import argparse
import itertools
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from intents.errors import ConfigError, DataError, EncoderError, IntentsError, ResumeError, TrackingError
from intents.parameters import commands as entry_points
from intents.parameters.ask import AskConfig
from intents.parameters.check_data import CheckConfig
from intents.parameters.compare import CompareConfig
from intents.parameters.data import DataConfig
from intents.parameters.declaration import build, did_you_mean
from intents.parameters.reduce_embeddings import ReductionConfig
from intents.parameters.score import ScoreConfig
from intents.parameters.training.evaluate_open_set import OpenSetConfig
from intents.parameters.training.families import FAMILIES
from intents.parameters.training.learning_curve import LearningCurveConfig
from intents.parameters.training.train import train_config
from intents.parameters.tune import TuneConfig
from intents.system.console import quieten
from intents.system.lock import BusyError
from intents.system.redaction import without_secrets

_FAMILY_OF = {hyperparams.ENTRY_POINT: family for family, hyperparams in FAMILIES.items()}
USER_ERROR, FAILURE, INTERRUPTED = 2, 1, 130
TRACEBACK_VARIABLE = "INTENTS_TRACEBACK"
RUN_VARIABLE = "MLFLOW_RUN_ID"
"""Set by `mlflow run`, which begins a run before this code; who goes on with that run takes it away."""


BEFORE_WORK = (ConfigError, DataError, EncoderError, TrackingError, ResumeError, BusyError)
"""What ends a command before its work begins."""


class NoReaderError(KeyboardInterrupt):
    """Nobody reads standard output any more, as after `| head`: the command ends as by Ctrl-C, without a word."""


class Parser(argparse.ArgumentParser):
    """argparse's, which raises ConfigError once it has shown the usage, and knows what was meant."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Raises ConfigError."""
        self.print_usage(sys.stderr)
        if wrong := re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message):
            message += did_you_mean(wrong[1], re.findall(r"[\w-]+", wrong[2]))
        raise ConfigError(message)

    def texts(
        self, words: Sequence[str], known: Callable[[Mapping[str, str]], Iterable[str]]
    ) -> dict[str, str]:
        """The flags' texts by name, without those left out. Raises ConfigError."""
        parsed, strange = self.parse_known_args(words)
        texts = {name: text for name, text in vars(parsed).items() if text is not None}
        if strange:
            meant = did_you_mean(strange[0].partition("=")[0].lstrip("-"), known(texts))
            self.error(
                f"unrecognized arguments: {' '.join(strange)}{meant}. Under mlflow run they are passed as "
                "-P <name>=<value>; MLproject lists every parameter"
            )
        return texts


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns 0, or 2 for what the user can mend, 1 for what broke, 130 when interrupted."""
    words = sys.argv[1:] if argv is None else argv
    return guarded(lambda: _run(words), run_name=name_of_run(words))


def _run(words: Sequence[str]) -> Any:
    texts = build_parser().texts(words, lambda texts: parameter_names(texts["command"]))
    command = texts.pop("command")
    if command in _FAMILY_OF:
        return _train(_FAMILY_OF[command], texts)
    return _COMMANDS[command](*(build(declaration, texts) for declaration in entry_points.COMMANDS[command]))


def parameter_names(entry_point: str) -> list[str]:
    """The flags that a command takes."""
    return [parameter.name for parameter in entry_points.entry_point_parameters(entry_point)]


def name_of_run(words: Sequence[str]) -> str:
    """What the run of a command is called, however wrong its flags are."""
    command = words[0] if words else ""
    flag = f"--{entry_points.SUBJECTS.get(command, '')}"
    given = [after for word, after in itertools.pairwise(words) if word == flag]
    given += [word.partition("=")[2] for word in words if word.startswith(f"{flag}=")]
    return entry_points.run_name(command, given[0] if given else "")


def build_parser() -> Parser:
    """One subcommand an entry point, one flag a parameter; flags left out keep their default."""
    parser = Parser(prog="intents", description="Train and check intent classifiers.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in (*_FAMILY_OF, *_COMMANDS):
        command = commands.add_parser(name, help=entry_points.ENTRY_POINT_MEANINGS[name])
        add_flags(command, name)
    return parser


def add_flags(parser: argparse.ArgumentParser, entry_point: str) -> None:
    """One flag a parameter of the entry point; its text is parsed by `build`, not here."""
    for parameter in entry_points.entry_point_parameters(entry_point):
        parser.add_argument(
            f"--{parameter.name}",
            metavar="|".join(parameter.choices) or parameter.type.__name__,
            help=f"{parameter.meaning} (default: {parameter.default!r})".replace("%", "%%"),
        )


def guarded(command: Callable[[], Any], *, run_name: str) -> int:
    """Prints what the command returns, if anything, or the error in one line; returns the exit code.

    A run that `mlflow run` began, and that the command has not gone on with, is told the rest under that name.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a console that lacks a character ends no command
    run_id = os.environ.get(RUN_VARIABLE, "")
    code, failure, has_begun = _outcome(command)
    if run_id:
        from intents.tracking import runs

        stage = runs.DONE if code == 0 else runs.STARTED if has_begun else runs.NOT_STARTED
        runs.account_for(run_id, name=run_name, failure=failure, stage=stage)
    return code


def _outcome(command: Callable[[], Any]) -> tuple[int, str, bool]:
    """The exit code, why the command failed, and whether its work had begun by then."""
    try:
        if (result := command()) is not None:
            _say(str(result))
    except IntentsError as error:
        _complain(f"error: {error}")
        return error.exit_code, f"{type(error).__name__}: {error}", not isinstance(error, BEFORE_WORK)
    except NoReaderError:
        return FAILURE, "", True
    except KeyboardInterrupt:
        _complain("interrupted")
        return INTERRUPTED, "", True
    except Exception as error:
        shown = f"error: {_in_one_line(error)} ({TRACEBACK_VARIABLE}=1 shows where)"
        _complain(traceback.format_exc() if os.environ.get(TRACEBACK_VARIABLE) else shown)
        return FAILURE, f"{type(error).__name__}: {error}", True
    return 0, "", True


def _in_one_line(error: Exception) -> str:
    """What broke underneath; of a known kind the library's own words say enough."""
    said = (str(error).strip() or "no reason given").splitlines()[0]
    return said if isinstance(error, OSError) else f"{type(error).__name__}: {said}"


def _complain(line: str) -> None:
    print(without_secrets(line), file=sys.stderr)


def _train(family: str, texts: Mapping[str, str]) -> Any:
    config = train_config(family, texts)
    quieten()
    from intents.tracking import train

    return train.train(config, say=_say)


def _evaluate_open_set(data: DataConfig, study: OpenSetConfig) -> Any:
    quieten()
    from intents.tracking import evaluate_open_set

    return evaluate_open_set.evaluate_open_set(data, study, say=_say)


def _learning_curve(data: DataConfig, study: LearningCurveConfig) -> Any:
    quieten()
    from intents.tracking import learning_curve

    return learning_curve.learning_curve(data, study, say=_say)


def _tune(data: DataConfig, config: TuneConfig) -> Any:
    quieten()
    from intents.tuning import tune

    return tune.tune(data, config, say=_say)


def _compare(config: CompareConfig) -> Any:
    quieten()
    from intents.tracking import compare

    return compare.compare_runs(config, say=_say)


def _score(config: ScoreConfig) -> Any:
    from intents.serving.files import score

    return score.score(config, fetch=_fetched, say=_say)


def _fetched(model: str, folder: Path) -> Path:
    from intents.tracking import models  # late: workers import meanwhile

    return models.directory(model, folder)


def _ask(config: AskConfig) -> None:
    quieten()
    from intents.tracking import ask

    ask.ask(config, say=_say)


def _reduce_embeddings(config: ReductionConfig) -> Any:
    quieten()
    from intents.models.encoders import reduce_embeddings

    workspace = Path(config.workspace)
    return reduce_embeddings.reduced_table(config.model_name, size=config.embedding_size, workspace=workspace)


def _check_data(data: DataConfig, config: CheckConfig) -> Any:
    quieten()
    from intents.diagnosis import check_data

    return check_data.check(data, config, say=_say)


_COMMANDS: dict[str, Callable[..., Any]] = {
    "check_data": _check_data,
    "tune": _tune,
    "evaluate_open_set": _evaluate_open_set,
    "learning_curve": _learning_curve,
    "compare": _compare,
    "score": _score,
    "ask": _ask,
    "reduce_embeddings": _reduce_embeddings,
}


def _say(line: str) -> None:
    put(without_secrets(line))


def put(line: str) -> None:
    """Prints the line. Raises NoReaderError."""
    try:
        print(line, flush=True)
    except BrokenPipeError as error:
        # What is still to be written goes nowhere, or Python would complain of it at exit:
        # https://docs.python.org/3/library/signal.html#note-on-sigpipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise NoReaderError from error


if __name__ == "__main__":
    sys.exit(main())
