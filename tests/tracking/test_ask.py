"""ask: a line of answer to each line that is typed or piped in, in words, and no run made of it."""

import contextlib
import io
import itertools
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from intents import cli
from tests.conftest import INTENTS, Logged, Trained, as_served
from tests.serving.test_pyfunc import UTTERANCES

Said = pytest.CaptureFixture[str]


def pipe(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes this standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))


@pytest.mark.usefixtures("in_store")
def test_each_line_is_answered_as_the_served_model_does_and_no_run_is_made(
    logged: Logged, monkeypatch: pytest.MonkeyPatch, capsys: Said
):
    runs = len(MlflowClient().search_runs(["0"]))
    rows = as_served(logged.model_uri).predict(UTTERANCES, params={"top_k": 2})
    assert {row.in_scope for row in rows} == {True, False}  # both kinds are here
    capsys.readouterr()
    pipe("".join(f"{text}\r\n" for text in UTTERANCES).encode(), monkeypatch)
    assert cli.main(["ask", "--model", logged.model_uri]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    for line, row in zip(said.out.splitlines(), rows, strict=True):
        named = row.intent if row.in_scope else f"Unknown, at best {row.best_intent}"
        ranked = [(row.best_intent, row.confidence), *((a.intent, a.confidence) for a in row.alternatives)]
        found = re.fullmatch(r"(.+) (\d\.\d{3}); then (.+) (\d\.\d{3}), (.+) (\d\.\d{3})", line)
        assert found, line
        assert (found[1], found[3], found[5]) == (named, ranked[1][0], ranked[2][0])
        assert [float(found[n]) for n in (2, 4, 6)] == pytest.approx([share for _, share in ranked], abs=6e-4)
    assert len(MlflowClient().search_runs(["0"])) == runs


def test_a_line_that_can_not_be_answered_is_told_in_its_place(
    trained: Trained, monkeypatch: pytest.MonkeyPatch, capsys: Said
):
    pipe("你好\n\n".encode() + b"\xff\xfe\n" + "几点钟".encode(), monkeypatch)
    assert cli.main(["ask", "--model", str(trained.directory)]) == 0
    first, blank, no_text, last = capsys.readouterr().out.splitlines()
    assert blank == "can't be answered: text is blank"
    assert no_text == "can't be answered: text holds a lone surrogate"
    assert all(any(intent in line for intent in INTENTS) for line in (first, last))


def test_one_text_is_answered_by_its_flag(trained: Trained, capsys: Said):
    assert cli.main(["ask", "--model", str(trained.directory), "--text", "你好"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert "; then " in line


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--text", " "], "text: text is blank. Pass --text <an utterance>"),
        (["--model", "nowhere"], "model='nowhere': there is no such directory"),
        (["--model", "models:/tiny"], "model='models:/tiny': expected models:/<name>@<alias>"),
        (["--model", "models:/tiny/99"], "model='models:/tiny/99': "),
    ],
)
@pytest.mark.usefixtures("in_store", "logged")
def test_what_can_not_be_asked_ends_with_2_and_why(
    trained: Trained, flags: list[str], reason: str, capsys: Said
):
    words = [*([] if "--model" in flags else ["--model", str(trained.directory)]), *flags]
    assert cli.main(["ask", *words]) == 2
    assert f"error: {reason}" in capsys.readouterr().err


def typed(
    keys: tuple[str, ...], end: Callable[[int], None], flags: list[str], monkeypatch: pytest.MonkeyPatch
) -> tuple[int, str]:
    """The exit code and the screen of `ask` at a terminal: the keys pressed at its prompts, then the end at each."""
    ours, its = pty.openpty()
    shown = bytearray()

    def person() -> None:
        with contextlib.suppress(OSError):  # so a terminal ends
            for prompts in itertools.count(1):
                while shown.count(b"> ") < prompts:
                    shown.extend(os.read(ours, 1000))
                if prompts <= len(keys):
                    os.write(ours, keys[prompts - 1].encode())
                else:
                    end(ours)

    typist = threading.Thread(target=person, daemon=True)
    with open(its, encoding="utf-8") as stdin, open(its, "w", encoding="utf-8", closefd=False) as stdout:
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sys, "stdout", stdout)
        typist.start()
        code = cli.main(["ask", *flags])
        monkeypatch.undo()
    typist.join(30)
    os.close(ours)
    return code, shown.decode().replace("\r\n", "\n")


def ctrl_d(terminal: int) -> None:
    os.write(terminal, b"\x04")


def ctrl_c(terminal: int) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    os.write(
        terminal, b"\n"
    )  # Python's input loses a signal that comes while it shows the prompt: it asks again


@pytest.mark.parametrize("end", [ctrl_d, ctrl_c])
def test_at_a_terminal_it_asks_until_it_is_told_to_end(
    trained: Trained, end: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
):
    code, screen = typed(("你好\n", "\n"), end, ["--model", str(trained.directory)], monkeypatch)
    assert code == 0
    greeting, first, answer, second, refused, last = screen.split("\n")[:6]
    assert greeting == f"{trained.directory}: 4 intents. Type an utterance; Ctrl-D ends."
    assert re.fullmatch(r".+ 0\.\d{3}; then .+", answer)
    assert (first, second, refused, last) == ("> 你好", "> ", "can't be answered: text is blank", "> ")


def test_a_process_that_answers_says_nothing_else(
    trained: Trained, subprocess_environment: dict[str, str], tmp_path: Path
):
    words = ["--model", str(trained.directory), "--text", "你好"]
    process = subprocess.run(
        [sys.executable, "-m", "intents.cli", "ask", *words],
        env=subprocess_environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (process.returncode, process.stderr, process.stdout.count("\n")) == (0, "", 1)
    assert list(tmp_path.iterdir()) == []
