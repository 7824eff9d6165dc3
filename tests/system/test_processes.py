"""Several processes that train one model: what each does, what they agree on, and a real training by two."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mlflow.tracking import MlflowClient

from intents.errors import ConfigError
from intents.parameters.data import DataConfig
from intents.parameters.training.evaluate_open_set import OpenSetConfig
from intents.system import processes
from intents.tracking.evaluate_open_set import evaluate_open_set
from intents.training import stages
from intents.training.batches import LengthBatchedSampler


@pytest.fixture
def second_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process as torchrun would start the second of two."""
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")


def test_a_process_on_its_own_is_the_main_one_and_agrees_with_itself():
    assert processes.is_main()
    assert processes.count() == 1
    assert processes.agreed("its own") == "its own"
    assert processes.share(64) == 64


@pytest.mark.usefixtures("second_of_two")
def test_of_two_processes_the_second_is_not_the_main_one_and_takes_half_of_a_batch():
    assert not processes.is_main()
    assert [processes.share(number) for number in (64, 3, 1)] == [32, 1, 1]


@pytest.mark.usefixtures("second_of_two")
def test_a_batch_that_cannot_be_dealt_out_evenly_is_refused():
    stages._check_batch(8)
    with pytest.raises(ConfigError, match="batch_size=7 can't be dealt out to 2 processes"):
        stages._check_batch(7)


def test_a_block_has_the_environment_that_a_child_is_to_inherit_and_leaves_the_one_before(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("SET_BEFORE", "before")
    monkeypatch.setenv("NOT_FOR_CHILDREN", "secret")
    monkeypatch.delenv("NEW", raising=False)
    changed = {"SET_BEFORE": "within", "NOT_FOR_CHILDREN": None, "NEW": "new"}
    with contextlib.suppress(KeyError), processes.environment(changed):
        assert {name: os.environ.get(name) for name in changed} == changed
        raise KeyError
    assert {name: os.environ.get(name) for name in changed} == {
        "SET_BEFORE": "before",
        "NOT_FOR_CHILDREN": "secret",
        "NEW": None,
    }


@pytest.mark.usefixtures("second_of_two")
def test_leaving_intents_out_is_refused_in_several_processes():
    with pytest.raises(ConfigError, match="started in 2 processes"):
        evaluate_open_set(DataConfig(), OpenSetConfig(), say=print)


def test_processes_that_share_a_seed_draw_one_order_an_epoch_whatever_else_they_drew():
    lengths = [i % 7 for i in range(50)]
    first, second = (LengthBatchedSampler(lengths, 4, shared_seed=3) for _ in range(2))
    order = list(first)
    torch.rand(5)
    assert list(second) == order
    second.set_epoch(1)
    assert list(second) != order
    assert sorted(second) == list(range(50))


@pytest.mark.slow
def test_two_processes_train_one_model_in_one_run(
    in_store: str, tiny_settings: dict[str, str], subprocess_environment: dict[str, str], tmp_path: Path
):
    flags = tiny_settings | {"model_name": "char", "workspace": str(tmp_path / "workspace"), "register": ""}
    words = [word for name, text in flags.items() for word in (f"--{name}", text)]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*launch, "-m", "intents.cli", "train_cnn", *words],
        cwd=tmp_path,
        env=subprocess_environment | {"MLFLOW_TRACKING_URI": in_store},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("corpus tiny") == 1
    (run,) = MlflowClient().search_runs(["0"], f"params.workspace = '{flags['workspace']}'")
    assert run.info.status == "FINISHED"
    history = MlflowClient().get_metric_history(run.info.run_id, "val_f1_weighted")
    assert [metric.step for metric in history] == [1, 2]
    assert run.data.metrics["test_f1_weighted"] > 0.1
    assert list((tmp_path / "workspace" / "runs").iterdir()) == []
