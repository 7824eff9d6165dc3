"""The published figures of the real corpora, row for row (DESIGN.md, section 3)."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from intents.data import cleaning
from intents.data import corpus as corpora
from intents.data.corpus import Corpus
from intents.data.utterances import normal_form
from intents.parameters.data import DataConfig

BLACKLIST = Path(__file__).parents[2] / "assets" / "blacklist.txt"


@pytest.fixture(scope="module")
def chinese(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The two raw corpora, split by intent, without a validation part."""
    files = [
        shared_data / "telemarketing_intent_cn" / "telemarketing_intent_cn.jsonl",
        shared_data / "crosswoz" / "crosswoz.jsonl",
    ]
    config = DataConfig(
        data=",".join(map(str, files)),
        blacklist=str(BLACKLIST),
        split="stratified",
        workspace=str(tmp_path_factory.mktemp("workspace")),
    )
    return corpora.load(config, selects_on_test=True)


@pytest.fixture(scope="module")
def clinc150(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    workspace = str(tmp_path_factory.mktemp("workspace"))
    return corpora.load(DataConfig(data=str(shared_data / "clinc150"), workspace=workspace))


def test_cleaning_leaves_the_published_numbers_of_rows(chinese: Corpus) -> None:
    dropped = chinese.ledger["reason"].value_counts()
    assert chinese.rows_read == 20_279
    assert chinese.rows_read - dropped[cleaning.BLACKLISTED] == 19_287
    assert chinese.rows_read - dropped[cleaning.BLACKLISTED] - dropped[cleaning.RARE] == 19_149
    assert len(chinese.intents) == 73
    assert len(chinese.rows) == 10_140
    assert len(chinese.rows) + len(chinese.ledger) == 20_279


def test_the_blacklist_of_the_source_corpora_is_applied_to_them_unless_another_is_named(
    chinese: Corpus, shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(BLACKLIST.parents[1])
    names = ("telemarketing_intent_cn", "crosswoz")
    data = ",".join(str(shared_data / name / f"{name}.jsonl") for name in names)
    config = DataConfig(data=data, split="stratified", workspace=str(tmp_path))
    corpus = corpora.load(config, selects_on_test=True)
    assert corpus.digest == chinese.digest
    assert corpus.notes[0].startswith("set aside, 992 rows of ")
    assert "for crosswoz, telemarketing_intent_cn alone" in corpus.notes[0]
    assert corpus.notes[1].startswith("set aside, 138 rows of ")


def test_the_first_cleaned_rows_are_the_published_ones(chinese: Corpus) -> None:
    assert chinese.rows[["text", "label"]].head().values.tolist() == [
        ["晚点马上还", "会按时处理"],
        ["都不要", "否定(不需要)"],
        ["到底多少钱", "疑问(数值)"],
        ["下个月再还", "答时间"],
        ["还在嘛", "你还在吗"],
    ]


def test_the_stratified_split_has_the_published_rows(chinese: Corpus) -> None:
    label_ids = chinese.rows["label"].map(chinese.intents.index)
    train, test = train_test_split(
        np.arange(10_140), test_size=0.2, random_state=42, stratify=label_ids.to_numpy()
    )
    assert train[:5].tolist() == [3275, 8567, 7719, 4428, 4113]
    assert sorted(train) == chinese.part("train").index.tolist()
    assert sorted(test) == chinese.part("test").index.tolist()
    assert (len(train), len(test)) == (8_112, 2_028)


def test_rows_set_aside_for_their_intent_are_kept_as_out_of_scope(chinese: Corpus) -> None:
    # 20,279 - 19,287 blacklisted and 19,287 - 19,149 rare, less the two that a supported intent has as well.
    assert len(chinese.out_of_scope) == 992 + 138 - 2
    assert set(chinese.out_of_scope["kind"]) == {"near", "far"}
    in_scope = set(chinese.rows["text"].map(normal_form))
    set_aside = chinese.ledger[chinese.ledger["reason"].isin([cleaning.BLACKLISTED, cleaning.RARE])]
    is_repeated = set_aside["text"].map(normal_form).isin(in_scope)
    assert is_repeated.sum() == 2
    assert sorted(chinese.out_of_scope["text"]) == sorted(set_aside.loc[~is_repeated, "text"])
    (note,) = (note for note in chinese.notes if "out-of-scope" in note)
    assert note.startswith("2 of 1130 out-of-scope rows repeat an in-scope utterance")


def test_clinc150_arrives_split_and_its_leaks_are_counted(clinc150: Corpus) -> None:
    sizes = {part: len(clinc150.part(part)) for part in ("train", "validation", "test")}
    assert sizes == {"train": 15_000, "validation": 3_000, "test": 4_500}
    assert clinc150.rows_read == len(clinc150.rows) == 22_500
    assert len(clinc150.intents) == 150
    assert len(clinc150.out_of_scope) == 1_200
    leaks = [note.split(" repeat")[0] for note in clinc150.notes if "repeat a training row" in note]
    assert leaks == ["24 of 3000 validation rows", "33 of 4500 test rows"]
