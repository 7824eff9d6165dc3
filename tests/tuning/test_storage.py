"""Where a study is kept: what a killed process leaves in a journal, and what a storage refuses."""

import contextlib
import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from intents.errors import TuningError
from intents.tuning import samplers, storage

WORKSPACE_STUDY = "kept"
IDENTITY = {"family": "textcnn", "rows": "0123"}


def journal_in(workspace: Path) -> Path:
    return workspace / "studies" / f"{WORKSPACE_STUDY}.jsonl"


def opened(workspace: Path) -> optuna.storages.BaseStorage:
    return storage.opened("", study=WORKSPACE_STUDY, workspace=workspace)


def begun(workspace: Path, **changes: str) -> optuna.Study:
    return storage.begun(
        opened(workspace),
        WORKSPACE_STUDY,
        is_maximised=True,
        identity=IDENTITY | changes,
        first=[{"rate": 0.5}],
    )


def test_a_new_study_tries_the_first_values_first(tmp_path: Path):
    study = begun(tmp_path)
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    assert study.ask().suggest_float("rate", 0.0, 1.0) == 0.5


def test_a_study_of_that_name_goes_on_and_is_not_begun_again(tmp_path: Path):
    begun(tmp_path)
    again = begun(tmp_path)
    assert [trial.state for trial in again.trials] == [TrialState.WAITING]
    assert [study.study_name for study in opened(tmp_path).get_all_studies()] == [WORKSPACE_STUDY]


def test_a_study_begun_with_other_rows_is_refused_and_both_are_named(tmp_path: Path):
    begun(tmp_path)
    with pytest.raises(TuningError, match=r"study=kept: .*rows '0123' \(here '4567'\)"):
        begun(tmp_path, rows="4567")


def test_a_study_whose_creator_died_before_it_said_what_it_is_can_be_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    optuna.create_study(storage=opened(tmp_path), study_name=WORKSPACE_STUDY, direction="maximize")
    monkeypatch.setattr(storage, "IDENTITY_SECONDS", 0.2)
    assert begun(tmp_path).user_attrs[storage.IDENTITY] == IDENTITY
    with pytest.raises(TuningError):
        begun(tmp_path, family="bert")


@pytest.mark.parametrize("kept_bytes", [1, 20, -1])
def test_half_a_record_that_a_killed_process_left_is_dropped_and_nothing_else(
    tmp_path: Path, kept_bytes: int
):
    study = begun(tmp_path)
    study.tell(study.ask(), 0.75)
    journal = journal_in(tmp_path)
    whole = journal.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    journal.write_bytes(whole + last[:kept_bytes])
    again = begun(tmp_path)
    again.set_user_attr("said", "something")
    assert [trial.value for trial in again.trials] == [0.75]
    lines = journal.read_bytes()
    assert lines.startswith(whole)
    assert all(json.loads(line) for line in lines.splitlines())
    assert optuna.load_study(study_name=WORKSPACE_STUDY, storage=opened(tmp_path)).user_attrs["said"]


def test_half_a_record_would_break_a_journal_without_the_repair(tmp_path: Path):
    begun(tmp_path)
    with journal_in(tmp_path).open("ab") as file:
        file.write(b'{"op_code":')
    plain = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(journal_in(tmp_path)))
    )
    study = optuna.load_study(study_name=WORKSPACE_STUDY, storage=plain)
    with contextlib.suppress(ValueError):  # the record that the half one spoils
        study.set_user_attr("said", "something")
    with pytest.raises(ValueError, match="delimiter"):
        study.set_user_attr("said", "something else")


def _hold(journal: str) -> None:
    storage.JournalLock(Path(journal)).acquire()
    Path(f"{journal}.held").touch()
    time.sleep(60)


def test_a_lock_whose_holder_was_killed_is_free_at_once(tmp_path: Path):
    begun(tmp_path)
    journal = journal_in(tmp_path)
    holder = multiprocessing.get_context("spawn").Process(target=_hold, args=(str(journal),))
    holder.start()
    while not Path(f"{journal}.held").exists():
        assert holder.is_alive()
        time.sleep(0.05)
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    began = time.monotonic()
    begun(tmp_path).set_user_attr("said", "something")
    assert time.monotonic() - began < 5


def test_a_lock_is_one_threads_at_a_time_too(tmp_path: Path):
    begun(tmp_path)
    lock = storage.JournalLock(journal_in(tmp_path))
    lock.acquire()
    assert not lock._thread_lock.acquire(timeout=0.1)
    lock.release()
    lock.acquire()
    lock.release()


def test_a_journal_that_can_not_be_made_is_named(tmp_path: Path):
    (tmp_path / "studies").write_text("a file is in the way")
    with pytest.raises(TuningError, match=r"kept\.jsonl: the study can't be read or written"):
        opened(tmp_path)


def test_a_journal_that_is_no_journal_is_refused(tmp_path: Path):
    journal_in(tmp_path).parent.mkdir()
    journal_in(tmp_path).write_text("not json\nat all\n")
    with pytest.raises(TuningError, match="can't be read or written"):
        opened(tmp_path)


@pytest.mark.parametrize(
    "url", ["postgresql://me:secret@host/db", "postgresql://host/db?user=me&password=secret"]
)
def test_a_password_in_the_url_is_refused_and_not_repeated(url: str, tmp_path: Path):
    with pytest.raises(TuningError, match="PGPASSWORD") as refused:
        storage.opened(url, study="s", workspace=tmp_path)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["postgresql://127.0.0.1:1/nothing", "nonsense://host/db"])
def test_a_database_that_is_not_there_is_a_clear_error(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(storage, "SCHEMA_TRIES", 1)
    with pytest.raises(TuningError, match=r"can't be used: .*Check that the database is there"):
        storage.opened(url, study="s", workspace=tmp_path)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgresql://host/db", "postgresql+psycopg://host/db"),
        ("postgres://host/db", "postgresql+psycopg://host/db"),
        ("postgresql+psycopg2://host/db", "postgresql+psycopg2://host/db"),
        ("sqlite:///file.db", "sqlite:///file.db"),
    ],
)
def test_postgresql_gets_the_driver_that_the_project_installs(given: str, used: str):
    assert storage.with_driver(given) == used


def test_samplers_of_one_seed_draw_alike_and_of_two_seeds_differently():
    def drawn(kind: str, seed: int) -> list[float]:
        study = optuna.create_study(sampler=samplers.sampler(kind, seed))
        return [study.ask().suggest_float("x", 0.0, 1.0) for _ in range(3)]

    for kind in ("tpe", "gp", "random"):
        assert drawn(kind, 1) == drawn(kind, 1) != drawn(kind, 2)


@pytest.mark.parametrize("kind", ["halving", "median", "hyperband"])
def test_a_pruner_stops_a_trial_that_is_far_worse(kind: str):
    study = optuna.create_study(direction="maximize", pruner=samplers.pruner(kind, epochs=10), study_name="s")
    for _ in range(20):
        good = study.ask()
        for epoch in range(1, 11):
            good.report(0.8, epoch)
            good.should_prune()  # halving remembers what it compared
        study.tell(good, 0.8)
    bad = study.ask()
    stopped = []
    for epoch in range(1, 11):
        bad.report(0.1, epoch)
        stopped.append(bad.should_prune())
    assert any(stopped)
    assert not any(stopped[:2]), "the first quarter is spared"


def test_no_pruner_stops_nothing():
    study = optuna.create_study(direction="maximize", pruner=samplers.pruner("none", epochs=10))
    trial = study.ask()
    trial.report(-1e9, 5)
    assert not trial.should_prune()
