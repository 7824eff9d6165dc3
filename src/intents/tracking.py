"""MLflow: every call that starts, fills or ends a run. What is trained, and how, is decided below."""

import contextlib
import dataclasses
import math
import os
import platform
import re
import shlex
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import filelock
import mlflow
import pandas as pd
import torch
from mlflow.data.sources import LocalArtifactDatasetSource
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from intents import encoders, parameters, pyfunc, training
from intents.config import TrainConfig
from intents.data import corpus as corpora
from intents.data.corpus import Corpus
from intents.data.splitting import TEST, TRAIN, VALIDATION
from intents.errors import TrackingError
from intents.training import TrainingResult

DEFAULT_URI = "sqlite:///mlflow.db"
PRODUCTION = "Production"
FAILURE_TAG = "failure"
TEST_DIGEST_TAG = "test_digest"
PACKAGES = (
    "mlflow",
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "scikit-learn",
    "scipy",
    "numpy",
    "pandas",
    "pydantic",
)
INITIALISATION_TIMEOUT_SECONDS = 60
Say = Callable[[str], None]


@dataclass(frozen=True)
class RunOutcome:
    """A finished run, and what a person may do with it next."""

    run_id: str
    version: str
    verdict: str

    def __str__(self) -> str:
        return f"run {self.run_id}\n{self.verdict}"


def train(config: TrainConfig, *, say: Say) -> RunOutcome:
    """Trains, logs and registers one model. Raises IntentsError.

    Interrupted, the run ends as KILLED; on any error as FAILED, the reason in its tag `failure`.
    """
    encoders.locate(config.hyperparams.model_name)
    connect()
    with _stopped_by_signals(), _run(config) as run_id, _workspace(config, run_id) as workspace:
        corpus = corpora.load(
            config.data,
            workspace=Path(config.run.workspace),
            selects_on_test=config.hyperparams.selects_on_test,
        )
        say(corpus.summary())
        for note in corpus.notes:
            say(f"note: {note}")
        _log_corpus(corpus, config)
        result = training.train(
            config,
            corpus,
            workspace / "checkpoints",
            on_epoch=lambda epoch, metrics: mlflow.log_metrics(dict(metrics), step=epoch),
            on_note=lambda line: say(f"note: {line}"),
        )
        directory = workspace / pyfunc.MODEL_ARTIFACT
        training.save(result, config, corpus, directory)
        model = _log_model(directory, config)
        _log_result(result, directory, model)
        registered = str(model.registered_model_version or "")
        say(_headline(result))
        return RunOutcome(run_id, registered, verdict(config.run.register, registered, run_id))


