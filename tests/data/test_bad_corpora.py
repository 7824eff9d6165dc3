"""Accidents with corpora of several files, with what is no file, and with strange labels."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from intents.data.cleaning import CACHED_FILES
from intents.data.corpus import Corpus
from intents.errors import DataError
from tests.data.formats.test_bad_inputs import JSONL, column

Load = Callable[..., Corpus]


def test_an_intent_with_one_row_is_trained_on_and_noted_or_refused_by_name_where_it_would_be_tested_on(
    tmp_path: Path, load: Load
) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes(JSONL + b'{"text": "only one of them", "label": "lonely"}\n')
    with pytest.raises(DataError, match=r"1 intent\(s\) have no training row \(rows in all: 'lonely' 1\)"):
        load(path, test_size=0.8)
    corpus = load(path, split_seed=2)
    assert "1 intent(s) have no validation row: lonely" in corpus.notes
    assert "1 intent(s) have no test row: lonely" in corpus.notes


def test_fewer_rows_to_test_on_than_intents_is_refused_by_a_split_that_needs_more(
    tmp_path: Path, load: Load
) -> None:
    path = tmp_path / "c.jsonl"
    lines = [json.dumps({"text": f"{i} {j}", "label": f"intent{i}"}) for i in range(10) for j in range(2)]
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"20 rows of 10 intents can't be split 0\.2 by intent .* The rarest"):
        load(path, split="stratified")


def test_a_text_under_two_intents_and_test_rows_that_repeat_training_rows_are_shown_and_counted(
    tmp_path: Path, load: Load
) -> None:
    for part, rows in (
        ("train", JSONL),
        ("val", JSONL[-200:]),
        ("test", b'{"text": "APPLE7", "label": "pear"}\n'),
    ):
        (tmp_path / f"{part}.jsonl").write_bytes(rows[rows.index(b"{") :])
    notes = load(tmp_path).notes
    assert any(note.startswith("1 of 1 test rows repeat a training row") for note in notes)
    assert any(
        "1 utterance(s) stand under more than one intent, such as 'apple7' (apple / pear)" in n for n in notes
    )


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv", "parquet"])
def test_a_directory_or_an_unreadable_file_in_place_of_a_file_is_refused(
    tmp_path: Path, load: Load, ending: str
) -> None:
    (tmp_path / "rows.jsonl").write_bytes(JSONL)
    folder, damaged = tmp_path / f"noise.{ending}", tmp_path / f"broken.{ending}"
    folder.mkdir()
    with pytest.raises(
        DataError, match=f"noise.{ending}: expected a readable .{ending} file, found a directory"
    ):
        load(tmp_path / "rows.jsonl", noise=str(folder))
    if not Path("/proc/self/mem").exists():
        pytest.skip("needs Linux's /proc")
    damaged.symlink_to("/proc/self/mem")  # reading its first byte fails, for root too
    with pytest.raises(DataError, match=f"broken.{ending}: can't be read"):
        load(damaged)


@pytest.mark.parametrize("fifo", ["c.jsonl", "data.json", "c.csv", "c.parquet"], indirect=True)
def test_a_fifo_in_place_of_a_file_is_refused_at_once(fifo: Path, load: Load) -> None:
    with pytest.raises(DataError, match="found something that is not a regular file"):
        load(fifo)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ("absent.jsonl", "there is no such file or directory"),
        ("a\0b.jsonl", "a NUL can't be part of a file's name"),
        ("x" * 5000 + ".jsonl", "can't be read .File name too long"),
        ("twice.jsonl,./twice.jsonl", "is named twice in data="),
    ],
)
def test_a_name_that_names_no_file_or_one_twice_is_refused(
    tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch, data: str, found: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("twice.jsonl").write_bytes(JSONL)
    with pytest.raises(DataError, match=found):
        load(data)


def test_a_missing_corpus_is_told_where_the_raw_corpora_go_and_what_the_sample_is(
    tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"telemarketing_intent_cn\.jsonl.*few_shot_intent_sft/data.*chat_zh"):
        load("")


@pytest.mark.parametrize("name", ["train.jsonl", "oos_test.jsonl"])
def test_half_of_a_corpus_that_arrives_split_is_not_taken_for_raw_rows(
    tmp_path: Path, load: Load, name: str
) -> None:
    (tmp_path / name).write_bytes(JSONL)
    with pytest.raises(
        DataError, match=rf"holds {name}; a corpus that arrives split has both train\.jsonl and"
    ):
        load(tmp_path)


STRANGE_LABELS = [
    "../x",
    "/etc/passwd",
    "a\nb",
    "\x1b[31m",
    "con",
    "=1+1",
    "accuracy",
    "x" * 4096,
    "{0}%s",
    "👍",
    "pay/bill",
    "pay:bill",
    "macro avg",
    "out-of-scope",
    "$5_to_$9",
]


@pytest.mark.parametrize("label", STRANGE_LABELS)
def test_a_strange_label_is_kept_whole_and_shown_in_one_short_line(
    tmp_path: Path, load: Load, label: str
) -> None:
    path = tmp_path / "c.jsonl"
    rows = [{"text": f"strange {i}", "label": label} for i in range(40)]
    path.write_bytes(JSONL + "".join(json.dumps(row) + "\n" for row in rows).encode())
    corpus = load(path)
    assert label.strip() in corpus.intents
    lines = corpus.description().splitlines()
    assert all(len(line) < 500 and line.isprintable() for line in lines)
    assert any(line.startswith("intents: 3; ") for line in lines)
    written = {file.name for file in tmp_path.rglob("*") if file.is_file()}
    assert written == {"c.jsonl", "no_blacklist.txt", *CACHED_FILES}


def test_a_4_kb_label_is_shortened_in_an_error(tmp_path: Path, load: Load) -> None:
    for part, label in (("train", "a"), ("test", "b" * 4096)):
        (tmp_path / f"{part}.jsonl").write_text(json.dumps({"text": "hi", "label": label}) + "\n")
    with pytest.raises(DataError, match=r"have no training row \(rows in all: 'bbb") as caught:
        load(tmp_path)
    assert len(str(caught.value)) < 400


def test_problems_of_every_form_are_collected_the_first_twenty_shown_and_all_counted(
    tmp_path: Path, load: Load
) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"nonsense\n" * 9)
    (tmp_path / "b.csv").write_bytes(b"text,label\n" + b",a\n" * 9)
    (tmp_path / "c.parquet").write_bytes(column([None] * 9, ["a"] * 9))
    (tmp_path / "data.json").write_bytes(b'{"a": [1]}')
    with pytest.raises(DataError) as caught:
        load(",".join(str(tmp_path / name) for name in ("a.jsonl", "b.csv", "c.parquet", "data.json")))
    message = str(caught.value)
    assert message.startswith("28 problem(s) in the corpus, the first 20 of them:\n")
    assert len([line for line in message.splitlines() if line.startswith("  ")]) == 20
    assert f"{tmp_path / 'b.csv'}:10: text is blank" in message
    assert f"{tmp_path / 'c.parquet'}:2: text is missing" in message
    for count in (
        "9 x not one JSON object",
        "9 x text is blank",
        "9 x text is missing",
        "1 x text is not a string",
    ):
        assert count in message


@pytest.mark.parametrize("name", CACHED_FILES)
def test_a_damaged_or_incomplete_cache_is_made_again(tmp_path: Path, load: Load, name: str) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes(JSONL)
    expected = load(path).digest
    (cached,) = tmp_path.glob(f"workspace/clean/*/{name}")
    good = cached.read_bytes()
    cached.write_bytes(good[:100])
    assert load(path).digest == expected
    assert cached.read_bytes() == good
    cached.unlink()
    assert load(path).digest == expected
    assert cached.read_bytes() == good
