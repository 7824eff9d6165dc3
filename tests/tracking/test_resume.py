"""Going on with a run that was cut off: killed for real, and every reason not to."""

import dataclasses
import shlex
import signal
import time
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from intents.data import corpus as corpora
from intents.errors import ConfigError, ResumeError
from intents.parameters.training import train as declarations
from intents.system import lock
from intents.tracking import runs
from intents.tracking.tags import CORPUS_DIGEST_TAG, FAILURE_TAG, RESUMES_TAG
from intents.tracking.training import resume as resuming
from intents.tracking.training.resume import CHECKPOINTS
from intents.training import checkpoints
from tests.conftest import Logged, run_tracked, start_command

EPOCHS = 4
Settings = dict[str, str]


@pytest.fixture(scope="module")
def settings(tiny_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A training long enough to be cut off, with a workspace of its own."""
    workspace = tmp_path_factory.mktemp("interrupted")
    return tiny_settings | {"epochs": str(EPOCHS), "workspace": str(workspace), "register": ""}


@pytest.fixture(scope="module")
def kill(
    store: str,
    settings: Settings,
    subprocess_environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[], str]:
    """Starts a training, and kills it as soon as a checkpoint is complete; the run's id."""

    def killed() -> str:
        environment = subprocess_environment | {"MLFLOW_TRACKING_URI": store}
        folder = Path(settings["workspace"]) / "runs"
        before = set(folder.glob("*")) if folder.exists() else set()
        cwd = tmp_path_factory.mktemp("cwd")
        with start_command("train_bert", settings, environment=environment, cwd=cwd) as process:
            deadline = time.monotonic() + 60
            while not (
                marks := [
                    m
                    for m in folder.glob(f"*/{CHECKPOINTS}/*/*.json")
                    if m.name == checkpoints.MARK and not before & set(m.parents)
                ]
            ):
                assert process.poll() is None, process.stderr.read()
                assert time.monotonic() < deadline
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        return marks[0].parents[2].name

    return killed


@pytest.fixture(scope="module")
def cut_off(kill: Callable[[], str]) -> str:
    """A run that was killed, and that nobody has gone on with."""
    return kill()


def get(run_id: str) -> Run:
    return MlflowClient().get_run(run_id)


def test_a_killed_run_goes_on_in_a_new_one_that_holds_the_whole_history(
    in_store: str, settings: Settings, kill: Callable[[], str]
):
    killed = kill()
    assert get(killed).info.status == "RUNNING"
    done = checkpoints.last_complete(Path(settings["workspace"]) / "runs" / killed / CHECKPOINTS)
    assert done is not None
    assert 1 <= done[1].epoch < EPOCHS
    resumed = run_tracked(in_store, settings | {"resume": killed})
    # The next start found its process dead.
    assert get(killed).info.status == "KILLED"
    assert "died" in get(killed).data.tags[FAILURE_TAG]
    run = get(resumed.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags[RESUMES_TAG] == killed
    history = MlflowClient().get_metric_history(resumed.run_id, "val_f1_weighted")
    assert [metric.step for metric in history] == list(range(1, EPOCHS + 1))
    whole = run_tracked(in_store, settings)
    for name in ("test_accuracy", "test_f1_weighted", "val_loss"):
        assert run.data.metrics[name] == get(whole.run_id).data.metrics[name]
    assert not (Path(settings["workspace"]) / "runs" / killed).exists()


def test_its_parameters_need_not_be_repeated(in_store: str, settings: Settings, kill: Callable[[], str]):
    killed = kill()
    needed = {"resume": killed, "workspace": settings["workspace"]}
    resumed = get(run_tracked(in_store, needed).run_id).data.params
    assert resumed == get(killed).data.params | {"resume": killed}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochs": "9"}, "epochs=9: the run to go on from has epochs=4"),
        ({"resume": "0" * 32}, "no such run"),
        ({"workspace": "elsewhere"}, "workspace='elsewhere'"),
    ],
)
def test_what_cannot_be_gone_on_with_is_said_before_any_run_begins(
    in_store: str, settings: Settings, cut_off: str, changes: Settings, words: str
):
    before = len(MlflowClient().search_runs(["0"]))
    with pytest.raises(ResumeError, match=words):
        run_tracked(in_store, settings | {"resume": cut_off} | changes)
    assert len(MlflowClient().search_runs(["0"])) == before


def test_a_finished_run_has_nothing_to_go_on_with(in_store: str, settings: Settings, logged: Logged):
    with pytest.raises(ResumeError, match="finished"):
        run_tracked(in_store, settings | {"resume": logged.run_id})


@pytest.mark.usefixtures("in_store")
def test_a_run_of_the_other_family_is_refused(cut_off: str):
    config = declarations.train_config("textcnn", {"resume": cut_off})
    with pytest.raises(ResumeError, match="that run trained bert, this command trains textcnn"):
        resuming.restored(config)


def test_a_run_that_left_no_checkpoint_is_refused(in_store: str, settings: Settings):
    failed = MlflowClient().create_run("0", tags={"family": "bert"})
    MlflowClient().set_terminated(failed.info.run_id, "FAILED")
    for name, value in declarations.train_config("bert", settings).as_parameters().items():
        MlflowClient().log_param(failed.info.run_id, name, value)
    with pytest.raises(ResumeError, match="no complete checkpoint"):
        run_tracked(in_store, settings | {"resume": failed.info.run_id})


def test_a_folder_that_a_training_still_uses_is_refused_and_kept(
    in_store: str, settings: Settings, cut_off: str
):
    folder = Path(settings["workspace"]) / "runs" / cut_off
    with lock.held(folder / resuming.LOCK, wait=0), pytest.raises(ResumeError, match="in use"):
        run_tracked(in_store, settings | {"resume": cut_off})
    assert checkpoints.last_complete(folder / CHECKPOINTS) is not None


