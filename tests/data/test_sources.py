"""Reading: good files become rows, bad ones are named by file and line, and nothing crashes the reader."""

import json
import os
import tracemalloc
from pathlib import Path

import pytest

from intents.data import sources
from intents.errors import DataError
from intents.parameters.data import DataConfig

GOOD = b'{"text": "hello", "label": "greet"}\n'


def read(path: Path, **settings: str) -> sources.RawCorpus:
    return sources.read(DataConfig(data=str(path), **settings))


def rejection(path: Path, **settings: str) -> str:
    with pytest.raises(DataError) as caught:
        read(path, **settings)
    return str(caught.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "corpus.jsonl"


def test_rows_keep_their_text_and_lose_the_spaces_around_their_label(path: Path) -> None:
    path.write_text(
        '{"text": " 在 吗 ", "label": " 问候 ", "split": "val"}\n\n{"text": "早", "label": "问候"}\n'
    )
    rows = read(path).rows
    assert rows.to_dict("records") == [
        {"text": " 在 吗 ", "label": "问候", "dataset": "corpus", "split": "val", "line": 1},
        {"text": "早", "label": "问候", "dataset": "corpus", "split": "", "line": 3},
    ]


def test_a_byte_order_mark_and_windows_line_endings_are_no_part_of_the_rows(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace(b"\n", b"\r\n") * 2)
    rows = read(path).rows
    assert rows["text"].tolist() == ["hello", "hello"]
    assert rows["label"].tolist() == ["greet", "greet"]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85"])
def test_a_unicode_line_separator_inside_a_text_does_not_end_the_row(path: Path, separator: str) -> None:
    row = {"text": f"one{separator}two", "label": "a"}
    path.write_text(json.dumps(row, ensure_ascii=False) + "\n" + GOOD.decode(), encoding="utf-8")
    assert read(path).rows["text"].tolist() == [f"one{separator}two", "hello"]


BAD_LINES = {
    "a cp1252 byte": (b'{"text": "caf\xe9", "label": "a"}\n', "not UTF-8"),
    "a truncated last line": (b'{"text": "hell', "not one JSON object"),
    "two objects on a line": (GOOD.strip() * 2 + b"\n", "not one JSON object"),
    "an array": (b'["hello", "greet"]\n', "not a JSON object: a list"),
    "a bare string": (b'"hello"\n', "not a JSON object: a str"),
    "a null text": (b'{"text": null, "label": "a"}\n', "text is missing"),
    "no text": (b'{"label": "a"}\n', "text is missing"),
    "a number for a text": (b'{"text": 5, "label": "a"}\n', "text is not a string: 5"),
    "a list for a text": (b'{"text": ["hi"], "label": "a"}\n', "text is not a string: ['hi']"),
    "a blank text": ('{"text": " \u3000\\t", "label": "a"}\n'.encode(), "text is blank"),
    "no label": (b'{"text": "hi"}\n', "label is missing"),
    "a null label": (b'{"text": "hi", "label": null}\n', "label is missing"),
    "a number for a label": (b'{"text": "hi", "label": 5}\n', "label is not a string: 5"),
    "a blank label": (b'{"text": "hi", "label": "  "}\n', "label is blank"),
    "NaN": (b'{"text": "hi", "label": "a", "score": NaN}\n', "not one JSON object: NaN"),
    "infinity": (b'{"text": "hi", "label": "a", "score": -Infinity}\n', "not one JSON object: -Infinity"),
    "a duplicate key": (
        b'{"text": "hi", "label": "a", "label": "b"}\n',
        "not one JSON object: the key 'label' stands twice",
    ),
    "a huge integer": (b'{"text": "hi", "label": "a", "n": ' + b"9" * 5000 + b"}\n", "not one JSON object"),
    "deep nesting": (
        b'{"text": "hi", "label": "a", "n": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
        "nested too deeply",
    ),
    "a lone surrogate": (b'{"text": "hi \\ud800", "label": "a"}\n', "text holds a lone surrogate"),
    "a lone surrogate in a label": (b'{"text": "hi", "label": "\\udfff"}\n', "label holds a lone surrogate"),
    "a lone surrogate in a split": (
        b'{"text": "hi", "label": "a", "split": "\\ud800"}\n',
        "split holds a lone surrogate",
    ),
    "a NUL": (b'{"text": "h\\u0000i", "label": "a"}\n', "text holds a NUL"),
    "a raw NUL": (b'{"text": "h\x00i", "label": "a"}\n', "not one JSON object"),
}


@pytest.mark.parametrize(("line", "kind"), BAD_LINES.values(), ids=BAD_LINES.keys())
def test_a_bad_line_is_named_by_file_line_and_kind(path: Path, line: bytes, kind: str) -> None:
    path.write_bytes(GOOD + line)
    message = rejection(path)
    assert "1 problem(s)" in message
    assert f"{path}:2: {kind}" in message


def test_an_out_of_scope_row_needs_no_label_but_a_sound_kind(path: Path, tmp_path: Path) -> None:
    path.write_bytes(GOOD)
    (tmp_path / "noise.jsonl").write_text('{"text": "moo", "kind": "far"}\n{"text": "baa"}\n')
    assert read(path).out_of_scope[["text", "kind"]].values.tolist() == [["moo", "far"], ["baa", "given"]]
    (tmp_path / "noise.jsonl").write_text('{"text": "moo", "kind": "\\ud800"}\n')
    assert "noise.jsonl:1: kind holds a lone surrogate" in rejection(path)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_recognised_by_its_mark_and_named_once(path: Path, encoding: str) -> None:
    path.write_bytes(("\ufeff" + GOOD.decode() * 3).encode(encoding))
    message = rejection(path)
    assert "1 problem(s)" in message
    assert f"{path}:1: the file is UTF-16: save it as UTF-8" in message


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "with a byte-order mark"])
def test_a_50_mb_line_is_refused_in_bounded_memory_and_the_next_lines_keep_their_numbers(
    path: Path, mark: bytes
) -> None:
    path.write_bytes(mark + b'{"text": "' + b"x" * 50_000_000 + b'", "label": "a"}\n' + b"not JSON\n")
    tracemalloc.start()
    try:
        message = rejection(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000
    assert "2 problem(s)" in message
    assert f"{path}:1: line too long" in message
    assert f"{path}:2: not one JSON object" in message


def test_problems_of_all_files_are_shown_together_the_first_twenty_by_line_then_by_count(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "", "label": "a"}\n' * 15)
    (tmp_path / "b.jsonl").write_bytes(GOOD + b'{"text": 1, "label": "a"}\n' * 15)
    (tmp_path / "noise.jsonl").write_bytes(b"[]\n")
    message = rejection(tmp_path)
    assert "31 problem(s)" in message
    assert "15 x text is blank, 15 x text is not a string, 1 x not a JSON object" in message
    shown = [line.strip() for line in message.splitlines() if ".jsonl:" in line]
    assert len(shown) == 20
    assert shown[0].startswith(f"{tmp_path / 'a.jsonl'}:1: ")
    assert shown[19].startswith(f"{tmp_path / 'b.jsonl'}:6: ")


@pytest.mark.parametrize("content", [b"", b"\n  \r\n\n"], ids=["empty", "blank lines"])
def test_a_file_without_rows_is_named(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert f"{path}: the file holds no rows" in rejection(path)


def test_a_directory_a_fifo_or_nothing_in_place_of_a_file_is_refused(
    path: Path, tmp_path: Path, fifo: Path
) -> None:
    path.write_bytes(GOOD)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.jsonl").mkdir()
    assert "found a directory" in rejection(path, noise=str(tmp_path / "folder.jsonl"))
    assert "folder': expected a file ending in .jsonl or .json" in rejection(
        path, noise=str(tmp_path / "folder")
    )
    assert "found something that is not a regular file" in rejection(fifo)
    assert "found nothing" in rejection(path, noise=str(tmp_path / "absent.jsonl"))
    for folder in ("folder", "folder.jsonl"):
        message = rejection(tmp_path / folder)
        assert f"{tmp_path / folder}: neither data.json nor a .jsonl file is in this directory" in message


@pytest.mark.parametrize("name", ["corpus.jsonl", "data.json"])
def test_a_file_that_can_not_be_read_is_refused(tmp_path: Path, name: str) -> None:
    unreadable = Path("/proc/self/mem")  # reading its first byte fails, for root too
    if not unreadable.exists():
        pytest.skip("needs Linux's /proc")
    path = tmp_path / name
    path.symlink_to(unreadable)
    assert f"{path}: can't be read (Input/output error)" in rejection(path)


def test_a_file_of_another_format_is_refused_with_the_one_expected(tmp_path: Path) -> None:
    (tmp_path / "rows.txt").write_bytes(GOOD)
    assert "can't read '.txt'; expected .jsonl or .json" in rejection(tmp_path / "rows.txt")


def test_a_missing_corpus_says_which_files_go_where_and_names_the_sample(tmp_path: Path) -> None:
    message = rejection(tmp_path / "absent")
    for named in ("telemarketing_intent_cn.jsonl", "crosswoz.jsonl", "few_shot_intent_sft/data", "chat_zh"):
        assert named in message


def test_without_data_the_raw_corpora_come_first_then_the_sample_then_an_explanation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"telemarketing_intent_cn\.jsonl nor crosswoz\.jsonl"):
        sources.read(DataConfig())
    sample = tmp_path / "assets/samples/chat_zh"
    sample.mkdir(parents=True)
    (sample / "chat_zh.jsonl").write_bytes(GOOD)
    assert sources.read(DataConfig()).name == "chat_zh"
    raw = tmp_path / "assets/models/few_shot_intent_sft/data"
    raw.mkdir(parents=True)
    (raw / "crosswoz.jsonl").write_bytes(GOOD)
    (raw / "crosswoz_useracts.jsonl").write_bytes(GOOD)
    assert sources.read(DataConfig()).name == "crosswoz"
    (raw / "telemarketing_intent_cn.jsonl").write_bytes(GOOD)
    assert sources.read(DataConfig()).name == "telemarketing_intent_cn+crosswoz"


def test_several_files_are_merged_in_the_order_named_and_each_row_keeps_its_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_bytes(GOOD.replace(b"hello", name.encode()))
    corpus = sources.read(DataConfig(data=f"{tmp_path / 'b.jsonl'}, {tmp_path / 'a.jsonl'}"))
    assert corpus.rows[["text", "dataset"]].values.tolist() == [["b", "b"], ["a", "a"]]
    assert not corpus.arrives_split


@pytest.mark.parametrize("name", ["val", "valid", "validation", "dev", "devel", "development"])
def test_the_validation_part_goes_by_several_names(tmp_path: Path, name: str) -> None:
    for part in ("train", name, "test"):
        (tmp_path / f"{part}.jsonl").write_bytes(GOOD.replace(b"hello", part.encode()))
        (tmp_path / f"oos_{part}.jsonl").write_bytes(b'{"text": "moo"}\n')
    corpus = read(tmp_path)
    assert dict(zip(corpus.rows["text"], corpus.rows["split"], strict=True)) == {
        "train": "train",
        name: "validation",
        "test": "test",
    }
    assert corpus.out_of_scope["split"].tolist() == ["train", "validation", "test"]
    assert corpus.notes == ()


@pytest.mark.parametrize(("one", "other"), [("val", "dev"), ("oos_valid", "oos_dev"), ("train", "training")])
def test_two_files_of_one_part_are_refused_and_both_named(tmp_path: Path, one: str, other: str) -> None:
    for name in {"train", "test", one, other}:
        (tmp_path / f"{name}.jsonl").write_bytes(GOOD)
    assert f"{tmp_path}: {one}.jsonl and {other}.jsonl are both its " in rejection(tmp_path)


@pytest.mark.parametrize(
    ("read_files", "beside"),
    [
        (["data.json"], ["a.csv", "extra.jsonl"]),
        (["a.jsonl", "noise.jsonl"], ["b.csv", "c.PARQUET", "d.json", "noise.json"]),
        (["train.jsonl", "test.jsonl"], ["data.json", "eval.jsonl"]),
    ],
)
def test_files_of_a_directory_that_are_not_read_are_noted(
    tmp_path: Path, read_files: list[str], beside: list[str]
) -> None:
    for name in (*read_files, *beside, ".hidden.csv", "README.md"):
        (tmp_path / name).write_bytes(b'{"greet": ["hello"]}' if name == "data.json" else GOOD)
    corpus = read(tmp_path)
    assert {file.name for file in corpus.files} == set(read_files)
    shown = ", ".join(map(repr, beside))
    assert corpus.notes == (
        f"{len(beside)} file(s) in {tmp_path} are not read: {shown}. "
        "Name those that belong to the corpus one by one in data=.",
    )


def test_a_directory_of_tables_alone_is_refused_with_their_names(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"text,label\nhi,greet\n")
    assert "what could be read there: 'a.csv'. Name a corpus with -P data=<path>; .csv" in rejection(tmp_path)


def test_a_file_that_was_read_as_gb18030_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_bytes(("text,label\n" + "我想查询一下订单,查询\n" * 5).encode("gbk"))
    corpus = read(path)
    assert corpus.rows["label"].unique().tolist() == ["查询"]
    assert corpus.notes == (f"{path}: it is not UTF-8 and was read as GB18030 (GBK), by all its bytes",)


def test_keys_that_are_there_are_named_where_one_is_missing(path: Path) -> None:
    path.write_bytes(b'{"utterance": "hi", "intent": "greet"}\n{"text": "hi", "intent": "greet"}\n{}\n')
    message = rejection(path)
    assert f"{path}:1: text is missing: the keys are 'utterance', 'intent'\n" in message
    assert f"{path}:2: label is missing: the keys are 'text', 'intent'\n" in message
    assert f"{path}:3: text is missing: the object is empty\n" in message


def test_a_relative_path_that_leads_nowhere_is_told_with_the_place_and_the_home_is_expanded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    looked = f" at {tmp_path / 'absent.jsonl'} (relative paths are taken from {tmp_path})"
    assert f"absent.jsonl: there is no such file or directory{looked}" in rejection(Path("absent.jsonl"))
    (tmp_path / "c.jsonl").write_bytes(GOOD)
    assert f"found nothing{looked}" in rejection(Path("c.jsonl"), noise="absent.jsonl")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read(Path("~/c.jsonl"), noise="~/c.jsonl").files == (tmp_path / "c.jsonl", tmp_path / "c.jsonl")


def test_a_name_that_is_not_utf_8_is_refused_in_words_that_can_be_printed(tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    path = folder / os.fsdecode(b"caf\xe9.jsonl")
    path.write_bytes(GOOD)
    for named in (path, folder):
        message = rejection(named)
        assert "caf\\udce9.jsonl: expected a name in UTF-8; each" in message
        assert message.isascii()
