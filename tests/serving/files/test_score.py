"""score from end to end, with its worker processes: the answers are the served model's, and a stop loses nothing."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from intents import cli
from intents.data.formats.chunks import Chunk
from intents.errors import ScoringError
from intents.serving import answers
from intents.serving.files import shards
from intents.serving.files.crew import Crew
from tests.conftest import Logged, as_served, start_command
from tests.serving.files.conftest import TEXTS, read

ODD = (
    "你好呀",
    "👍🏽👨‍👩‍👧‍👦",
    "مرحبا بالعالم",
    "e" + "\u0301" * 200,
    "龘龘龘",
    "a\u2028b\u2029c",
    "\u202eolleh",
    "cafe\u0301",
    "ﬁve Ｆｕｌｌ",
    "你好" * 5000,
    "\u00adx\u200b",
    " 你好 ",
    '{"text": "x"}',
)
NEVER = ("", "  \n", "\u200b\u00ad", "a\0b", "\ud83d", "a" * 10_001, None, 1, 1.5, ["你好"], {"text": "你好"})


def lines(*texts: Any) -> str:
    return "".join(json.dumps({"text": text}) + "\n" for text in texts)


@pytest.mark.usefixtures("in_store")
def test_the_answers_are_those_of_the_served_model_also_to_odd_texts(
    logged: Logged, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    file.write_text(lines(*ODD, *NEVER, *TEXTS) + '{"message": "你好"}\nnothing\n', encoding="utf-8")
    words = ["--input", str(file), "--output", str(output), "--model", logged.model_uri, "--workers", "1"]
    assert cli.main(["score", *words]) == 0
    asked = [*ODD, *TEXTS]
    assert [text for text in [*asked, *NEVER] if answers.problem(text) is None] == asked
    served = as_served(logged.model_uri).predict(asked)
    found = read(output)
    assert [row["text"] for row in found] == asked
    for row, prediction in zip(found, served, strict=True):
        expected = prediction.model_dump(exclude={"alternatives"})
        numbers = {name: expected.pop(name) for name in ("confidence", "energy")}
        assert {name: row[name] for name in expected} == expected
        assert {name: row[name] for name in numbers} == pytest.approx(numbers, abs=1e-4)
    refused = read(shards.rejected_file(output))
    first = len(ODD) + 1
    assert [row["line"] for row in refused[: len(NEVER)]] == list(range(first, first + len(NEVER)))
    assert [row["reason"] for row in refused[: len(NEVER)]] == [answers.problem(text) for text in NEVER]
    assert [row["reason"].split(":")[0] for row in refused[len(NEVER) :]] == [
        "text is missing",
        "not one JSON object",
    ]
    said = capsys.readouterr().out
    assert f"out.jsonl: {len(asked):,} rows scored" in said
    assert f"out.jsonl.rejected.jsonl: {len(refused)} rows that can't be scored" in said


def test_a_scoring_that_is_stopped_says_how_to_go_on_and_ends_up_the_same(
    model_directory: Path, tmp_path: Path, subprocess_environment: dict[str, str]
):
    texts = [f"{text}{number}" for number in range(700) for text in TEXTS]
    (tmp_path / "in.jsonl").write_text(lines(*texts), encoding="utf-8")
    flags = {"input": "in.jsonl", "output": "out.jsonl", "model": str(model_directory), "workers": "1"}
    with start_command("score", flags, environment=subprocess_environment, cwd=tmp_path) as process:
        deadline = time.monotonic() + 60
        data = tmp_path / "out.jsonl.part" / "000000.jsonl"
        while not (data.is_file() and data.stat().st_size):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        said, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert "rows are scored and kept in out.jsonl.part; the same command goes on from there" in said
    assert "Traceback" not in errors
    assert not (tmp_path / "out.jsonl").exists()
    with start_command("score", flags, environment=subprocess_environment, cwd=tmp_path) as process:
        said, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "going on after line" in said
    assert [row["text"] for row in read(tmp_path / "out.jsonl")] == texts
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_a_worker_ends_when_its_parent_is_gone_and_its_own_end_is_an_error(model_directory: Path):
    chunk = Chunk([1], ["你好"], None, (), 1)
    with Crew(model_directory, 2) as crew:
        found = crew.answered(iter([chunk] * 100_000))
        assert next(found)[1].places == [0]
        one, other = crew.members
        one.kill()
        with pytest.raises(ScoringError, match=r"a worker died \(exit code -9\).*Fewer workers than 2"):
            list(found)
        crew.hang_up()
        other.join(20)
        assert other.exitcode == 0


def test_a_file_in_which_nothing_can_be_scored_is_an_error_that_says_why(
    model_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file, output = tmp_path / "in.jsonl", tmp_path / "out.parquet"
    file.write_text(lines("", "\0", 5, 6), encoding="utf-8")
    words = ["--input", str(file), "--output", str(output), "--model", str(model_directory), "--workers", "1"]
    assert cli.main(["score", *words]) == 2
    said = capsys.readouterr().err
    assert "none of 4 rows can be scored: 2 x text is not a string; 1 x text is blank; 1 x text holds" in said
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_of_which_most_rows_cannot_be_scored_ends_with_2_their_count_and_the_side_file(
    model_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    words = ["--input", str(file), "--output", str(output), "--model", str(model_directory), "--workers", "1"]
    file.write_text(lines("你好", "在吗", 5, 6, ""), encoding="utf-8")
    assert cli.main(["score", *words]) == 2
    said = capsys.readouterr().err
    assert "in.jsonl: 3 of 5 rows can't be scored: 2 x text is not a string; 1 x text is blank. " in said
    assert "the other 2 are in " in said
    assert len(read(output)) == 2
    assert len(read(shards.rejected_file(output))) == 3
    file.write_text(lines("你好", "在吗", 5, 6), encoding="utf-8")
    assert cli.main(["score", *words]) == 0


@pytest.mark.usefixtures("in_store")
@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"input": "in.txt"}, "input='in.txt': expected a file that ends in .jsonl, .csv, .parquet"),
        ({"output": ".csv"}, "output='.csv': expected a file that ends in"),
        ({"output": "in.jsonl"}, "in.jsonl is the input too"),
        ({"output": "no/out.csv"}, "no/out.csv: there is no such folder"),
        ({"input": "no.csv"}, "no.csv: expected a readable .csv file, found nothing"),
        ({"input": "caf\udce9.csv"}, "input='caf\\udce9.csv': expected text in UTF-8; rename"),
        ({"column": ""}, "column='': expected a column's name"),
        ({"workers": "-1"}, "workers=-1: expected 0 to 1024 processes"),
        ({"model": "no/model"}, "model='no/model': there is no such directory"),
        ({"model": "models:/tiny/latest"}, "model='models:/tiny/latest': expected models:/<name>@<alias>"),
        ({"model": "models:/nobody@Production"}, "model='models:/nobody@Production': "),
        ({"model": "runs:/" + "0" * 32}, f"Run with id={'0' * 32} not found); expected models:/"),
    ],
)
def test_what_cannot_work_ends_with_2_before_anything_is_written(
    flags: dict[str, str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text(lines("你好"), encoding="utf-8")
    flags = {"input": "in.jsonl", "output": "out.csv"} | flags
    assert cli.main(["score", *(f"--{name}={text}" for name, text in flags.items())]) == 2
    assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]
