"""docs/consumer.py in a process of its own, asked the same again and again while versions come and go.

`looping` starts that process, `answers` reads what it has said. The process has never heard of this project.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
UTTERANCE = "你好"
SAID, STOP = "answers.jsonl", "stop"
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
PAUSE_SECONDS = 0.002
"""Between two questions: whoever publishes must get some time of the processor too."""


@dataclass(frozen=True)
class Answer:
    """An answer that differs from the one before it, or the last of all."""

    number: int
    """Answers given until then, this one included."""
    folder: str
    intent: str
    confidence: float
    was_loaded: bool
    """The folder's model was loaded for this answer, not for an earlier one."""
    was_overtaken: bool
    """So long did that take that, when the answer was given, the link led elsewhere already."""


@contextlib.contextmanager
def looping(target: Path, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The consumer, at work until the block ends; `folder` is where its answers go."""
    command = [sys.executable, "-I", __file__, str(target), str(folder / STOP)]
    with (
        (folder / SAID).open("wb") as said,
        subprocess.Popen(command, stdout=said, env=ENVIRONMENT) as consumer,
    ):
        try:
            yield consumer
        finally:
            (folder / STOP).touch()


def answers(folder: Path) -> list[Answer]:
    """What was said so far."""
    lines = (folder / SAID).read_text(encoding="utf-8").splitlines(keepends=True)
    return [Answer(**json.loads(line)) for line in lines if line.endswith("\n")]


def main() -> None:
    """Asks until the file is there that ends it, or whoever started it is gone."""
    target, stop = sys.argv[1], Path(sys.argv[2])
    sys.modules["intents"] = sys.modules["registry"] = None
    sys.path.insert(0, str(DOCS))
    from consumer import PublishedModel

    model, parent = PublishedModel(target), os.getppid()
    number, before = 0, None
    while not stop.exists() and os.getppid() == parent:
        loaded_before = model.folder
        said = model.predict(UTTERANCE)
        number += 1
        if (model.folder, said) != before:
            was_loaded = model.folder != loaded_before
            was_overtaken = was_loaded and os.path.realpath(target) != model.folder
            tell(Answer(number, model.folder, *said, was_loaded, was_overtaken))
        before = model.folder, said
        time.sleep(PAUSE_SECONDS)
    tell(Answer(number, model.folder, *said, was_loaded=False, was_overtaken=False))


def tell(answer: Answer) -> None:
    """Prints it, for `answers`."""
    print(json.dumps(asdict(answer), ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
