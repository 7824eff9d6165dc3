"""What is found in a corpus: planted faults, one of each kind, their estimates, and the order they are told in."""

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from intents.data.corpus import Corpus
from intents.data.corrections import Correction
from intents.diagnosis import confusions, examination, repeats, spelling
from intents.diagnosis.finding import COLUMNS, Evidence, Finding, evidence

INTENTS = ("red", "blue", "green", "grey", "pink", "teal")
ROWS_EACH = 120


def utterances(intent: str, count: int, *, seed: int = 0) -> list[str]:
    """Distinct utterances of words that this intent has, among filler that all have."""
    generator = random.Random(f"{intent} {seed}")
    filler = ["um", "so", "well", "then", "now", "also", "just", "oh"]
    found: set[str] = set()
    while len(found) < count:
        words = [*generator.sample([f"{intent}{i}" for i in range(12)], 3), *generator.sample(filler, 2)]
        found.add(" ".join(generator.sample(words, 5)))
    return sorted(found)


def table(pairs: list[tuple[str, str]], parts: list[str] | None = None) -> pd.DataFrame:
    """In-scope rows as a corpus has them; every fifth is a test row, unless told."""
    texts, labels = zip(*pairs, strict=True)
    parts = parts or ["test" if i % 5 == 4 else "train" for i in range(len(pairs))]
    lines = range(1, len(pairs) + 1)
    return pd.DataFrame({"text": texts, "label": labels, "dataset": "d", "line": lines, "part": parts})


def corpus_of(rows: pd.DataFrame, corrections: tuple[Correction, ...] = ()) -> Corpus:
    return Corpus(
        name="d",
        rows=rows,
        out_of_scope=pd.DataFrame(),
        ledger=rows.iloc[:0].assign(reason=pd.Series(dtype=object)),
        intents=tuple(sorted(rows["label"].unique())),
        notes=(),
        files=(Path("d.jsonl"),),
        rows_read=len(rows),
        digest="",
        corrections=corrections,
    )


def certain(rows: pd.DataFrame, said: dict[int, str] | None = None, **fields: object) -> Evidence:
    """Evidence of a model that is sure of every row's label, but of rows `said`, of which it is sure of another."""
    corpus = corpus_of(rows, **fields)
    answers = corpus.label_ids()
    for row, intent in (said or {}).items():
        answers[row] = corpus.intents.index(intent)
    return evidence(corpus, np.eye(len(corpus.intents))[answers] * 0.9 + 0.1 / len(corpus.intents))


def of_kind(findings: object, kind: str) -> Finding:
    (found,) = (finding for finding in findings if finding.kind == kind)
    return found


CLEAN = [(text, intent) for intent in INTENTS for text in utterances(intent, ROWS_EACH)]


@pytest.fixture(scope="module")
def planted() -> tuple[pd.DataFrame, dict[int, str]]:
    """A corpus with wrong labels in 3 % of the rows of two intents, and the right label of each, by row."""
    generator = random.Random(1)
    rows = table(CLEAN)
    right: dict[int, str] = {}
    for intent in ("red", "teal"):
        places = rows.index[rows["label"] == intent].tolist()
        for place in generator.sample(places, round(0.03 * ROWS_EACH)):
            right[place] = intent
    for place, intent in right.items():
        rows.loc[place, "label"] = generator.choice([other for other in INTENTS if other != intent])
    return rows, right


def test_planted_label_errors_are_found_with_their_intent_and_hardly_any_others(
    planted: tuple[pd.DataFrame, dict[int, str]],
) -> None:
    rows, right = planted
    assert len(right) == 8
    found = of_kind(examination.diagnose(corpus_of(rows)), confusions.LABEL_ERRORS)
    doubted = dict(zip(found.rows["line"] - 1, found.rows["suggested"], strict=True))
    hits = {row for row in right if doubted.get(row) == right[row]}
    assert len(hits) / len(right) >= 0.9  # recall, the suggestion being right
    assert len(hits) / len(doubted) >= 0.9  # precision
    assert found.rows["confidence"].between(0.2, 1).all()
    # Every one of them costs an error where it is tested on, which is a fifth of the time.
    assert found.estimate == pytest.approx(len(right) / 5, rel=0.4)


def test_a_clean_corpus_has_next_to_no_doubtful_label() -> None:
    found = examination.diagnose(corpus_of(table(CLEAN)))
    doubtful = [finding for finding in found if finding.kind == confusions.LABEL_ERRORS]
    assert sum(len(finding.rows) for finding in doubtful) <= 0.005 * len(CLEAN)
    assert not [finding for finding in found if finding.kind == confusions.CONFUSABLE]


