"""Reading speed: raw .jsonl rows read, cleaned and split, at three sizes, each in a process of its own.

    PYTHONPATH=src python -m bench.data.readers                    # 10,000, 100,000 and 1,000,000 rows
    PYTHONPATH=src python -m bench.data.readers --rows 10000,50000

The rows are Chinese-like: characters drawn by Zipf's law, 4 to 30 to an utterance, 70 intents of uneven size, some
of them blacklisted or rare, one row in ten a repeat of an earlier one. Nothing is cached: each process has an empty
workspace. Peak memory is the process's own, libraries included. Prints a table and writes bench/results/readers.json.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from itertools import accumulate
from pathlib import Path
from typing import Any

from bench import benchmark

INTENTS, BLACKLISTED, CHARACTERS, PHRASES = 70, 3, 3000, 20_000
REPEATED = 0.1


def main() -> int:
    arguments = _arguments()
    if arguments.measure:
        print(json.dumps(_measure(Path(arguments.measure))))
        return 0
    measured = []
    print(f"{'rows':>10} {'seconds':>8} {'rows/s':>9} {'peak MB':>8} {'kept':>7} {'out-of-scope':>12}")
    for rows in [int(part) for part in arguments.rows.split(",")]:
        with tempfile.TemporaryDirectory() as folder:
            write_corpus(Path(folder), rows)
            command = [sys.executable, "-m", "bench.data.readers", "--measure", folder]
            result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        measured.append({"rows": rows, "rows_per_second": rows / result["seconds"], **result})
        print(
            f"{rows:10,} {result['seconds']:8.1f} {rows / result['seconds']:9,.0f} {result['peak_mb']:8,.0f} "
            f"{result['kept']:7,} {result['out_of_scope']:12,}",
            flush=True,
        )
    benchmark.write("readers", {"measured": measured})
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default="10000,100000,1000000", help="sizes (default: %(default)s)")
    parser.add_argument("--measure", default="", help="used by the benchmark itself: a folder to read")
    return parser.parse_args()


def write_corpus(folder: Path, rows: int) -> None:
    """rows.jsonl and blacklist.txt, the same for the same number of rows."""
    generator = random.Random(0)
    characters = [chr(0x4E00 + i) for i in range(CHARACTERS)]
    zipf = list(accumulate(1 / (rank + 2) for rank in range(CHARACTERS)))
    phrases = [
        "".join(generator.choices(characters, cum_weights=zipf, k=generator.randint(1, 4)))
        for _ in range(PHRASES)
    ]
    common = list(accumulate(1 / (rank + 10) for rank in range(PHRASES)))
    intents = [f"意图{number}(类{number % 7})" for number in range(INTENTS)]
    sizes = list(accumulate(1 / (rank + 5) for rank in range(INTENTS)))
    (folder / "blacklist.txt").write_text("\n".join(intents[-BLACKLISTED:]), encoding="utf-8")
    written: list[str] = []
    with (folder / "rows.jsonl").open("w", encoding="utf-8") as handle:
        for _ in range(rows):
            if written and generator.random() < REPEATED:
                line = generator.choice(written)
            else:
                count = generator.randint(2, 9)
                text = "".join(generator.choices(phrases, cum_weights=common, k=count))
                (label,) = generator.choices(intents, cum_weights=sizes)
                line = json.dumps({"text": text, "label": label, "split": "train"}, ensure_ascii=False) + "\n"
                written.append(line)
            handle.write(line)


def _measure(folder: Path) -> dict[str, Any]:
    """Seconds and peak memory of one reading, cleaning and splitting, imports not timed."""
    from intents.data import corpus as corpora
    from intents.parameters.data import DataConfig

    config = DataConfig(
        data=str(folder / "rows.jsonl"),
        blacklist=str(folder / "blacklist.txt"),
        workspace=str(folder / "workspace"),
    )
    started = time.perf_counter()
    corpus = corpora.load(config)
    seconds = time.perf_counter() - started
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "seconds": seconds,
        "peak_mb": peak_mb,
        "kept": len(corpus.rows),
        "out_of_scope": len(corpus.out_of_scope),
    }


if __name__ == "__main__":
    sys.exit(main())
