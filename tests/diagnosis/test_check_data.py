"""check_data from end to end: what it prints and writes, and the way from its file back into the corpus."""

import csv
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from intents import cli
from intents.data import corpus as corpora
from intents.data.corrections import Correction
from intents.diagnosis import examination, repeats, sheet
from intents.diagnosis.confusions import CONFUSABLE, LABEL_ERRORS
from intents.diagnosis.finding import COLUMNS, Finding
from intents.errors import DataError
from intents.models.encoders import e5
from intents.parameters.data import DataConfig

BLACKLIST = str(Path(__file__).parents[2] / "assets" / "blacklist.txt")


def finding(kind: str, *rows: tuple[object, ...]) -> Finding:
    return Finding(kind, "headline", "Advice.", 1.0, pd.DataFrame(rows, columns=COLUMNS))


A_ROW = ("hi", "a", "b", "reads like b", 0.75, "d", 3, "train")


def test_a_row_of_several_findings_stands_once_with_every_reason_and_the_first_suggestion() -> None:
    found = [
        finding(LABEL_ERRORS, A_ROW),
        finding(repeats.CONFLICTS, ("hi", "a", "a", "repeats a row under b", float("nan"), "d", 3, "train")),
        finding(repeats.LEAKS, ("lo", "b", "", "repeats d line 1", float("nan"), "d", 9, "test")),
        finding(CONFUSABLE, ("no", "b", "a", "can't be told from a", 0.5, "d", 7, "test")),
    ]
    table = sheet.sheet(found)
    assert list(table.columns) == [*COLUMNS, "action", "new_label"]
    assert table.values.tolist() == [
        ["hi", "a", "b", "reads like b; repeats a row under b", "0.75", "d", 3, "train", "", ""],
        ["lo", "b", "", "repeats d line 1", "", "d", 9, "test", "", ""],
    ]


def test_equal_rows_of_two_lines_or_two_parts_stand_by_themselves() -> None:
    other_line, other_part = (*A_ROW[:6], 4, "train"), (*A_ROW[:7], "test")
    table = sheet.sheet([finding(LABEL_ERRORS, A_ROW, other_line, other_part)])
    assert table[["line", "part"]].values.tolist() == [[3, "train"], [4, "train"], [3, "test"]]


def test_decisions_taken_before_are_carried_on_as_they_were() -> None:
    taken = Correction("d", "lo", "b", "9", "relabel", "a", 2)
    table = sheet.sheet([finding(LABEL_ERRORS, A_ROW)], [taken])
    assert table["text"].tolist() == ["lo", "hi"]
    assert table.loc[0, ["label", "dataset", "line", "action", "new_label"]].tolist() == [
        "b",
        "d",
        "9",
        "relabel",
        "a",
    ]
    assert sheet.sheet([]).empty


def test_a_leak_that_a_person_keeps_is_not_asked_about_again() -> None:
    leak = finding(repeats.LEAKS, ("lo", "b", "", "repeats d line 1", float("nan"), "d", 9, "test"))
    kept, dropped = (Correction("d", "lo", "b", "9", action, "", 2) for action in ("keep", "drop"))
    assert sheet.sheet([leak], [kept])["reason"].tolist() == ["decided before"]
    # The copy at another line is gone; of this one nothing is decided.
    assert sheet.sheet([leak], [dropped])["reason"].tolist() == ["decided before", "repeats d line 1"]


def test_a_text_of_quotes_commas_and_line_breaks_is_corrected_by_the_file_that_was_written(
    tmp_path: Path, write_jsonl: Callable[..., Path]
) -> None:
    odd = ' a "b", 你好\nc\r\nd =1'
    data = write_jsonl([(odd, "a"), *((f"{i}{n}", i) for i in "ab" for n in range(50))])
    file = tmp_path / "findings.csv"
    sheet.write(sheet.sheet([finding(LABEL_ERRORS, (odd, "a", "b", "odd", 0.9, "rows", 1, "train"))]), file)
    decide(file, lambda row: row | {"action": "relabel", "new_label": "b"})
    corpus = load(data, tmp_path, corrections=str(file))
    assert corpus.rows.loc[corpus.rows["text"] == odd, "label"].tolist() == ["b"]


