"""How fast `score` answers a file, by how many rows it has, and with how much memory.

    PYTHONPATH=src python -m bench.serving.scoring

trains the default TextCNN on CLINC150 (or takes the one that --model names), makes files of distinct texts of 30 to 40
characters by recombining the words of its utterances, and scores them with the command a user types. Memory is the peak
of the proportional set sizes of all its processes together, looked at ten times a second.
"""

import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pyarrow
import pyarrow.csv
import pyarrow.parquet

from bench.benchmark import flags, write

SHORTEST, LONGEST = 30, 40
LAST_LINE = re.compile(r"([\d.]+) s, ([\d,]+) texts/s, after ([\d.]+) s to start")
LOOK_SECONDS = 0.1


def main() -> None:
    """Trains where needed, scores every file, prints the table, writes the results."""
    parser = flags(__doc__, data="../shared/data/clinc150")
    parser.set_defaults(model_name="char")
    parser.add_argument("--model", default="", help="a TextCNN's uri or directory; empty: one is trained")
    parser.add_argument("--rows", default="10000,100000,1000000", help="sizes (default: %(default)s)")
    parser.add_argument(
        "--formats", default="parquet,csv,jsonl", help="all but the first: of the middle size"
    )
    parser.add_argument("--workers", default="0", help="0: one a core (default)")
    options = parser.parse_args()
    sizes, formats = [int(size) for size in options.rows.split(",")], options.formats.split(",")
    runs = [(size, formats[0]) for size in sizes] + [(sizes[len(sizes) // 2], other) for other in formats[1:]]
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.abspath(options.model) if os.path.isdir(options.model) else options.model
        model = model or trained(options, Path(folder))
        texts = make_texts(utterances(Path(options.data)), max(sizes))
        results = [measured(texts[:size], form, model, options.workers, Path(folder)) for size, form in runs]
    print(table(results))
    write("scoring", {"data": options.data, "model": "train_cnn", "characters": mean(texts), "runs": results})


def utterances(folder: Path) -> list[str]:
    """The corpus's training utterances."""
    return [json.loads(line)["text"] for line in (folder / "train.jsonl").read_text("utf-8").splitlines()]


def make_texts(utterances: Sequence[str], count: int) -> list[str]:
    """So many distinct texts of the utterances' words, at random but the same each time."""
    words = [word for utterance in utterances for word in utterance.split()]
    draw = random.Random(0)
    texts: dict[str, None] = {}
    while len(texts) < count:
        length, text = draw.randint(SHORTEST, LONGEST), draw.choice(words)
        while len(text) < length:
            text += f" {draw.choice(words)}"
        texts[text[:LONGEST].strip()] = None
    return list(texts)


def mean(texts: Sequence[str]) -> float:
    """Characters of a text, on average."""
    return round(sum(map(len, texts)) / len(texts), 1)


def trained(options: Any, folder: Path) -> str:
    """The uri of a TextCNN of the default settings, trained by the command."""
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder / 'mlflow.db'}"
    words = ["--data", os.path.abspath(options.data), "--model_name", options.model_name, "--register", ""]
    said = command("train_cnn", words, folder)
    run_id = re.search(r"^run ([0-9a-f]{32})$", said, re.MULTILINE)
    assert run_id, said
    return f"runs:/{run_id[1]}"


def command(name: str, words: Sequence[str], folder: Path) -> str:
    """What a command of ours prints."""
    source = str(Path(__file__).parents[2] / "src")
    done = subprocess.run(
        [sys.executable, "-m", "intents.cli", name, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": source},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def measured(texts: Sequence[str], form: str, model: str, workers: str, folder: Path) -> dict[str, Any]:
    """Speed and memory of scoring these texts from and to a format."""
    files = {"input": folder / f"in.{form}", "output": folder / f"out.{form}"}
    write_texts(texts, files["input"])
    words = [word for name, file in files.items() for word in (f"--{name}", str(file))]
    with PeakMemory() as memory:
        began = time.monotonic()
        said = command("score", [*words, "--model", model, "--workers", workers], folder)
        seconds = time.monotonic() - began
    found = LAST_LINE.search(said)
    assert found, said
    scoring, speed, starting = (float(figure.replace(",", "")) for figure in found.groups())
    print(said, end="", flush=True)
    return {
        "rows": len(texts),
        "format": form,
        "command_seconds": round(seconds, 1),
        "starting_seconds": starting,
        "scoring_seconds": scoring,
        "texts_per_second": round(speed),
        "texts_per_second_of_the_command": round(len(texts) / seconds),
        "microseconds_per_text": round(1e6 / speed, 1),
        "peak_pss_mb": round(memory.peak / 2**20),
    }


def write_texts(texts: Sequence[str], path: Path) -> None:
    """A file of the texts, with a number each."""
    rows = pyarrow.table({"id": range(len(texts)), "text": texts})
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(rows, path)
    elif path.suffix == ".csv":
        pyarrow.csv.write_csv(rows, path)
    else:
        lines = (json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(texts))
        path.write_text("".join(lines), encoding="utf-8")


class PeakMemory:
    """The most memory that the processes started in a block had, all together."""

    def __enter__(self) -> "PeakMemory":
        self.peak = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            self.peak = max(self.peak, sum(_sizes()))


def _sizes() -> Iterator[int]:
    for process in psutil.Process().children(recursive=True):
        try:
            yield process.memory_full_info().pss
        except psutil.Error:
            continue


def table(results: Sequence[dict[str, Any]]) -> str:
    """The results, for a person."""
    lines = [
        f"{'rows':>9} {'format':<8} {'texts/s':>8} {'us/text':>8} {'scoring s':>10} {'start s':>8} {'peak MB':>8}"
    ]
    lines += [
        f"{run['rows']:>9,} {run['format']:<8} {run['texts_per_second']:>8,} {run['microseconds_per_text']:>8} "
        f"{run['scoring_seconds']:>10} {run['starting_seconds']:>8} {run['peak_pss_mb']:>8,}"
        for run in results
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