def connect() -> None:
    """Points MLflow at its store and initialises a cold one under a lock. Raises TrackingError.

    A cold SQLite store that several processes open at once stays broken, hence the lock.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "15")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    uri = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    mlflow.set_tracking_uri(uri)
    lock: Any = contextlib.nullcontext()
    if uri.startswith("sqlite:///"):
        lock = filelock.FileLock(
            f"{uri.removeprefix('sqlite:///')}.lock", timeout=INITIALISATION_TIMEOUT_SECONDS
        )
    try:
        with lock:
            MlflowClient().search_experiments(max_results=1)
    except (MlflowException, OSError, filelock.Timeout) as error:
        raise TrackingError(
            f"the tracking store {without_password(uri)} can't be used: {without_password(str(error))[:300]} "
            f"Check MLFLOW_TRACKING_URI, or unset it to use {DEFAULT_URI} in this folder."
        ) from error


def without_password(text: str) -> str:
    """`text` with the password of every URL in it replaced."""
    return re.sub(r"(\w+://[^/\s:@]*):[^/\s@]*@", r"\1:***@", text)


def verdict(name: str, candidate: str, run_id: str) -> str:
    """One line a person can act on: is this version better than the one in production?"""
    if not candidate:
        return "not registered (register= is empty)"
    publish = f"publish with: python -m registry.promote --version {candidate}"
    registered = f"registered {name} version {candidate}"
    client = MlflowClient()
    try:
        production = client.get_model_version_by_alias(name, PRODUCTION)
    except MlflowException:
        return f"{registered}; nothing is in Production yet; {publish}"
    ours, theirs = client.get_run(run_id).data, client.get_run(production.run_id).data
    against = f"{registered}; Production is version {production.version}"
    if ours.tags.get(TEST_DIGEST_TAG) != theirs.tags.get(TEST_DIGEST_TAG):
        return f"{against}, tested on other rows: not comparable; {publish}"
    change = ours.metrics["test_f1_weighted"] - theirs.metrics["test_f1_weighted"]
    margin = math.hypot(_half_width(ours.metrics), _half_width(theirs.metrics))
    word = "no different" if abs(change) <= margin else "better" if change > 0 else "worse"
    advice = "keep what is published" if word == "worse" else publish
    return f"{against}; {word}: {change * 100:+.1f} ± {margin * 100:.1f} points of weighted F1; {advice}"


def _half_width(metrics: dict[str, float]) -> float:
    return (metrics["test_f1_weighted_ci_high"] - metrics["test_f1_weighted_ci_low"]) / 2


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _run(config: TrainConfig) -> Iterator[str]:
    """A run with its parameters and tags logged, ended as what became of it."""
    with _ended_as_it_went(mlflow.start_run(run_name=None)) as run_id, contextlib.ExitStack() as stack:
        if _disagreeing(run_id, config):
            # `mlflow run` logs the declared defaults before this code starts, and a logged parameter can't be
            # changed: where the recipe changed some, a run of its own, nested, says what was really trained.
            child = mlflow.start_run(nested=True)
            run_id = stack.enter_context(_ended_as_it_went(child))
        logged = MlflowClient().get_run(run_id).data.params
        values = config.as_parameters()
        mlflow.log_params({name: value for name, value in values.items() if name not in logged})
        hyperparams = config.hyperparams
        mlflow.set_tags(
            {
                "family": hyperparams.FAMILY,
                "encoder": hyperparams.model_name,
                "recipe": hyperparams.recipe,
                "selected_on": "test" if hyperparams.selects_on_test else "validation",
            }
        )
        yield run_id


@contextlib.contextmanager
def _ended_as_it_went(run: Any) -> Iterator[str]:
    try:
        yield run.info.run_id
    except KeyboardInterrupt:
        mlflow.end_run("KILLED")
        raise
    except BaseException as error:
        with contextlib.suppress(MlflowException):
            reason = f"{type(error).__name__}: {error}"
            mlflow.set_tag(FAILURE_TAG, without_password(reason)[:5000])
        mlflow.end_run("FAILED")
        raise
    else:
        mlflow.end_run("FINISHED")


def _disagreeing(run_id: str, config: TrainConfig) -> list[str]:
    """The parameters already on the run whose logged text does not mean the value that takes effect."""
    effective = config.as_parameters()
    declared = {
        parameter.name: parameter
        for declaration in (config.data, config.hyperparams, config.run)
        for parameter in parameters.parameters(type(declaration))
    }
    logged = MlflowClient().get_run(run_id).data.params
    return [
        name
        for name, text in logged.items()
        if name in declared and declared[name].parse(_unquoted(text)) != effective[name]
    ]


def _unquoted(text: str) -> str:
    """What `mlflow run` logged, without the shell's quotes that it logs too."""
    words = shlex.split(text)
    return words[0] if len(words) == 1 else text if words else ""


