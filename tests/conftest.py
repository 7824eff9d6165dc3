"""Fixtures for many tests: a tiny corpus, a tiny random encoder, and one model of each kind, trained once.

Everything is made here, so no test needs a network or a GPU. Torch keeps to one thread.
"""

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
import torch
import transformers
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from intents.data.corpus import Corpus
from intents.parameters.training import train as declarations
from intents.parameters.training.train import TrainConfig
from intents.report import saved_model
from intents.system import processes
from intents.tracking import store as stores
from intents.tracking.training import training_run
from intents.training import stages
from intents.training.callbacks import Callbacks
from intents.training.prepare import corpus_of
from intents.training.stages import TrainingResult

torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")

INTENTS = {
    "问候": ("你好", "早上好", "晚上好", "哈喽"),
    "还款": ("我还钱", "按时还款", "马上还款", "准备还款"),
    "拒绝": ("不需要", "都不要", "不用谢", "别打来"),
    "询问时间": ("几点钟", "什么时间", "哪一天", "多久前"),
}
ENDINGS = ("", "呀", "啊老师", "吧朋友", "，谢谢", "的，今天", "了，明天", "呢呢")
BLACKLISTED, RARE = "转人工", "投诉建议"
NOISE = ("附近宾馆", "天气下雨", "播放音乐", "订购机票", "翻译英文", "足球比赛")
UNSPELLABLE = "呢"
"""In the corpus, but not in the tiny encoder's vocabulary."""


@dataclass(frozen=True)
class Trained:
    """A model trained in this session, before MLflow has heard of it."""

    config: TrainConfig
    corpus: Corpus
    result: TrainingResult
    directory: Path
    epochs: Mapping[int, Mapping[str, float]]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Logged:
    """A run that really ran: its store, and what it said."""

    uri: str
    config: TrainConfig
    run_id: str
    version: str
    verdict: str
    said: tuple[str, ...]

    @property
    def model_uri(self) -> str:
        return f"models:/{self.config.run.register}/{self.version}"


def write_jsonl(path: Path, rows: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four intents of 32 rows, one rare and one blacklisted intent, 48 out-of-scope rows, and a blacklist."""
    folder = tmp_path_factory.mktemp("corpus")
    rows = [
        {"text": start + ending, "label": intent}
        for intent, starts in INTENTS.items()
        for start in starts
        for ending in ENDINGS
    ]
    rows += [{"text": f"我要投诉{ending}", "label": RARE} for ending in ENDINGS[:3]]
    rows += [{"text": f"转人工{ending}", "label": BLACKLISTED} for ending in ENDINGS]
    (folder / "rows").mkdir()
    write_jsonl(folder / "rows" / "tiny.jsonl", rows)
    write_jsonl(folder / "rows" / "noise.jsonl", [{"text": s + e} for s in NOISE for e in ENDINGS])
    (folder / "blacklist.txt").write_text(f"{BLACKLISTED}\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer BERT with a WordPiece vocabulary, as a directory."""
    folder = tmp_path_factory.mktemp("encoder")
    spelled = {c for starts in INTENTS.values() for text in (*starts, *ENDINGS) for c in text}
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(spelled - {UNSPELLABLE})]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    transformers.BertTokenizerFast.from_pretrained(folder).save_pretrained(folder)
    torch.manual_seed(7)
    transformers.BertModel(
        transformers.BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=128,
            initializer_range=0.3,  # so that ten steps teach it something
        )
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def e5_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the encoder e5 is unpacked, once a session."""
    return tmp_path_factory.mktemp("e5")


@pytest.fixture(scope="session")
def tiny_settings(
    tiny_corpus: Path, tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """What a user would type for a run of a second or two."""
    return {
        "data": str(tiny_corpus / "rows"),
        "blacklist": str(tiny_corpus / "blacklist.txt"),
        "test_size": "0.25",
        "validation_size": "0.25",
        "model_name": str(tiny_bert),
        "max_length": "32",
        "batch_size": "8",
        "epochs": "2",
        "min_steps": "0",
        "learning_rate": "0.003",
        "new_weights_factor": "1",
        "warmup_ratio": "0",
        "precision": "float32",
        "workspace": str(tmp_path_factory.mktemp("workspace")),
    }


@pytest.fixture(scope="session")
def train_tiny(
    tiny_settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Trained]:
    """Trains and saves a tiny model, other settings given by name."""

    def train(**changes: str) -> Trained:
        config = declarations.train_config("bert", tiny_settings | changes)
        return train_and_save(config, tmp_path_factory.mktemp("trained"), on_step=lambda *_: None)

    return train


def train_and_save(
    config: TrainConfig, folder: Path, *, on_step: Callable[[int, Mapping[str, float]], None]
) -> Trained:
    """Trains as a run does, without MLflow, and saves the model in `folder / "model"`."""
    corpus = corpus_of(config)
    epochs: dict[int, Mapping[str, float]] = {}
    notes: list[str] = []
    result = stages.train(
        config,
        corpus,
        checkpoints=folder / "checkpoints",
        callbacks=Callbacks(epochs.__setitem__, on_step, notes.append),
    )
    saved_model.save(result, config, corpus=corpus, directory=folder / "model")
    return Trained(config, corpus, result, folder / "model", epochs, tuple(notes))


@pytest.fixture(scope="session")
def trained(train_tiny: Callable[..., Trained]) -> Trained:
    """A BERT fine-tuned from the tiny encoder."""
    return train_tiny()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A SQLite tracking store for the whole session, named by MLFLOW_TRACKING_URI."""
    folder = tmp_path_factory.mktemp("store")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        patch.chdir(folder)  # artifacts of a SQLite store go below the folder it is first opened from
        stores.connect()
    yield uri
    mlflow.set_tracking_uri("")


