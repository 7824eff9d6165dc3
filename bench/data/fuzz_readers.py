"""A fuzzer of the readers: damaged files of every form must give a corpus or an error that the user can mend.

    PYTHONPATH=src python -m bench.data.fuzz_readers                          # 20,000 files, a few minutes
    PYTHONPATH=src python -m bench.data.fuzz_readers --files 2000 --seed 7

Good files of each form are damaged at random (bits flipped, cut short, spliced, odd bytes put in, pieces repeated),
then read, cleaned, split and described. That happens in child processes: one that hangs, dies, or raises anything but
IntentsError is an offence, and so is one that asks for more memory than it may have. The same seed damages the same
way. Prints counts; offending files are kept below --keep; exit code 1 when there are any.
"""

import argparse
import json
import multiprocessing
import os
import random
import re
import resource
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import pandas as pd

from intents.data import corpus as corpora
from intents.errors import IntentsError
from intents.parameters.data import DataConfig

SECONDS_A_FILE = 20.0
MEMORY_BYTES = 1 << 30
"""What a child may take on top of what it has when it starts."""
FILES_A_CHILD = 500
ODD = (
    b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"\\ud800", b"\\u0000", b"\xe2\x80\xa8", b"\r",
    b"\n", b"\r\n", b'"', b'""', b",", b";", b"{", b"}", b"[" * 500, b"NaN", b"-Infinity", b"1e999", b"9" * 5000,
    b"null", b"\xc0\x80", b"\xf4\x90\x80\x80", b"PAR1", b"\x7f\xff\xff\xff", b"\x80\x80\x80\x80\x10",
)  # fmt: skip
VALUES = (
    b"null", b"5", b"true", b"[]", b"{}", b'""', b'"\\u200b"', b'"\\ud83d"', b'"a\\u0000"', b"NaN", b"9" * 4000,
    b"[" * 900 + b"]" * 900, b'{"a":' * 400 + b"1" + b"}" * 400, b'"' + b"x" * 200_000 + b'"', b'"text"', b'"label"',
    b'"=1+1"', b'"../x"', b'" "', b'"a\nb"',
)  # fmt: skip


@dataclass(frozen=True)
class Seed:
    """A good corpus: its files by name, the one that is damaged first."""

    files: dict[str, bytes]
    data: str


def main() -> int:
    arguments = _arguments()
    counts, offences = fuzz(arguments.files, arguments.seed, keep=Path(arguments.keep))
    for outcome, count in sorted(counts.items()):
        print(f"{count:8,} {outcome}")
    for offence in offences[:20]:
        print(f"\n{offence}")
    print(f"{len(offences)} offence(s) in {arguments.files:,} files, seed {arguments.seed}")
    return 1 if offences else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=20_000, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--keep", default=".intents/fuzz", help="folder for offending files")
    return parser.parse_args()


def fuzz(files: int, seed: int, *, keep: Path) -> tuple[Counter[str], list[str]]:
    """Counts by form and outcome, and a description of each offence; the files that offended are in `keep`."""
    counts: Counter[str] = Counter()
    offences: list[str] = []
    done = 0
    while done < files:
        for number, form, outcome in _outcomes(range(done, min(files, done + FILES_A_CHILD)), seed):
            done = number + 1
            kind = outcome.split(":")[0]
            counts[f"{form}: {kind}"] += 1
            if kind not in {"corpus", "refused"}:
                offences.append(f"file {number} ({form}): {outcome}")
                _write(damaged(number, seed)[1], keep / f"{seed}_{number}")
    return counts, offences


