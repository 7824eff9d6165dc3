"""A few hundred damaged files of every form; `python -m bench.data.fuzz_readers` damages tens of thousands."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.data import fuzz_readers
from bench.data.fuzz_readers import MEMORY_BYTES, SEEDS, damaged, fuzz, outcome_of

FILES = 36 * len(SEEDS)


def test_the_files_that_are_damaged_are_good_before(tmp_path: Path) -> None:
    for number, (form, corpus) in enumerate(SEEDS):
        assert outcome_of(corpus, tmp_path / str(number)) == "corpus", form


def test_a_damaged_file_gives_a_corpus_or_an_error_that_the_user_can_mend(tmp_path: Path) -> None:
    counts, offences = fuzz(FILES, 1, keep=tmp_path)
    assert offences == []
    assert counts.total() == FILES
    outcomes = {outcome.split(": ")[1] for outcome in counts}
    assert outcomes == {"corpus", "refused"}


def test_the_same_number_and_seed_damage_the_same_way_and_others_do_not() -> None:
    files = [damaged(number, 1)[1].files for number in range(40)]
    assert files == [damaged(number, 1)[1].files for number in range(40)]
    assert files != [damaged(number, 2)[1].files for number in range(40)]


@pytest.mark.parametrize(
    ("load", "outcome"),
    [
        (lambda _: 1 / 0, "raised"),
        (lambda _: bytearray(2 * MEMORY_BYTES), "raised"),
        (lambda _: os._exit(9), "died"),
        (lambda _: time.sleep(60), "hung"),
    ],
    ids=["raises", "takes too much memory", "dies", "hangs"],
)
def test_the_fuzzer_itself_sees_a_reader_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: Callable[[object], object], outcome: str
) -> None:
    monkeypatch.setattr(fuzz_readers.corpora, "load", load)
    monkeypatch.setattr(fuzz_readers, "SECONDS_A_FILE", 1.0)
    counts, offences = fuzz(1, 1, keep=tmp_path)
    assert [kind.split(": ")[1] for kind in counts] == [outcome]
    assert len(offences) == 1
    assert (tmp_path / "1_0" / "a.jsonl").read_bytes() == damaged(0, 1)[1].files["a.jsonl"]
