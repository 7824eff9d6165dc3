"""The bundled samples: large enough, of several kinds or languages, and free of copies."""

import difflib
import itertools
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from intents.data import corpus as corpora
from intents.data.duplicates import representatives
from intents.data.utterances import normal_form
from intents.parameters.data import SAMPLE_CORPUS_DIR, DataConfig

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / SAMPLE_CORPUS_DIR


def rows(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (SAMPLE / name).read_text(encoding="utf-8").splitlines()]


IN_SCOPE, NOISE = rows("chat_zh.jsonl"), rows("noise.jsonl")

BILINGUAL = ROOT / "assets" / "samples" / "assistant_bilingual"
BILINGUAL_INTENTS, BILINGUAL_NOISE = (
    json.loads((BILINGUAL / name).read_text(encoding="utf-8")) for name in ("data.json", "noise.json")
)
BILINGUAL_ROWS = [text for texts in BILINGUAL_INTENTS.values() for text in texts]


def test_there_are_at_least_24_intents_of_at_least_40_utterances() -> None:
    counts = Counter(row["label"] for row in IN_SCOPE)
    assert len(counts) >= 24
    assert min(counts.values()) >= 40


def test_there_are_at_least_300_out_of_scope_utterances_of_several_kinds() -> None:
    kinds = Counter(row["kind"] for row in NOISE)
    assert kinds.total() >= 300
    assert len(kinds) >= 3
    assert {"near", "far"} <= kinds.keys()
    assert min(kinds.values()) >= 20


def test_no_utterance_stands_twice_whichever_the_file_or_the_intent() -> None:
    forms = Counter(normal_form(row["text"]) for row in IN_SCOPE + NOISE)
    assert [form for form, count in forms.items() if count > 1] == []


def near_copies(texts: list[str]) -> list[tuple[str, str]]:
    """Pairs whose difflib ratio is above 0.8; the quick ratios bound it from above."""
    matcher = difflib.SequenceMatcher(autojunk=False)
    found = []
    for one, other in itertools.combinations(texts, 2):
        matcher.set_seqs(one, other)
        if min(matcher.real_quick_ratio(), matcher.quick_ratio(), matcher.ratio()) > 0.8:
            found.append((one, other))
    return found


def test_near_copies_are_found_where_there_are_some() -> None:
    assert near_copies(["明天几点见面呢", "明天几点见面呀", "再说"]) == [("明天几点见面呢", "明天几点见面呀")]


@pytest.mark.parametrize("intent", sorted({row["label"] for row in IN_SCOPE}))
def test_no_two_utterances_of_an_intent_are_near_copies(intent: str) -> None:
    assert near_copies([row["text"] for row in IN_SCOPE if row["label"] == intent]) == []


@pytest.mark.parametrize("kind", sorted({row["kind"] for row in NOISE}))
def test_no_two_out_of_scope_utterances_of_a_kind_are_near_copies(kind: str) -> None:
    assert near_copies([row["text"] for row in NOISE if row["kind"] == kind]) == []


def test_the_sample_loads_whole_with_its_kinds_and_no_finding(tmp_path: Path) -> None:
    blacklist = str(ROOT / "assets" / "blacklist.txt")
    corpus = corpora.load(DataConfig(data=str(SAMPLE), blacklist=blacklist, workspace=str(tmp_path)))
    assert Counter(corpus.rows["label"]) == Counter(row["label"] for row in IN_SCOPE)
    assert Counter(corpus.out_of_scope["kind"]) == Counter(row["kind"] for row in NOISE)
    assert corpus.ledger.empty
    assert not corpus.notes


def test_the_bilingual_sample_has_12_intents_of_48_utterances_and_320_out_of_scope() -> None:
    assert {intent: len(texts) for intent, texts in BILINGUAL_INTENTS.items()} == dict.fromkeys(
        BILINGUAL_INTENTS, 48
    )
    assert (len(BILINGUAL_INTENTS), len(BILINGUAL_NOISE)) == (12, 320)


def has_chinese(text: str) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in text)


def is_english(text: str) -> bool:
    return bool(re.search("[A-Za-z]{2}", text)) and not has_chinese(text)


@pytest.mark.parametrize("group", [*BILINGUAL_INTENTS, "out-of-scope"])
def test_a_quarter_of_every_group_or_more_is_in_each_language(group: str) -> None:
    texts = BILINGUAL_INTENTS.get(group, BILINGUAL_NOISE)
    assert sum(map(has_chinese, texts)) >= len(texts) / 4
    assert sum(map(is_english, texts)) >= len(texts) / 4


def test_no_utterance_of_the_bilingual_sample_stands_twice_in_scope_or_out() -> None:
    forms = Counter(map(normal_form, BILINGUAL_ROWS + BILINGUAL_NOISE))
    assert len(forms) == 12 * 48 + 320
    assert "" not in forms


@pytest.mark.parametrize("group", [*BILINGUAL_INTENTS, "out-of-scope"])
def test_no_two_utterances_of_a_group_of_the_bilingual_sample_are_near_copies(group: str) -> None:
    assert near_copies(BILINGUAL_INTENTS.get(group, BILINGUAL_NOISE)) == []


def test_no_two_utterances_of_the_bilingual_sample_are_near_duplicates_across_groups() -> None:
    texts = BILINGUAL_ROWS + BILINGUAL_NOISE
    assert len(set(representatives(texts))) == len(texts)


def test_the_bilingual_sample_loads_whole_and_no_utterance_leaks_or_repeats(tmp_path: Path) -> None:
    corpus = corpora.load(DataConfig(data=str(BILINGUAL), workspace=str(tmp_path)))
    assert corpus.name == "assistant_bilingual"
    assert corpus.rows["text"].tolist() == BILINGUAL_ROWS
    assert corpus.out_of_scope["text"].tolist() == BILINGUAL_NOISE
    assert corpus.intents == tuple(sorted(BILINGUAL_INTENTS))
    assert [note for note in corpus.notes if "repeat" in note or "more than one intent" in note] == []
    assert all(len(corpus.out_of_scope_part(part)) > 0 for part in ("train", "validation", "test"))