def test_a_corpus_that_has_changed_is_refused_and_the_checkpoints_kept(
    in_store: str, settings: Settings, cut_off: str
):
    (rows,) = Path(settings["data"]).glob("tiny.jsonl")
    before = rows.read_bytes()
    try:
        rows.write_bytes(b"".join(before.splitlines(keepends=True)[:-1]))
        with pytest.raises(ResumeError, match="has changed since"):
            run_tracked(in_store, settings | {"resume": cut_off})
    finally:
        rows.write_bytes(before)
    folder = Path(settings["workspace"]) / "runs" / cut_off / CHECKPOINTS
    assert checkpoints.last_complete(folder) is not None


@pytest.mark.parametrize(("asked_for", "registered"), [({}, ""), ({"register": "other"}, "other")])
@pytest.mark.usefixtures("in_store")
def test_it_registers_what_the_first_run_would_have_unless_told_otherwise(
    cut_off: str, asked_for: Settings, registered: str
):
    config = declarations.train_config("bert", {"resume": cut_off} | asked_for)
    assert config.run.register != ""
    assert resuming.restored(config).run.register == registered


@pytest.mark.usefixtures("in_store")
def test_a_value_too_long_to_be_logged_is_taken_from_who_repeats_it():
    files = ",".join(f"{number}.jsonl" for number in range(2000))
    past = MlflowClient().create_run("0", tags={"family": "bert"}).info.run_id
    config = declarations.train_config("bert", {"data": files, "resume": past})
    for name, value in config.as_parameters().items():
        MlflowClient().log_param(past, name, "" if name == "resume" else runs.as_logged(value))
    assert len(get(past).data.params["data"]) <= 6000
    assert resuming.restored(config).data.data == files


@pytest.mark.parametrize(
    ("tags", "command"),
    [
        ({}, "python -m intents.cli train_bert --resume "),
        ({runs.ENTRY_POINT_TAG: "train_bert"}, "mlflow run . -e train_bert --env-manager local -P resume="),
    ],
)
def test_what_is_interrupted_prints_the_whole_command_that_goes_on(
    settings: Settings,
    cut_off: str,
    tags: Settings,
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    in_store: str,
):
    config = declarations.train_config("bert", settings | {"resume": cut_off})
    begun = MlflowClient().create_run("0", tags=tags).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", begun)
    said: list[str] = []
    with (
        pytest.raises(KeyboardInterrupt),
        runs.started(config, name="interrupted") as run_id,
        resuming.workspace(config, run_id, say=said.append),
    ):
        raise KeyboardInterrupt
    assert (said[-1], in_store) == (f"go on from the last complete epoch with: {command}{begun}", in_store)


def test_the_run_of_mlflow_run_around_the_one_that_goes_on_says_that_it_only_resumes(
    in_store: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    resumed = "0" * 32
    begun = MlflowClient().create_run("0", tags={runs.ENTRY_POINT_TAG: "train_bert"}).info.run_id
    MlflowClient().log_param(begun, "epochs", "20")  # the default, as mlflow run logs it
    monkeypatch.setenv("MLFLOW_RUN_ID", begun)
    config = declarations.train_config("bert", settings | {"resume": resumed})
    with runs.started(config, name="train_bert rows") as nested:
        assert (nested != begun, in_store) == (True, mlflow.get_tracking_uri())
    outer = get(begun)
    assert outer.info.run_name == f"train_bert rows (resumes {resumed}: see the nested run)"
    assert outer.data.tags[RESUMES_TAG] == resumed
    assert get(nested).info.run_name == "train_bert rows"


@pytest.mark.parametrize("resume", ["../x", "a b", "runs:/abc"])
def test_what_is_no_run_id_is_refused_at_once(resume: str):
    with pytest.raises(ConfigError, match="resume"):
        declarations.train_config("bert", {"resume": resume})


def test_a_run_that_was_cut_off_before_it_read_its_corpus_is_gone_on_with_like_the_one_it_resumes(
    in_store: str, settings: Settings, cut_off: str
):
    config = declarations.train_config("bert", settings | {"resume": cut_off})
    with runs.started(config, name="cut off") as second, resuming.workspace(config, second, say=print):
        pass  # it ends before it has a corpus, and takes the folder with it
    again = declarations.train_config("bert", settings | {"resume": second})
    corpus = corpora.load(again.data)
    resuming.check_same_rows(again, corpus, digest_tag=CORPUS_DIGEST_TAG)
    other = dataclasses.replace(corpus, digest="another")
    with pytest.raises(ResumeError, match="has changed since"):
        resuming.check_same_rows(again, other, digest_tag=CORPUS_DIGEST_TAG)
    assert in_store


def test_a_run_that_somebody_else_went_on_with_to_its_end_does_not_begin_anew(
    in_store: str, settings: Settings, cut_off: str
):
    assert not (Path(settings["workspace"]) / "runs" / cut_off).exists()
    with pytest.raises(ResumeError, match="gone on with it to its end"):
        run_tracked(in_store, settings | {"resume": cut_off})


def test_several_seeds_are_not_gone_on_with_at_once():
    with pytest.raises(ConfigError, match="seeds=2"):
        declarations.train_config("bert", {"resume": "abc", "seeds": "2"})


@pytest.mark.parametrize("text", ["don't know", "a\\b", "'x'", "two words", "", "plain"])
def test_what_was_logged_is_read_back_whether_or_not_a_shell_quoted_it(text: str):
    assert runs.unquoted(shlex.quote(text)) == text
    if text != "'x'":  # which a shell could have been given for x
        assert runs.unquoted(text) == text
