"""Fixtures of the data tests: files of rows, and corpora loaded from them without a blacklist."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from intents.data import corpus as corpora
from intents.data.corpus import Corpus
from intents.parameters.data import DataConfig


@pytest.fixture
def write_rows(tmp_path: Path) -> Callable[..., Path]:
    """Writes (text, label) pairs to a .jsonl file below `tmp_path`; keywords go into every row."""

    def write(name: str, pairs: list[tuple[str, str]], **fields: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [{"text": text, "label": label, **fields} for text, label in pairs]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return write


@pytest.fixture
def write_json(tmp_path: Path) -> Callable[..., Path]:
    """Writes a .json file below `tmp_path`."""

    def write(name: str, content: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        return path

    return write


@pytest.fixture
def fifo(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A FIFO. A process waits to open and close its other end, so that reading it fails a test, not hangs it.

    Parametrised indirectly, it has the name given.
    """
    path = tmp_path / getattr(request, "param", "pipe.jsonl")
    os.mkfifo(path)
    with subprocess.Popen(["sh", "-c", ': > "$0"', str(path)]) as writer:
        yield path
        writer.kill()


@pytest.fixture
def no_blacklist(tmp_path: Path) -> str:
    """A blacklist that names no intent."""
    path = tmp_path / "no_blacklist.txt"
    path.write_text("")
    return str(path)


@pytest.fixture
def load(tmp_path: Path, no_blacklist: str) -> Callable[..., Corpus]:
    """Loads a corpus with a workspace of this test's own, keeping rare intents unless told otherwise."""

    def load_corpus(data: Path | str, *, selects_on_test: bool = False, **settings: object) -> Corpus:
        workspace = str(tmp_path / "workspace")
        defaults = {"blacklist": no_blacklist, "min_per_intent": 1, "workspace": workspace}
        config = DataConfig(data=str(data), **(defaults | settings))
        return corpora.load(config, selects_on_test=selects_on_test)

    return load_corpus
