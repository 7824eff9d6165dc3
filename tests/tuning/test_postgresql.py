"""One study on one PostgreSQL, by two machines at once: `make test-services`, which needs Debian's postgresql."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
from mlflow.tracking import MlflowClient
from optuna.trial import TrialState

from intents.errors import TuningError
from intents.tuning import storage, trials
from tests.conftest import start_command
from tests.tuning.test_tune import FIXED, LONG

pytestmark = pytest.mark.services
STUDY = "shared"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server of these tests' own, as a URL; skips where none is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = found[-1] if found else shutil.which("initdb")
    if not initdb:
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    programs = Path(initdb).parent
    folder = tmp_path_factory.mktemp("postgresql")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    as_user = []
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        as_user = ["runuser", "-u", "postgres", "--"]
        for parent in (folder, *folder.parents[:2]):
            parent.chmod(0o755)
        shutil.chown(folder, "postgres")
    data = folder / "data"
    run = lambda *words: subprocess.run([*as_user, *map(str, words)], check=True, capture_output=True)  # noqa: E731
    run(initdb, "-D", data, "-U", "tuner", "--auth=trust")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1"
    run(programs / "pg_ctl", "-D", data, "-l", folder / "log", "-w", "-o", options, "start")
    try:
        yield f"postgresql://tuner@127.0.0.1:{port}"
    finally:
        stop = [*as_user, programs / "pg_ctl", "-D", data, "-m", "immediate", "stop"]
        subprocess.run(stop, check=False, capture_output=True, timeout=60)


@pytest.fixture
def database(server: str, request: pytest.FixtureRequest) -> str:
    """The URL of an empty database."""
    import psycopg

    name = "".join(c if c.isalnum() else "_" for c in request.node.name).lower()[:60]
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return f"{server}/{name}"


@contextlib.contextmanager
def opened(database: str) -> Iterator[optuna.Study]:
    """The study as it is in the database; its connections are closed afterwards."""
    kept: Any = storage.opened(database, study=STUDY, workspace=Path("."))
    try:
        yield optuna.load_study(study_name=STUDY, storage=kept)
    finally:
        kept.remove_session()
        kept.engine.dispose()


@contextlib.contextmanager
def machines(
    count: int, database: str, tiny_corpus: Path, *, environment: dict[str, str], folder: Path, **flags: str
) -> Iterator[list[subprocess.Popen]]:
    """The same command on so many machines, started at once; each has a workspace of its own."""
    started = []
    for number in range(count):
        own = folder / f"machine{number}"
        own.mkdir()
        settings = {
            "data": str(tiny_corpus / "rows"),
            "blacklist": str(tiny_corpus / "blacklist.txt"),
            "workspace": str(own / "workspace"),
            "storage": database,
            "study": STUDY,
            "hyperparams": FIXED,
        }
        command = start_command("tune", settings | flags, environment=environment, cwd=own)
        started.append(command)
    try:
        yield started
    finally:
        for command in started:
            command.kill()


def test_two_machines_share_a_study_and_every_trial_runs_once(
    database: str, tiny_corpus: Path, tmp_path: Path, subprocess_environment: dict[str, str]
):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    environment = subprocess_environment | {"MLFLOW_TRACKING_URI": uri}
    with machines(
        2, database, tiny_corpus, environment=environment, folder=tmp_path, n_trials="10"
    ) as started:
        said = [machine.communicate(timeout=240) for machine in started]
    assert [machine.returncode for machine in started] == [0, 0], said
    with opened(database) as study:
        settled = trials.settled(study)
        surplus = [t for t in study.trials if t.user_attrs.get(trials.CUT_OFF) == trials.SURPLUS]
    assert len(settled) == 10
    assert TrialState.FAIL not in {trial.state for trial in settled}
    client = MlflowClient(uri)
    parents = client.search_runs(["0"], f"tags.study = '{STUDY}' and params.n_trials = '10'")
    assert len(parents) == 2
    by_parent = {
        parent.info.run_id: client.search_runs(["0"], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
        for parent in parents
    }
    nested = [run for found in by_parent.values() for run in found]
    counts = Counter(run.data.tags["trial"] for run in nested if "trial_state" in run.data.tags)
    assert counts == Counter({str(trial.number): 1 for trial in settled})
    assert all(by_parent.values()), "both machines trained"
    assert len(nested) == len(settled), surplus
    assert {run.info.status for run in (*parents, *nested)} == {"FINISHED"}


def test_what_a_machine_that_vanished_had_under_way_is_tried_by_another(
    database: str,
    tiny_corpus: Path,
    tmp_path: Path,
    subprocess_environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
):
    """Its processes are killed; that they were on this host is hidden, so that only the heartbeat can tell."""
    monkeypatch.setattr(storage, "HEARTBEAT_SECONDS", 1)
    monkeypatch.setattr(storage, "GRACE_SECONDS", 2)
    environment = subprocess_environment | {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'mlflow.db'}"}
    with machines(
        1, database, tiny_corpus, environment=environment, folder=tmp_path, n_trials="2", hyperparams=LONG
    ) as (machine,):
        once_under_way(database)
        everything = [
            machine_process := psutil.Process(machine.pid),
            *machine_process.children(recursive=True),
        ]
        for process in everything:
            process.send_signal(signal.SIGKILL)
        machine.communicate(timeout=30)
    tried: list[dict[str, Any]] = []

    def objective(trial: optuna.Trial) -> float:
        frozen = trial.study.trials[trial.number]
        tried.append(dict(frozen.system_attrs.get("fixed_params", {})))
        return 0.5

    with opened(database) as study:
        (lost,) = trials.running(study)
        deadline = time.monotonic() + 60
        while not tried or tried[-1] != lost.params:
            assert time.monotonic() < deadline
            time.sleep(1)
            study.optimize(objective, n_trials=1)
        assert study.trials[lost.number].state == TrialState.FAIL
        assert lost.number not in {trial.number for trial in trials.settled(study)}


def once_under_way(database: str) -> None:
    """Returns when a trial of the study has trained an epoch."""
    deadline = time.monotonic() + 90
    while True:
        with contextlib.suppress(KeyError, TuningError), opened(database) as study:
            if any(trial.intermediate_values for trial in trials.running(study)):
                return
        assert time.monotonic() < deadline
        time.sleep(0.5)
