"""The bundled sample: large enough, of several kinds, and free of copies."""

import difflib
import itertools
import json
from collections import Counter
from pathlib import Path

import pytest

from intents.config import SAMPLE_CORPUS_DIR, DataConfig
from intents.data import corpus as corpora
from intents.data.splitting import normal_form

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / SAMPLE_CORPUS_DIR


def rows(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (SAMPLE / name).read_text(encoding="utf-8").splitlines()]


IN_SCOPE, NOISE = rows("chat_zh.jsonl"), rows("noise.jsonl")


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


def test_the_sample_loads_whole_with_its_kinds_and_without_findings(tmp_path: Path) -> None:
    blacklist = str(ROOT / "assets" / "blacklist.txt")
    corpus = corpora.load(DataConfig(data=str(SAMPLE), blacklist=blacklist, workspace=str(tmp_path)))
    assert Counter(corpus.rows["label"]) == Counter(row["label"] for row in IN_SCOPE)
    assert Counter(corpus.out_of_scope["kind"]) == Counter(row["kind"] for row in NOISE)
    assert corpus.ledger.empty
    assert corpus.notes == ()
