"""Rows from .csv and .parquet: the same rows as from .jsonl, named by line, alone and mixed with other forms."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
from pandas.testing import assert_frame_equal

from intents.data.corpus import Corpus
from intents.data.formats import parquet as formats_parquet
from tests.data.files import parquet
from tests.data.test_sources import GOOD, read, rejection

Load = Callable[..., Corpus]
ROWS = [
    {"text": "hello, you", "label": "greet", "split": "train", "kind": "far"},
    {"text": ' say "hi"\nto her ', "label": " 问候 ", "split": "val", "kind": ""},
    {"text": "=SUM(1)", "label": "greet", "split": "", "kind": "near"},
    {"text": "NA", "label": "null", "split": "", "kind": ""},
]


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """Writes ROWS in one form, with columns nobody reads among theirs, and returns the file."""

    def write(name: str) -> Path:
        path = tmp_path / name
        table = pd.DataFrame(ROWS).assign(dataset="elsewhere", id=range(len(ROWS)))[
            ["id", "label", "kind", "text", "dataset", "split"]
        ]
        if path.suffix == ".jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
        elif path.suffix.lower() == ".csv":
            table.to_csv(path, index=False)
        else:
            table.to_parquet(path)
        return path

    return write


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet", "rows.CSV", "rows.Parquet"])
def test_a_table_gives_the_rows_that_jsonl_gives(written: Callable[[str], Path], name: str) -> None:
    rows, expected = read(written(name)).rows, read(written("rows.jsonl")).rows
    assert_frame_equal(rows.drop(columns="line"), expected.drop(columns="line"))
    assert rows["text"].tolist() == [row["text"] for row in ROWS]
    assert rows["label"].tolist() == ["greet", "问候", "greet", "null"]
    assert rows["split"].tolist() == ["train", "val", "", ""]
    assert set(rows["dataset"]) == {"rows"}


def test_a_csv_row_is_named_by_the_line_it_begins_on_and_a_parquet_row_by_its_number(
    written: Callable[[str], Path],
) -> None:
    assert read(written("rows.csv")).rows["line"].tolist() == [2, 3, 5, 6]
    assert read(written("rows.parquet")).rows["line"].tolist() == [1, 2, 3, 4]


def test_a_bad_csv_row_after_quoted_line_breaks_and_blank_lines_keeps_its_line(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_bytes(b'\n\ntext,label\r\n"a\r\n\r\nb",x\r\n\r\n"c\nd",\r\nfine,x\r\n,x\r\n')
    message = rejection(path)
    assert "2 problem(s)" in message
    assert f"{path}:8: label is blank" in message
    assert f"{path}:11: text is blank" in message


def test_after_a_row_that_is_no_csv_the_next_ones_are_read(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_bytes(b'text,label\n"a"b,x\nfine,x\ncaf\xe9,x\n,x\n')
    message = rejection(path)
    assert "3 problem(s)" in message
    for problem in (":2: not CSV", ":4: not UTF-8: byte 3", ":5: text is blank"):
        assert f"{path}{problem}" in message


@pytest.mark.parametrize("name", ["silence.csv", "silence.parquet", "silence.jsonl"])
def test_noise_may_be_a_table_and_needs_no_label(tmp_path: Path, name: str) -> None:
    (tmp_path / "rows.jsonl").write_bytes(GOOD)
    noise = tmp_path / name
    table = pd.DataFrame({"kind": ["far", ""], "text": ["moo", "baa"]})
    if noise.suffix == ".csv":
        table.to_csv(noise, index=False)
    elif noise.suffix == ".parquet":
        table.to_parquet(noise)
    else:
        table.to_json(noise, orient="records", lines=True)
    out_of_scope = read(tmp_path / "rows.jsonl", noise=str(noise)).out_of_scope
    assert out_of_scope[["text", "kind"]].values.tolist() == [["moo", "far"], ["baa", "given"]]


def test_tables_are_cleaned_as_raw_rows_are(tmp_path: Path, load: Load) -> None:
    rows = [
        (f"{intent}{i}", intent)
        for intent, count in (("a", 60), ("b", 40), ("rare", 4))
        for i in range(count)
    ]
    path = tmp_path / "c.csv"
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(path, index=False)
    corpus = load(path, min_per_intent=5, max_per_intent=50)
    assert corpus.rows["label"].value_counts().to_dict() == {"a": 50, "b": 40}
    assert len(corpus.ledger) == 14


def test_files_of_every_form_make_one_corpus_in_the_order_named(
    tmp_path: Path, written: Callable[[str], Path]
) -> None:
    for name in ("json", "raw"):
        (tmp_path / name).mkdir()
    (tmp_path / "json" / "data.json").write_text('{"bye": ["so long"]}')
    (tmp_path / "json" / "noise.json").write_text('["moo"]')
    (tmp_path / "raw" / "z.jsonl").write_bytes(GOOD)
    (tmp_path / "raw" / "noise.jsonl").write_text('{"text": "baa"}\n')
    named = (written("t.parquet"), tmp_path / "json", written("t.csv"), tmp_path / "raw")
    corpus = read(",".join(map(str, named)))  # type: ignore[arg-type]
    assert corpus.name == "t+json+t+z"
    assert corpus.rows["dataset"].tolist() == ["t"] * 4 + ["data"] + ["t"] * 4 + ["z"]
    assert corpus.out_of_scope["text"].tolist() == [
        "moo",
        "baa",
    ]  # beside each of them, not beside the first alone
    assert corpus.needs_cleaning
    assert len(corpus.files) == 6


def test_corpora_that_arrive_split_are_merged_part_by_part_but_not_with_raw_rows(
    tmp_path: Path, load: Load
) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        for part in ("train", "val", "test"):
            lines = [json.dumps({"text": f"{folder} {part} {i}", "label": f"l{i}"}) for i in range(2)]
            (tmp_path / folder / f"{part}.jsonl").write_text("\n".join(lines))
    corpus = load(f"{tmp_path / 'one'},{tmp_path / 'two'}")
    assert corpus.name == "one+two"
    assert corpus.part("test")["text"].tolist() == ["one test 0", "one test 1", "two test 0", "two test 1"]
    (tmp_path / "raw.jsonl").write_bytes(GOOD)
    message = rejection(f"{tmp_path / 'one'},{tmp_path / 'raw.jsonl'}")  # type: ignore[arg-type]
    assert f"{tmp_path / 'raw.jsonl'} can't be read together with a corpus that arrives split" in message


def test_split_given_follows_a_tables_column(tmp_path: Path, load: Load) -> None:
    rows = [(f"{intent}{i}", intent, ("train", "val", "test")[i % 3]) for intent in "ab" for i in range(9)]
    path = tmp_path / "c.parquet"
    pd.DataFrame(rows, columns=["text", "label", "split"]).to_parquet(path)
    corpus = load(path, split="given")
    assert sorted(corpus.part("test")["text"]) == [f"{intent}{i}" for intent in "ab" for i in (2, 5, 8)]


@pytest.mark.parametrize(
    "kind",
    [pyarrow.large_string(), pyarrow.string_view(), pyarrow.dictionary(pyarrow.int8(), pyarrow.string())],
)
def test_parquet_strings_of_every_type_are_read(tmp_path: Path, kind: pyarrow.DataType) -> None:
    path = tmp_path / "c.parquet"
    texts = pyarrow.array(["hi", "lo", "hi"]).cast(kind)
    pyarrow.parquet.write_table(pyarrow.table({"text": texts, "label": texts}), path)
    assert read(path).rows["text"].tolist() == ["hi", "lo", "hi"]


def test_rows_keep_their_numbers_over_batches_and_row_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats_parquet, "BATCH_ROWS", 3)
    path = tmp_path / "c.parquet"
    path.write_bytes(parquet({"text": ["x"] * 9 + [" "], "label": ["a"] * 10}, row_group_size=4))
    assert f"{path}:10: text is blank" in rejection(path)


def test_a_text_that_a_parquet_file_repeats_is_one_string_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    path.write_bytes(parquet({"text": ["x" * 20_000] * 1000, "label": ["a"] * 1000}))
    rows = read(path).rows
    assert len(rows) == 1000
    assert len({id(text) for text in rows["text"]}) == 1  # and not 20 MB


def test_a_row_group_that_is_too_large_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats_parquet, "MAX_GROUP_BYTES", 1 << 20)
    path = tmp_path / "c.parquet"
    texts = [f"{i} {'x' * 1000}" for i in range(3000)]
    path.write_bytes(parquet({"text": texts, "label": ["a"] * 3000}))
    assert f"{path}: a row group is too large: " in rejection(path)
    path.write_bytes(parquet({"text": texts, "label": ["a"] * 3000}, row_group_size=500))
    assert len(read(path).rows) == 3000


@pytest.mark.parametrize("index", [2, 100, -1])
def test_a_damaged_index_into_a_columns_dictionary_is_refused_and_gives_no_other_rows_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, index: int
) -> None:
    """Arrow does not look: -1 would be the last text. Damage of a file that gives just this is hard to aim."""
    path = tmp_path / "c.parquet"
    path.write_bytes(parquet({"text": ["hi", "lo"], "label": ["a", "b"]}))
    damaged = pyarrow.DictionaryArray.from_arrays(
        pyarrow.array([0, index], pyarrow.int32()), ["hi", "lo"], safe=False
    )
    batch = pyarrow.record_batch([damaged, damaged], names=["text", "label"])
    monkeypatch.setattr(pyarrow.parquet.ParquetFile, "iter_batches", lambda *_, **__: iter([batch]))
    assert f"{path}: can't be read as Parquet (a value is not in its column's dictionary)" in rejection(path)


@pytest.mark.parametrize("name", ["c.csv", "c.parquet"])
def test_labels_that_read_as_no_value_elsewhere_are_names(tmp_path: Path, load: Load, name: str) -> None:
    labels = ["NA", "None", "nan", "null", "no", "yes", "true", "1"]
    table = pd.DataFrame({"text": [f"utterance {i}" for i in range(320)], "label": labels * 40})
    if name == "c.csv":
        table.to_csv(tmp_path / name, index=False)
    else:
        table.astype("category").to_parquet(tmp_path / name)
    corpus = load(tmp_path / name)
    assert corpus.intents == tuple(sorted(labels))
    assert corpus.rows["label"].value_counts().tolist() == [40] * 8