def test_a_label_is_doubted_from_twenty_to_one_on_and_never_without_evidence() -> None:
    probabilities = np.array(
        [[0.04, 0.8, 0.16], [0.05, 0.8, 0.15], [0.0, 0.9, 0.1], [0.0, 0.0, 0.0], [0.9, 0.05, 0.05]]
    )
    doubted = confusions.doubted(probabilities, np.zeros(5, dtype=int))
    assert doubted.tolist() == [True, False, False, False, False]


def test_merging_two_intents_mends_what_only_they_dispute() -> None:
    """Worked by hand; all rows are of intent 0."""
    probabilities = np.array(
        [
            [0.3, 0.4, 0.3],  # 1 wins; with 1: 0.7 against 0.3; with 2: 0.6 against 0.4
            [0.2, 0.5, 0.3],  # 1 wins; with 1: 0.7 against 0.3; with 2: 0.5 against 0.5, which is no win
            [0.6, 0.3, 0.1],  # right as it is
        ]
    )
    removed = confusions.removed_by_merging(probabilities, np.array([0, 0, 0]))
    assert removed.tolist() == [[False, True, True], [False, True, False], [False, False, False]]


def test_two_intents_of_the_same_words_are_the_first_pair_and_merging_them_is_what_helps_most() -> None:
    texts = utterances("red", 240)
    random.Random(0).shuffle(texts)
    pairs = [(text, "scarlet" if i % 2 else "crimson") for i, text in enumerate(texts)]
    rows = table([*pairs, *((text, i) for i in INTENTS[1:] for text in utterances(i, 60))])
    found = examination.diagnose(corpus_of(rows))
    assert found[0].kind == confusions.CONFUSABLE
    (pair,) = found[0].table.itertuples()
    assert (pair.first, pair.second, pair.rows) == ("crimson", "scarlet", 240)
    assert pair.first_as_second > 20
    assert pair.second_as_first > 20
    # Told apart by chance: half of 240 rows are wrong, and a fifth of those are test rows.
    assert found[0].estimate == pytest.approx(240 / 2 / 5, rel=0.25)
    assert set(found[0].rows["label"]) == {"crimson", "scarlet"}


def test_intents_that_are_confused_in_one_direction_only_are_no_pair() -> None:
    rows = table([(f"{intent}{i}", intent) for intent in "ab" for i in range(50)])
    one_way = certain(rows, dict.fromkeys(range(20), "b"))
    assert confusions.confusable_pairs(one_way).empty
    both = certain(rows, dict.fromkeys(range(20), "b") | {50: "a"})
    (pair,) = confusions.confusable_pairs(both).itertuples()
    assert (pair.first_as_second, pair.second_as_first, pair.removed) == (20, 1, 21)