@pytest.mark.parametrize(
    "text", ['=HYPERLINK("http://x.example","open")', "@me", "-5", "'=1", "'-- no", "ok;=1+1", "'tis", "\t+1"]
)
def test_a_text_that_is_a_formula_is_none_in_the_file_and_is_corrected_by_it(
    text: str, tmp_path: Path, write_jsonl: Callable[..., Path]
) -> None:
    data = write_jsonl([(text, "=a"), *((f"{i}{n}", i) for i in ("=a", "b") for n in range(50))])
    file = tmp_path / "findings.csv"
    found = finding(LABEL_ERRORS, (text, "=a", "b", "reads like b", 0.9, "rows", 1, "train"))
    sheet.write(sheet.sheet([found]), file)
    cells = [part for row in written(file) for cell in row.values() for part in re.split("[;,]", cell)]
    assert not [cell for cell in cells if cell.startswith(tuple("=+-@\t\r"))]
    decide(file, lambda row: row | {"action": "relabel", "new_label": "b"})
    corpus = load(data, tmp_path, corrections=str(file))
    assert corpus.rows.loc[corpus.rows["text"] == text, "label"].tolist() == ["b"]
    sheet.check_replaceable(file, corpus.corrections)


def test_a_file_with_decisions_that_would_be_lost_is_not_written_over(tmp_path: Path) -> None:
    file = tmp_path / "findings.csv"
    sheet.check_replaceable(file, ())
    sheet.write(sheet.sheet([finding(LABEL_ERRORS, A_ROW)]), file)
    sheet.check_replaceable(file, ())  # nothing is decided yet
    decide(file, lambda row: row | {"action": "keep"})
    with pytest.raises(DataError, match=r"holds 1 decision\(s\) that would be lost\. Pass -P corrections="):
        sheet.check_replaceable(file, ())
    sheet.check_replaceable(file, (Correction("d", "hi", "a", "3", "keep", "", 7),))
    with pytest.raises(DataError, match="would be lost"):
        sheet.check_replaceable(file, (Correction("d", "hi", "a", "3", "drop", "", 7),))


def test_a_file_that_check_data_never_wrote_is_not_written_over(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("price,amount\n1,2\n")
    with pytest.raises(DataError, match=r"which check_data would write anew.*\n.*a column is missing"):
        sheet.check_replaceable(file, ())


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match=r"can't be written .*-P findings="):
        sheet.write(sheet.sheet([]), tmp_path / "findings.csv")


def letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.lower())