def _outcomes(numbers: range, seed: int) -> Iterator[tuple[int, str, str]]:
    """(number, form, outcome) of each file, up to the first that its child process didn't survive."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=_read_all, args=(numbers, seed, theirs), daemon=True)
    child.start()
    theirs.close()
    for number in numbers:
        form = damaged(number, seed)[0]
        try:
            outcome = ours.recv() if ours.poll(SECONDS_A_FILE) else "hung"
        except EOFError:
            child.join()
            outcome = f"died: exit code {child.exitcode}"
        yield number, form, outcome
        if outcome == "hung" or outcome.startswith("died"):
            break
    child.kill()
    child.join()


def _read_all(numbers: range, seed: int, results: Connection) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for number in numbers:
        with tempfile.TemporaryDirectory() as folder:
            results.send(outcome_of(damaged(number, seed)[1], Path(folder)))


def outcome_of(corpus: Seed, folder: Path) -> str:
    """What became of reading the corpus from an empty folder: "corpus", "refused: …" or "raised: …"."""
    _write(corpus, folder)
    (folder / "blacklist.txt").touch()
    config = DataConfig(
        data=",".join(str(folder / name) for name in corpus.data.split(",")),
        blacklist=str(folder / "blacklist.txt"),
        min_per_intent=1,
        workspace=str(folder / "workspace"),
    )
    try:
        loaded = corpora.load(config)
        loaded.description().encode("utf-8")
        return "corpus"
    except IntentsError as error:
        return f"refused: {str(error)[:200]}"
    except BaseException:
        return f"raised: {traceback.format_exc()[-700:]}"


def _write(corpus: Seed, folder: Path) -> None:
    for name, content in corpus.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def damaged(number: int, seed: int) -> tuple[str, Seed]:
    """The form and the corpus of one file, its first file damaged in one to four ways."""
    generator = random.Random(f"{seed} {number}")
    form, corpus = SEEDS[number % len(SEEDS)]
    name, content = next(iter(corpus.files.items()))
    for _ in range(generator.choice((1, 1, 1, 2, 4))):
        content = generator.choice(DAMAGES)(content, generator)
    return form, Seed(corpus.files | {name: content}, corpus.data)


def _flip_bits(content: bytes, generator: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(generator.randint(1, 4) if content else 0):
        changed[generator.randrange(len(changed))] ^= 1 << generator.randrange(8)
    return bytes(changed)


def _cut_short(content: bytes, generator: random.Random) -> bytes:
    return content[: generator.randrange(len(content) + 1)]


def _insert_odd(content: bytes, generator: random.Random) -> bytes:
    place = generator.randrange(len(content) + 1)
    return content[:place] + generator.choice(ODD) + content[place:]


def _overwrite(content: bytes, generator: random.Random) -> bytes:
    place, piece = generator.randrange(len(content) + 1), generator.choice(ODD)
    return content[:place] + piece + content[place + len(piece) :]


def _delete(content: bytes, generator: random.Random) -> bytes:
    start, end = _piece(content, generator)
    return content[:start] + content[end:]


def _repeat(content: bytes, generator: random.Random) -> bytes:
    start, end = _piece(content, generator)
    return content[:end] + content[start:end] * generator.randint(1, 5) + content[end:]


def _splice(content: bytes, generator: random.Random) -> bytes:
    other = next(iter(generator.choice(SEEDS)[1].files.values()))
    start, end = _piece(other, generator)
    place = generator.randrange(len(content) + 1)
    return content[:place] + other[start:end] + content[place:]


def _replace_value(content: bytes, generator: random.Random) -> bytes:
    """Another value in place of something between double quotes."""
    strings = list(re.finditer(rb'"[^"]*"', content[:10_000]))
    if not strings:
        return content
    string = generator.choice(strings)
    return content[: string.start()] + generator.choice(VALUES) + content[string.end() :]


def _piece(content: bytes, generator: random.Random) -> tuple[int, int]:
    start = generator.randrange(len(content) + 1)
    return start, min(len(content), start + generator.randint(1, 200))


DAMAGES = (_flip_bits, _cut_short, _insert_odd, _overwrite, _delete, _repeat, _splice, _replace_value)


def _seeds() -> list[tuple[str, Seed]]:
    rows = [
        {
            "text": f"{start}{i}{'，吗' * (i % 3)}",
            "label": label,
            "split": ("train", "val", "test")[i % 3],
            "kind": "far",
        }
        for label, start in (("greet", "hello "), ("问候", "你好"), ("../x", 'say "no", '))
        for i in range(12)
    ]
    table = pd.DataFrame(rows)
    lines = [json.dumps(row, ensure_ascii=i % 2 == 0).encode() + b"\n" for i, row in enumerate(rows)]
    jsonl = b"".join(lines)
    by_intent = table.groupby("label")["text"].agg(list).to_dict()
    intents = json.dumps(by_intent, ensure_ascii=False, indent=1).encode()
    noise = json.dumps(table["text"].str.upper().tolist()).encode()
    csv = table.assign(text=table["text"].str.replace("5", "5\n")).to_csv(index=False).encode()
    parts = {f"mine/{name}.jsonl": b"".join(lines[i::3]) for i, name in enumerate(("train", "val", "test"))}
    other = "".join(json.dumps({"text": text.upper() * 2}) + "\n" for text in table["text"]).encode()
    oos = {f"mine/oos_{name}.jsonl": other for name in ("train", "test")}
    return [
        ("jsonl", Seed({"a.jsonl": jsonl}, "a.jsonl")),
        ("json", Seed({"data.json": intents, "noise.json": noise}, "data.json")),
        ("noise", Seed({"noise.json": noise, "data.json": intents}, "data.json")),
        ("csv", Seed({"a.csv": csv}, "a.csv")),
        ("csv in gbk", Seed({"a.csv": csv.decode().replace("hello", "你好呀").encode("gbk")}, "a.csv")),
        ("parquet plain", Seed({"a.parquet": _parquet(table, compression=None)}, "a.parquet")),
        ("parquet snappy", Seed({"a.parquet": _parquet(table, compression="snappy")}, "a.parquet")),
        ("split directory", Seed(parts | oos, "mine")),
        ("out-of-scope of a split directory", Seed({**oos, **parts}, "mine")),
        ("mixed", Seed({"b.csv": csv, "a.jsonl": jsonl, "data.json": intents}, "a.jsonl,b.csv,data.json")),
    ]


def _parquet(table: pd.DataFrame, *, compression: str | None) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.parquet"
        table.to_parquet(path, index=False, compression=compression)  # type: ignore[call-overload]
        return path.read_bytes()


SEEDS = _seeds()


if __name__ == "__main__":
    sys.exit(main())