def test_intents_that_are_confused_no_more_than_any_others_are_no_pair() -> None:
    rows = table([(f"{intent}{i}", intent) for intent in "abcd" for i in range(60)])
    everywhere = {i: "abcd"[(i // 60 + 1 + i % 3) % 4] for i in range(240) if i % 60 < 30}
    assert confusions.confusable_pairs(certain(rows, everywhere)).empty  # 20 a pair
    one_pair = {i: said for i, said in everywhere.items() if {"abcd"[i // 60], said} == {"a", "b"}}
    assert len(one_pair) == 20
    assert len(confusions.confusable_pairs(certain(rows, one_pair))) == 1


def test_rare_intents_are_named_where_they_do_worse_than_the_rest() -> None:
    pairs = [(f"{intent}{i}", intent) for intent in "ab" for i in range(100)]
    pairs += [(f"{intent}{i}", intent) for intent in ("poor", "fine") for i in range(20)]
    rows = table(pairs)
    wrong = dict.fromkeys(range(200, 210), "a")
    found = of_kind(confusions.findings(certain(rows, wrong)), confusions.RARE)
    assert found.table[["intent", "rows", "train", "wrong"]].values.tolist() == [["poor", 20, 16, 10]]
    assert found.rows["text"].tolist() == [f"poor{i}" for i in range(10)]
    # 10 of its 20 rows are wrong, where 10 of all 240 are: 20 * 10 / 240 were to be expected; a fifth is tested on.
    assert found.estimate == pytest.approx((10 - 20 * 10 / 240) / 5)


def repeated() -> pd.DataFrame:
    """Two intents of unlike texts, then one repeat of each kind; places are row numbers, from 20 on."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    generator = random.Random(3)
    texts = ["".join(generator.choices(letters, k=20)) for _ in range(20)]
    pairs = [(text, "x" if i < 10 else "y") for i, text in enumerate(texts)]
    rows = table(pairs, ["train"] * 20)
    added = [
        (texts[0], "y", "train"),  # 20: the same text under another intent
        (f"{texts[1].upper()}!", "y", "train"),  # 21: the same but for case and punctuation
        (f"{texts[2]}.", "x", "test"),  # 22: a test row that repeats a training row
        (texts[3], "x", "train"),  # 23: a row twice, for nothing
        (f"{texts[4]}q", "x", "train"),  # 24: a near-duplicate of the same intent
        (f"{texts[11]}q", "x", "train"),  # 25: a near-duplicate under another intent
        (f"{texts[12]}q", "y", "test"),  # 26: a near-duplicate across parts
    ]
    more = pd.DataFrame(added, columns=["text", "label", "part"])
    more = more.assign(dataset="d", line=range(21, 28))
    return pd.concat([rows, more], ignore_index=True)


def test_each_kind_of_repeat_is_found_once_with_its_rows() -> None:
    known = certain(repeated(), {25: "y"})
    found = {finding.kind: finding for finding in repeats.findings(known)}
    lines = {kind: sorted(finding.rows["line"] - 1) for kind, finding in found.items()}
    assert lines == {
        repeats.CONFLICTS: [0, 1, 20, 21],
        repeats.LEAKS: [22],
        repeats.DUPLICATES: [23],
        repeats.NEAR_CONFLICTS: [25],
        repeats.NEAR_LEAKS: [26],
        repeats.NEAR_DUPLICATES: [24],
    }
    assert "2 utterances stand under several intents, 1 of them to the letter" in found["conflicts"].headline
    assert "1 of 2 test rows repeat a training row" in found["leaks"].headline
    assert found["leaks"].rows["reason"].tolist() == ["repeats d line 3, a training row"]
    assert found["duplicates"].rows["reason"].tolist() == ["repeats d line 4"]


def test_repeats_are_estimated_by_the_errors_that_they_cause_or_hide() -> None:
    known = certain(repeated(), {20: "x", 21: "x", 25: "y"})
    share, error_rate = 2 / 27, 3 / 27
    estimates = {finding.kind: finding.estimate for finding in repeats.findings(known)}
    assert estimates == pytest.approx(
        {
            repeats.CONFLICTS: 2 * share,  # one of each two rows, which the model gets wrong
            repeats.LEAKS: 1 * error_rate,  # an unseen row is wrong so often
            repeats.DUPLICATES: 0,
            repeats.NEAR_CONFLICTS: 1 * share,  # row 25, which the model gets wrong
            repeats.NEAR_LEAKS: 1 * error_rate,
            repeats.NEAR_DUPLICATES: 0,
        }
    )


@pytest.mark.parametrize("said", [{}, {20: "x"}, dict.fromkeys(range(27), "x")])
def test_no_finding_is_said_to_cost_more_than_the_baseline_gets_wrong(said: dict[int, str]) -> None:
    """As where c++ and c# were one utterance: forty conflicts, about 16 errors, of a baseline that made none."""
    known = certain(repeated(), said)
    tested = (known.rows["part"] == "test").sum()
    found = examination.ranked(known)
    assert {repeats.CONFLICTS, repeats.LEAKS} <= {finding.kind for finding in found}
    assert max(finding.estimate for finding in found) <= known.error_rate * tested + 1e-9


def test_the_suggestion_for_a_conflict_is_what_most_of_its_rows_say_then_what_the_model_says() -> None:
    pairs = [("hi", "a"), ("hi!", "b"), ("Hi", "b"), ("lo", "a"), ("lo!", "b"), ("p", "a"), ("q", "b")]
    known = certain(table(pairs, ["train"] * 7), {1: "a", 2: "a", 3: "a", 4: "a"})
    found = of_kind(repeats.findings(known), repeats.CONFLICTS)
    suggested = dict(zip(found.rows["text"], found.rows["suggested"], strict=True))
    assert suggested == {"hi": "b", "hi!": "b", "Hi": "b", "lo": "a", "lo!": "a"}


def test_what_a_person_kept_is_suggested_for_the_rest_of_its_conflict_until_all_is_decided() -> None:
    pairs = [("hi", "a"), ("hi!", "b"), ("Hi", "b"), ("p", "a"), ("q", "b")]
    kept = Correction("d", "hi", "a", "", "keep", "", 2)
    known = certain(table(pairs, ["train"] * 5), corrections=(kept,))
    found = of_kind(repeats.findings(known), repeats.CONFLICTS)
    assert found.rows[["text", "suggested"]].values.tolist() == [["hi!", "a"], ["Hi", "a"]]
    others = [dataclasses.replace(kept, text=text, label="b") for text in ("hi!", "Hi")]
    decided = certain(table(pairs, ["train"] * 5), corrections=(kept, *others))
    assert not [found for found in repeats.findings(decided) if found.kind == repeats.CONFLICTS]


def test_dropping_a_copy_decides_nothing_of_the_one_that_stays() -> None:
    dropped = Correction("d", "hi", "a", "9", "drop", "", 2)
    known = certain(table([("hi", "a"), ("lo", "b")], ["train"] * 2), corrections=(dropped,))
    assert not known.is_reviewed_B.any()


def test_what_a_person_has_decided_is_not_asked_again(
    planted: tuple[pd.DataFrame, dict[int, str]],
) -> None:
    rows, right = planted
    first, *_ = right
    kept = Correction("d", rows.at[first, "text"], rows.at[first, "label"], "", "keep", "", 2)
    before, after = (
        of_kind(examination.diagnose(corpus_of(rows, decided)), confusions.LABEL_ERRORS)
        for decided in ((), (kept,))
    )
    assert set(before.rows["line"]) - set(after.rows["line"]) == {first + 1}
    relabelled = dataclasses.replace(kept, label="was", action="relabel", new_label=rows.at[first, "label"])
    known = certain(rows, corrections=(relabelled,))
    assert np.flatnonzero(known.is_reviewed_B).tolist() == [first]


def test_utterances_that_can_not_be_spelled_are_ranked_by_how_much_of_them_is_lost(
    tiny_bert: Path,
) -> None:
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_bert)
    texts = ["你好呀", "你好呢", "呢呢", "早上好", "几点钟"]  # 呢 is not in the vocabulary
    known = certain(
        table(
            [(text, "a" if i < 3 else "b") for i, text in enumerate(texts)], ["train", "test"] * 2 + ["test"]
        )
    )
    (found,) = spelling.findings(known, tokenizer)
    assert found.rows["text"].tolist() == ["呢呢", "你好呢"]
    assert found.rows["reason"].tolist() == [
        "100% of its tokens are unknown",
        "33% of its tokens are unknown",
    ]
    assert found.headline == "2 of 5 utterances have unknown tokens, 1 of them half or more"
    assert found.estimate == 0  # 呢呢 is a training row
    parts = known.rows.assign(part=["train", "train", "test", "test", "test"])
    (found,) = spelling.findings(dataclasses.replace(known, rows=parts), tokenizer)
    assert found.estimate == 1  # and now a test row, of a model that is right otherwise
    assert found.advice.startswith("Choose an encoder of this language")
    parts = known.rows.assign(part=["train", "test", "test", "test", "train"])
    (found,) = spelling.findings(dataclasses.replace(known, rows=parts), tokenizer)
    assert found.advice == "Add training rows that have these characters: so far none has."


def test_findings_are_ranked_by_their_estimate_and_described_with_examples(
    planted: tuple[pd.DataFrame, dict[int, str]],
) -> None:
    rows, _ = planted
    doubled = pd.concat([rows, rows.head(30).assign(line=range(1001, 1031), part="train")], ignore_index=True)
    known = examination.examined(corpus_of(doubled))
    found = examination.ranked(known)
    estimates = [finding.estimate for finding in found]
    assert estimates == sorted(estimates, reverse=True)
    assert len(found) >= 3
    for finding in found:
        assert list(finding.rows.columns) == COLUMNS
        assert finding.advice.endswith(".")
    lines = examination.described(found, known)
    assert lines[1].startswith("1. about ")
    assert sum(line.startswith("   - d line ") for line in lines) >= len(found)
    assert examination.described((), known) == ["findings: none"]


def test_progress_is_told_before_each_part_of_the_slow_work() -> None:
    said: list[str] = []
    examination.diagnose(corpus_of(table(CLEAN[:200])), say=said.append)
    assert [line[-6:] for line in said] == [f"{i} of 5" for i in range(1, 6)]


def test_a_corpus_that_arrives_split_is_diagnosed_with_the_lines_of_its_files(
    tmp_path: Path, write_split: Callable[..., Corpus]
) -> None:
    corpus = write_split(tmp_path)
    found = of_kind(examination.diagnose(corpus), repeats.LEAKS)
    assert found.rows[["text", "dataset", "line", "part"]].values.tolist() == [
        ["um red1!", "mine", 2, "test"]
    ]
    assert found.rows["reason"].tolist() == ["repeats mine line 3, a training row"]


@pytest.fixture
def write_split() -> Callable[..., Corpus]:
    """Loads a corpus that arrives split, whose second test row repeats its third training row."""
    import json

    from intents.data import corpus as corpora
    from intents.parameters.data import DataConfig

    parts = {
        "train": [*((f"um {i}{n}", i) for i in ("blue", "red") for n in (5, 6)), ("um blue9", "blue")],
        "val": [("um blue7", "blue"), ("um red7", "red")],
        "test": [("um blue8", "blue"), ("um red1!", "red")],
    }
    parts["train"][2] = ("um red1", "red")

    def load(folder: Path) -> Corpus:
        (folder / "mine").mkdir()
        for part, rows in parts.items():
            lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
            (folder / "mine" / f"{part}.jsonl").write_text("\n".join(lines))
        return corpora.load(DataConfig(data=str(folder / "mine"), workspace=str(folder / "w")))

    return load
