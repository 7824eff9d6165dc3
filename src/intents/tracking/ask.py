"""ask: what a model makes of utterances that are typed in, a line each. No run is made of it."""

import contextlib
import io
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from intents.errors import ConfigError
from intents.models import directory
from intents.models.directory import Artifact
from intents.models.network import predict_logits
from intents.parameters.ask import AskConfig
from intents.serving import answers
from intents.system import signals
from intents.system.console import Say
from intents.tracking import models

RUNNERS_UP = 2
PROMPT = "> "


def ask(config: AskConfig, *, say: Say) -> None:
    """Says one line to the text, or to each line of standard input. Raises IntentsError."""
    with signals.stop_the_run(), tempfile.TemporaryDirectory() as folder:
        model = directory.load(models.directory(config.model, Path(folder)))
        if config.text:
            if reason := answers.problem(config.text):
                remedy = "Pass --text <an utterance>, or type it in without --text."
                raise ConfigError(f"text: {reason}. {remedy}")
            say(_answer(config.text, model))
            return
        if _is_terminal():
            say(f"{config.model}: {len(model.intents)} intents. Type an utterance; Ctrl-D ends.")
        for text in _lines():
            reason = answers.problem(text)
            say(f"can't be answered: {reason}" if reason else _answer(text, model))


def _answer(text: str, model: Artifact) -> str:
    """As in `Unknown, at best greet 0.31; then order 0.22, bye 0.08`: confidences, the likelier first."""
    texts = [answers.normalised(text)]
    logits_BC = predict_logits(model.module, model.tokenizer, texts=texts, max_length=model.max_length)
    (prediction,) = answers.answer(logits_BC, model, top_k=RUNNERS_UP).predictions()
    best = "" if prediction.in_scope else f", at best {prediction.best_intent}"
    others = ", ".join(f"{other.intent} {other.confidence:.3f}" for other in prediction.alternatives)
    return f"{prediction.intent}{best} {prediction.confidence:.3f}" + (f"; then {others}" if others else "")


def _lines() -> Iterator[str]:
    """Standard input by lines; at a terminal each is asked for, until Ctrl-D or Ctrl-C."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # a byte that is no character spoils its line alone
    if not _is_terminal():
        yield from (line.rstrip("\n") for line in sys.stdin)
        return
    import readline  # noqa: F401  (edits what is typed; late, since it may write to standard output)

    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            yield input(PROMPT)
    print()


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()
