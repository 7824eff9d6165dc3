"""From any format to any other, and what an unfinished scoring leaves for the next run: no worker processes needed."""

import itertools
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest

from intents.data.formats import by_suffix, spreadsheets, writing
from intents.data.formats.chunks import Refused, Wanted
from intents.errors import ScoringError
from intents.serving.files import answer_columns, shards, worker
from intents.serving.files.shards import Shards
from intents.serving.files.worker import Model
from tests.serving.files.conftest import TEXTS, read

SUFFIXES = (".jsonl", ".csv", ".parquet")
IDENTITY = {"model": "one"}


@pytest.fixture(scope="module")
def model(model_directory: Path) -> Model:
    return Model(model_directory)


def begun(path: Path, output: Path, identity: dict[str, Any] | None = None) -> tuple[Any, Shards]:
    wanted = Wanted("text", (), {path.suffix, output.suffix} == {".jsonl"}, answer_columns.OURS)
    source = by_suffix.opened(path, wanted)
    shards.part_folder(output).mkdir(exist_ok=True)
    return source, Shards(output, answer_columns.schema(source.schema), identity=identity or IDENTITY)


def scored(path: Path, output: Path, model: Model, *, chunks: int | None = None) -> Shards:
    """Scores so many chunks, or all; what is not finished stays so."""
    source, work = begun(path, output)
    for chunk in itertools.islice(source.chunks(work.done.end), chunks):
        said = model.answered(chunk.texts)
        refused = [
            *chunk.refused,
            *(Refused(chunk.lines[place], reason) for place, reason in said.refused),
        ]
        work.add(
            answer_columns.rows(chunk, said, schema=work.schema),
            refused,
            end=chunk.end,
        )
    return work


@pytest.mark.parametrize(("suffix", "other"), list(itertools.product(SUFFIXES, SUFFIXES)))
def test_rows_come_out_in_order_with_their_line_what_they_carried_and_the_answer(
    suffix: str, other: str, write: Callable[..., Path], tmp_path: Path, model: Model
):
    texts = [f'{text}\n"{number}",\'' for number, text in enumerate(TEXTS)]
    texts[7] = ""
    path = write(f"in{suffix}", [{"id": str(n), "text": text} for n, text in enumerate(texts)])
    output = tmp_path / f"out{other}"
    line_of = [line for chunk in begun(path, output)[0].chunks(0) for line in chunk.lines]
    work = scored(path, output, model)
    work.finish_shard()
    work.join()
    rows = read(output)
    kept = [n for n in range(len(texts)) if n != 7]
    assert [(row["id"], row["text"]) for row in rows] == [(str(n), texts[n]) for n in kept]
    assert [int(row["line"]) for row in rows] == [line_of[n] for n in kept]
    said = model.answered([texts[n] for n in kept]).answers.to_pydict()
    assert set(said["in_scope"]) == {True, False}
    for name, values in said.items():
        found = [row[name] for row in rows]
        if other == ".csv" and name in ("confidence", "energy", "in_scope"):
            found = [json.loads(cell) for cell in found]
        assert found == values, name
    (refused,) = read(shards.rejected_file(output))
    assert refused["reason"] == "text is blank"
    assert not list(shards.part_folder(output).iterdir())