@contextlib.contextmanager
def _workspace(config: TrainConfig, run_id: str) -> Iterator[Path]:
    """A folder for the run's checkpoints and model; gone when the run is."""
    folder = Path(config.run.workspace) / "runs" / run_id
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise TrackingError(
            f"{folder}: can't be made ({error.strerror}). Name a folder you can write with -P workspace=<path>."
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _log_corpus(corpus: Corpus, config: TrainConfig) -> None:
    mlflow.set_tags(
        {
            "mlflow.runName": f"{config.hyperparams.FAMILY} {config.hyperparams.model_name} on {corpus.name}",
            "dataset": corpus.name,
            "corpus_digest": corpus.digest,
            TEST_DIGEST_TAG: corpora.digest(corpus.part(TEST)),
        }
    )
    for part in (TRAIN, VALIDATION, TEST):
        rows = corpus.part(part)
        if not rows.empty:
            source = LocalArtifactDatasetSource(",".join(str(file) for file in corpus.files))
            dataset = mlflow.data.from_pandas(
                rows[["text", "label"]], source=source, targets="label", name=corpus.name
            )
            mlflow.log_input(dataset, context=part)
    counts = corpus.ledger["reason"].value_counts().to_dict()
    summary = {
        "rows_read": corpus.rows_read,
        "rows_kept": len(corpus.rows),
        "dropped": counts,
        "parts": corpus.rows["part"].value_counts().to_dict(),
        "out_of_scope": corpus.out_of_scope["part"].value_counts().to_dict(),
        "notes": list(corpus.notes),
    }
    mlflow.log_dict(summary, "data/summary.json")
    with tempfile.TemporaryDirectory() as folder:
        corpus.ledger.to_csv(Path(folder) / "cleaning_ledger.csv", index=False)
        snapshot = corpus.rows[corpus.rows["part"].isin([TRAIN, TEST])]
        snapshot.to_parquet(Path(folder) / "training_dataset_snapshot.parquet")
        corpus.rows.to_parquet(Path(folder) / corpora.CLEAN_FILE)
        mlflow.log_artifacts(folder, "data")
    mlflow.log_dict(environment(), "environment.json")


def environment() -> dict[str, Any]:
    """What the run ran on: machine, Python, packages, threads."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "packages": {name: version(name) for name in PACKAGES},
    }


def _log_model(directory: Path, config: TrainConfig) -> Any:
    """Logs the directory as a pyfunc model that carries its own code, and registers it if asked."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "intents"
        ignored = shutil.ignore_patterns("__pycache__", "fonts")
        shutil.copytree(Path(__file__).parent, package, ignore=ignored)
        return mlflow.pyfunc.log_model(
            name=config.run.register or "intent_model",
            python_model=str(package / "pyfunc.py"),
            code_paths=[str(package)],
            artifacts={pyfunc.MODEL_ARTIFACT: str(directory)},
            input_example=(list(training.SANITY_UTTERANCES), dict(pyfunc.DEFAULT_PARAMS)),
            pip_requirements=[f"{name}=={version(name).split('+')[0]}" for name in PACKAGES],
            registered_model_name=config.run.register or None,
        )


def _log_result(result: TrainingResult, directory: Path, model: Any) -> None:
    model_bytes = sum(file.stat().st_size for file in directory.iterdir())
    metrics = result.test.as_metrics("test") | result.facts | {"model_bytes": model_bytes}
    mlflow.log_metrics(metrics, model_id=model.model_id)
    for file in sorted(directory.iterdir()):
        if file.suffix in {".png", ".csv", ".json"} and "token" not in file.name:
            mlflow.log_artifact(str(file), "report")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.parquet"
        _as_text(result.predictions).to_parquet(path)
        mlflow.log_artifact(str(path))
    mlflow.log_dict(dataclasses.asdict(result.fit) | dataclasses.asdict(result.rejection), "fit.json")


def _as_text(predictions: pd.DataFrame) -> pd.DataFrame:
    texts = ["text", "true_intent", "pred_intent", "kind"]
    return predictions.astype(dict.fromkeys(texts, "string"))


def _headline(result: TrainingResult) -> str:
    measured = result.test.metrics
    line = (
        f"test: accuracy {measured['accuracy']:.4f}, weighted F1 {measured['f1_weighted']:.4f} "
        f"[{measured['f1_weighted_ci_low']:.4f}, {measured['f1_weighted_ci_high']:.4f}], "
        f"macro F1 {measured['f1_macro']:.4f}"
    )
    if "auroc" in measured:
        line += f"; out-of-scope AUROC {measured['auroc']:.4f}"
    fit = result.fit
    return (
        f"{line}\nbest epoch {fit.best_epoch} of {fit.epochs_run}; {fit.seconds:.0f} s, "
        f"{fit.samples_per_second:.0f} samples/s, {result.facts['peak_memory_mb']:.0f} MB at most"
    )