def written(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as handle:
        return list(csv.DictReader(handle))


def decide(file: Path, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
    """What a person does to the file in a spreadsheet."""
    rows = [change(row) for row in written(file)]
    with file.open("w", encoding="utf-8-sig", newline="") as handle:
        writer = csv.DictWriter(handle, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def load(data: Path, folder: Path, **settings: str) -> corpora.Corpus:
    config = DataConfig(data=str(data), blacklist=BLACKLIST, workspace=str(folder / "workspace"), **settings)
    return corpora.load(config)


@pytest.fixture
def write_jsonl(tmp_path: Path) -> Callable[..., Path]:
    import json

    def write(pairs: list[tuple[str, str]]) -> Path:
        path = tmp_path / "rows.jsonl"
        lines = [json.dumps({"text": text, "label": label}) + "\n" for text, label in pairs]
        path.write_text("".join(lines))
        return path

    return write


def test_check_data_finds_the_spoiled_row_and_after_the_correction_finds_it_no_more(
    tmp_path: Path,
    write_jsonl: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    pairs = [(f"{word} number {n}", word) for word in ("apple", "violin", "bucket") for n in range(60)]
    pairs[5] = ("apple number 5", "bucket")
    flags = ["--data", str(write_jsonl(pairs)), "--blacklist", BLACKLIST, "--workspace", "w"]

    assert cli.main(["check_data", *flags]) == 0
    said = capsys.readouterr().out
    assert "part 5 of 5" in said
    assert "1 of 180 labels are doubtful; most often bucket → apple 1" in said
    assert "- rows line 6: 'apple number 5' (bucket) reads like apple" in said
    assert "findings.csv: 1 rows to look at" in said
    (row,) = written(Path("findings.csv"))
    asked = {name: row[name] for name in ("text", "label", "suggested", "line", "action")}
    assert asked == {
        "text": "apple number 5", "label": "bucket", "suggested": "apple", "line": "6", "action": "",
    }  # fmt: skip

    decide(Path("findings.csv"), lambda row: row | {"action": "relabel", "new_label": row["suggested"]})
    assert cli.main(["check_data", *flags]) == 2
    assert "findings.csv holds 1 decision(s) that would be lost" in capsys.readouterr().err

    assert cli.main(["check_data", *flags, "--corrections", "findings.csv"]) == 0
    said = capsys.readouterr().out
    assert "note: corrections (findings.csv): 0 row(s) dropped, 1 relabelled" in said
    assert "doubtful" not in said
    assert "findings.csv: no rows to look at" in said
    (row,) = written(Path("findings.csv"))
    assert (row["text"], row["label"], row["action"], row["new_label"]) == (
        "apple number 5",
        "bucket",
        "relabel",
        "apple",
    )


def test_names_that_look_alike_are_a_finding_whose_file_makes_them_one(
    tmp_path: Path,
    write_jsonl: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    pairs = [(f"{word} number {n}", word) for word in ("apple", "violin") for n in range(40)]
    pairs += [(f"apple pie {n}", "Apple\u200b") for n in range(8)]
    flags = ["--data", str(write_jsonl(pairs)), "--workspace", "w"]
    assert cli.main(["check_data", *flags]) == 0
    said = capsys.readouterr().out
    assert "2 intents have names that look alike: 'apple' / 'Apple\\u200b'" in said
    assert "rows line 81: 'apple pie 0' (Apple\\u200b) its intent's name looks like 'apple'" in said
    asked = [(row["label"], row["suggested"], row["line"]) for row in written(Path("findings.csv"))]
    assert asked == [("Apple\u200b", "apple", str(81 + n)) for n in range(8)]

    decide(Path("findings.csv"), lambda row: row | {"action": "relabel", "new_label": row["suggested"]})
    assert cli.main(["check_data", *flags, "--corrections", "findings.csv"]) == 0
    said = capsys.readouterr().out
    assert "88 rows read, 88 kept in 2 intents" in said
    assert "note: corrections (findings.csv): 0 row(s) dropped, 8 relabelled" in said
    assert "look alike" not in said


@pytest.mark.parametrize(
    "endings", [("c++", "c#", "c"), ("👍", "👎"), ("1.5", "15", "1-5")], ids=["symbols", "emoji", "decimals"]
)
def test_utterances_told_apart_by_what_carries_meaning_are_no_conflict_and_cost_nothing(
    endings: tuple[str, ...],
    write_jsonl: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    starts = ("快递", "客服", "物流", "help", "book")
    pairs = [
        (f"{start} {n} {end}", f"i{i}") for n in range(8) for start in starts for i, end in enumerate(endings)
    ]
    assert cli.main(["check_data", "--data", str(write_jsonl(pairs)), "--workspace", "w"]) == 0
    said = capsys.readouterr().out
    assert "several intents" not in said
    assert "more than one intent" not in said


def test_no_file_is_written_where_none_is_wanted(
    tmp_path: Path, tiny_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = ["--data", str(tiny_corpus / "rows"), "--blacklist", BLACKLIST, "--workspace", "w"]
    assert cli.main(["check_data", *data, "--findings", ""]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["w"]


def test_the_encoder_is_taken_from_the_workspace_that_was_named(
    tmp_path: Path,
    tiny_corpus: Path,
    tiny_bert: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    unpacked = shutil.copytree(tiny_bert, e5.directory_in(Path("w")))
    (unpacked / e5.PROVENANCE).write_text("{}")
    flags = ["--data", str(tiny_corpus / "rows"), "--findings", "", "--workspace", "w"]
    assert cli.main(["check_data", *flags, "--model_name", "e5"]) == 0
    spelled = re.search("spelled by e5: (.*)% of train tokens unknown", capsys.readouterr().out)
    assert spelled is not None
    assert float(spelled[1]) > 0  # the one that stands there lacks a character of the corpus
    assert [path.name for path in tmp_path.iterdir()] == ["w"]


@pytest.fixture(scope="module")
def chinese(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Finding]:
    """The findings of the two raw corpora, cleaned, by kind."""
    names = ("telemarketing_intent_cn", "crosswoz")
    data = ",".join(str(shared_data / name / f"{name}.jsonl") for name in names)
    config = DataConfig(data=data, blacklist=BLACKLIST, workspace=str(tmp_path_factory.mktemp("w")))
    return {found.kind: found for found in examination.diagnose(corpora.load(config))}


def test_on_the_chinese_corpora_the_twelve_texts_under_two_intents_are_found(
    chinese: dict[str, Finding],
) -> None:
    found = chinese[repeats.CONFLICTS]
    assert "12 of them to the letter" in found.headline
    intents = found.rows.groupby("text")["label"].nunique()
    assert (intents > 1).sum() == 12
    assert found.rows["line"].gt(0).all()


def test_on_the_chinese_corpora_yes_and_yes_are_a_confusable_pair(chinese: dict[str, Finding]) -> None:
    pairs = chinese[CONFUSABLE].table
    ranks = {
        frozenset(pair): rank for rank, pair in enumerate(zip(pairs["first"], pairs["second"], strict=True))
    }
    every_pair = 73 * 72 / 2
    assert ranks[frozenset({"肯定(好的)", "肯定(可以)"})] < 0.02 * every_pair
    assert ranks[frozenset({"greet", "thank"})] < 3  # 449 texts have both labels: PROVENANCE.md
    assert len(pairs) < 0.05 * every_pair


def test_of_the_original_test_part_101_rows_repeat_a_training_row_but_for_two_of_odd_punctuation(
    shared_data: Path, tmp_path: Path
) -> None:
    """PROVENANCE.md counts 101. One of those is nothing but punctuation, all of which a normal form keeps; one ends in
    U+FE49, which NFKC takes for a space with a mark: both are other utterances than their training rows."""
    (tmp_path / "none.txt").write_text("")
    config = DataConfig(
        data=str(shared_data / "telemarketing_intent_cn" / "telemarketing_intent_cn.jsonl"),
        blacklist=str(tmp_path / "none.txt"),
        min_per_intent=1,
        max_per_intent=100_000,
        split="given",
        validation_size=1e-9,
        workspace=str(tmp_path),
    )
    corpus = corpora.load(config, selects_on_test=True)
    assert len(corpus.part("test")) == 1200
    found = {finding.kind: finding for finding in examination.diagnose(corpus)}[repeats.LEAKS]
    trained, tested = corpus.part("train")["text"], corpus.part("test")
    bare = tested["text"].map(letters).isin(set(trained.map(letters)))
    assert bare.sum() == 101
    missed = set(tested.loc[bare, "line"]) - set(found.rows["line"])
    odd = tested.loc[tested["line"].isin(missed), "text"]
    assert sorted((letters(text), "\ufe49" in text) for text in odd) == [("", False), ("好吧", True)]
    assert len(found.rows) == 101 - 2
    assert "99 of 1,200 test rows repeat a training row" in found.headline