def test_a_scoring_that_was_killed_goes_on_after_its_last_finished_shard(
    write: Callable[..., Path], tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("intents.data.formats.chunks.ROWS", 10)
    monkeypatch.setattr(shards, "SHARD_ROWS", 20)
    path = write("in.csv", [{"n": n, "text": text if n % 9 else ""} for n, text in enumerate(TEXTS * 2)])
    whole, cut = tmp_path / "whole.csv", tmp_path / "cut.csv"
    unbroken = scored(path, whole, model)
    unbroken.finish_shard()
    unbroken.join()
    killed = scored(path, cut, model, chunks=5)
    killed.forget()
    assert (killed.count, killed.done.end) == (2, 41)  # the fifth chunk is lost
    work = scored(path, cut, model)
    assert work.done.end > 41
    work.finish_shard()
    work.join()
    assert cut.read_bytes() == whole.read_bytes()
    assert shards.rejected_file(cut).read_bytes() == shards.rejected_file(whole).read_bytes()
    assert len(read(cut)) + len(read(shards.rejected_file(cut))) == len(TEXTS) * 2


def test_a_shard_that_could_not_be_written_is_forgotten(
    write: Callable[..., Path], tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch
):
    path, output = write("in.csv", [{"text": text} for text in TEXTS]), tmp_path / "out.csv"
    work = scored(path, output, model)
    (chunk,) = begun(path, output)[0].chunks(0)
    said = model.answered(chunk.texts)
    rows = answer_columns.rows(chunk, said, schema=work.schema)
    monkeypatch.delattr(Refused, "_asdict")
    with pytest.raises(AttributeError):
        work.add(rows, [Refused(1, "why")], end=chunk.end)
    work.finish_shard()
    assert (work.count, work.done.end) == (0, 0)


def test_another_model_does_not_go_on_from_an_unfinished_scoring(
    write: Callable[..., Path], tmp_path: Path, model: Model
):
    path, output = write("in.csv", [{"text": "a"}]), tmp_path / "out.csv"
    begun(path, output, {"model": "two"})  # nothing was done
    scored(path, output, model).finish_shard()
    begun(path, output)
    with pytest.raises(ScoringError, match=r"out.csv.part holds an unfinished scoring with another model\."):
        begun(path, output, {"model": "two"})


def test_what_a_cut_off_clean_up_leaves_is_not_joined_to_another_scoring(
    write: Callable[..., Path], tmp_path: Path, model: Model
):
    path, output = write("in.csv", [{"text": f"{n}"} for n in range(3000)]), tmp_path / "out.csv"
    work = scored(path, output, model, chunks=1)
    work.finish_shard()
    for chunk in begun(path, output)[0].chunks(work.done.end):
        said = model.answered(chunk.texts)
        work.add(
            answer_columns.rows(chunk, said, schema=work.schema),
            chunk.refused,
            end=chunk.end,
        )
        work.finish_shard()
    folder = shards.part_folder(output)
    kept = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert sum(name.endswith(".json") for name in kept) == 1 + 3  # the state, and three shards
    for first in (shards.STATE, "000000.json"):
        for name, content in kept.items():
            (folder / name).write_bytes(content)
        (folder / first).unlink()
        _, other = begun(path, output, {"model": "two"})
        assert (other.count, other.done.end) == (0, 0)
        assert [file.name for file in folder.iterdir()] == [shards.STATE]


def test_the_folder_goes_once_nothing_in_it_is_wanted(tmp_path: Path):
    output = tmp_path / "out.csv"
    with shards.alone(output):
        (shards.part_folder(output) / "000000.json").touch()
    assert shards.part_folder(output).is_dir()
    with shards.alone(output):
        (shards.part_folder(output) / "000000.json").unlink()
    assert not shards.part_folder(output).exists()


def test_two_scorings_at_once_never_write_one_output(tmp_path: Path):
    output = tmp_path / "out.csv"
    with (
        shards.alone(output),
        pytest.raises(ScoringError, match="another scoring writes it"),
        shards.alone(output),
    ):
        pass


def test_numbers_that_json_has_not_are_null(tmp_path: Path, model: Model):
    path, prices = tmp_path / "in.parquet", [float("nan"), float("inf"), 1.5]
    pyarrow.parquet.write_table(pyarrow.table({"text": ["你好"] * 3, "price": prices}), path)
    work = scored(path, tmp_path / "out.jsonl", model)
    work.finish_shard()
    work.join()
    assert [row["price"] for row in read(tmp_path / "out.jsonl")] == [None, None, 1.5]


def test_numbers_that_json_has_not_are_null_also_in_lists_and_structs(tmp_path: Path, model: Model):
    path, nan = tmp_path / "in.parquet", float("nan")
    pairs = pyarrow.array([[("a", nan)]], pyarrow.map_(pyarrow.string(), pyarrow.float64()))
    nested = {"list": [[nan, 1.0]], "struct": [{"x": nan, "y": [nan]}], "map": pairs}
    table = pyarrow.table({"text": ["你好"]} | nested)
    pyarrow.parquet.write_table(table, path)
    work = scored(path, tmp_path / "out.jsonl", model)
    work.finish_shard()
    work.join()
    (row,) = read(tmp_path / "out.jsonl")
    assert (row["list"], row["struct"]) == ([None, 1.0], {"x": None, "y": [None]})
    assert row["map"] == [["a", None]]


@pytest.mark.parametrize(
    "kind",
    [
        pyarrow.binary(),
        pyarrow.binary(16),
        pyarrow.binary_view(),
        pyarrow.large_binary(),
        pyarrow.dictionary(pyarrow.int32(), pyarrow.binary()),
        pyarrow.list_(pyarrow.binary()),
        pyarrow.struct([("x", pyarrow.int32()), ("y", pyarrow.list_(pyarrow.binary(4)))]),
        pyarrow.map_(pyarrow.string(), pyarrow.binary()),
    ],
    ids=str,
)
def test_bytes_of_any_kind_are_refused_beforehand(kind: pyarrow.DataType, tmp_path: Path):
    schema = pyarrow.schema([("text", pyarrow.string()), ("hash", kind)])
    for suffix in (".jsonl", ".csv"):
        with pytest.raises(ScoringError, match="column hash holds"):
            writing.check_schema(schema, tmp_path / f"out{suffix}")
    writing.check_schema(schema, tmp_path / "out.parquet")


def test_no_text_in_a_csv_is_a_formula_and_other_forms_have_it_as_it_was(
    tmp_path: Path, write: Callable[..., Path], model: Model
):
    texts = ['=HYPERLINK("http://x.example","open")', "hello;@me", "hello", "a-b=1"]
    path = write("in.csv", [{"id": f"-{n}", "text": text} for n, text in enumerate(texts)])
    written = {}
    for suffix in SUFFIXES:
        work = scored(path, tmp_path / f"out{suffix}", model)
        work.finish_shard()
        work.join()
        rows = read(tmp_path / f"out{suffix}")
        written[suffix] = [text for row in rows for text in (row["id"], row["text"])]
    assert (
        written[".jsonl"]
        == written[".parquet"]
        == ["-0", texts[0], "-1", texts[1], "-2", "hello", "-3", "a-b=1"]
    )
    assert written[".csv"] == ["'-0", f"'{texts[0]}", "'-1", "hello;'@me", "'-2", "hello", "'-3", "a-b=1"]
    assert [spreadsheets.as_it_was(cell) for cell in written[".csv"]] == written[".jsonl"]


def test_types_of_parquet_stay_what_they_were(tmp_path: Path, model: Model):
    kinds = ["a", "b"]
    table = pyarrow.table(
        {
            "text": ["", "你好"],
            "at": pyarrow.array([date(2026, 1, 2)] * 2),
            "price": pyarrow.array(["1.10", "2.20"]).cast(pyarrow.decimal128(10, 2)),
            "tags": [kinds, kinds],
            "kind": pyarrow.array(kinds).dictionary_encode(),
            "name": pyarrow.array(kinds, pyarrow.string_view()),
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "in.parquet")
    work = scored(tmp_path / "in.parquet", tmp_path / "out.parquet", model)
    work.finish_shard()
    work.join()
    written = pyarrow.parquet.read_table(tmp_path / "out.parquet").select(table.column_names)
    assert written.to_pylist() == table.slice(1).to_pylist()
    assert written.schema.types[:-1] == table.schema.types[:-1]


def test_a_column_that_the_output_cannot_hold_is_refused_beforehand(tmp_path: Path):
    pd.DataFrame({"text": ["a"], "tags": [["a"]]}).to_parquet(tmp_path / "in.parquet")
    schema = begun(tmp_path / "in.parquet", tmp_path / "out.csv")[0].schema
    with pytest.raises(
        ScoringError, match=r"column tags holds list<.*>, which \.csv can't\. Name the columns"
    ):
        writing.check_schema(schema, tmp_path / "out.csv")
    writing.check_schema(schema, tmp_path / "out.jsonl")


def test_the_answer_to_a_text_depends_on_no_other(model: Model):
    texts = [text * (1 + n % 5) for n, text in enumerate(TEXTS * 3)]
    assert len(texts) > 2 * worker.BATCH_TEXTS
    together = model.answered(texts).answers.column("energy").to_pylist()
    alone = [model.answered([text]).answers.column("energy").to_pylist()[0] for text in texts]
    assert together == pytest.approx(alone, abs=1e-5)