@pytest.fixture
def in_store(store: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """This test, and the processes it starts, use the session's store."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    mlflow.set_tracking_uri(store)
    return store


@pytest.fixture(scope="session")
def logged(store: str, tiny_settings: dict[str, str]) -> Logged:
    """A finished run of the default encoder, registered as `tiny` version 1."""
    settings = tiny_settings | {"model_name": "char", "register": "tiny", "learning_rate": "5e-4"}
    return run_tracked(store, settings)


def run_tracked(uri: str, settings: Mapping[str, str]) -> Logged:
    """Trains under MLflow as the command does."""
    config = declarations.train_config("bert", settings)
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        outcome = training_run.train(config, say=said.append)
    return Logged(uri, config, outcome.run_id, outcome.version, outcome.verdict, tuple(said))


def as_served(uri: str) -> Any:
    """The logged model, as MLflow loads it; where modules are sought stays as it was."""
    with processes.own_path():
        return mlflow.pyfunc.load_model(uri)


@pytest.fixture(scope="session")
def subprocess_environment() -> dict[str, str]:
    """One torch thread, the source on the path, no user's MLflow settings."""
    kept: dict[str, Any] = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    root = Path(__file__).parents[1]
    return kept | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(root / "src"), str(root)])}


def start_command(
    name: str, flags: Mapping[str, str], *, environment: Mapping[str, str], cwd: Path
) -> subprocess.Popen:
    """A command of `intents`, started as a user starts it."""
    words = [word for flag, text in flags.items() for word in (f"--{flag}", text)]
    return subprocess.Popen(
        [sys.executable, "-m", "intents.cli", name, *words],
        cwd=cwd,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def stopped_while_training(
    name: str, flags: Mapping[str, str], *, environment: Mapping[str, str], cwd: Path
) -> Iterator[Run]:
    """The run of a command that has trained an epoch. SIGTERM after the block must end it as Ctrl-C would.

    The flags name a workspace of the command's own, by which its run is found.
    """
    under_way = f"params.workspace = '{flags['workspace']}' and metrics.train_loss < 100"
    with start_command(name, flags, environment=environment, cwd=cwd) as process:
        try:
            deadline = time.monotonic() + 60
            while not (training_runs := MlflowClient().search_runs(["0"], under_way)):
                assert process.poll() is None, process.stderr.read()
                assert time.monotonic() < deadline
                time.sleep(0.2)
            (run,) = training_runs
            yield run
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "interrupted" in errors
    assert "Traceback" not in errors


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real corpora: beside the repository, or where INTENTS_SHARED_DATA says. Skips where they are absent."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("INTENTS_SHARED_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"the real corpora are not in {folder}; INTENTS_SHARED_DATA names another folder")
    return folder


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, Sequence[Mapping[str, Any]]], Path]:
    """Writes rows of one shape in the format that the name ends in."""

    def to_file(name: str, rows: Sequence[Mapping[str, Any]]) -> Path:
        path = tmp_path / name
        if path.suffix == ".parquet":
            pd.DataFrame(rows).to_parquet(path, index=False, row_group_size=3000)
        elif path.suffix == ".csv":
            with path.open("w", encoding="utf-8", newline="") as handle:
                writer = csv.DictWriter(handle, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        else:
            lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
            path.write_text("".join(lines), encoding="utf-8")
        return path

    return to_file
