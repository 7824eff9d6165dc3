"""What a training's run logs: its corpus, environment, model and result."""

import dataclasses
import os
import platform
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import torch
from mlflow.data.sources import LocalArtifactDatasetSource

from intents.data import cleaning
from intents.data import corpus as corpora
from intents.data.corpus import Corpus
from intents.data.formats import spreadsheets
from intents.data.parts import TEST, TRAIN, VALIDATION
from intents.models.file_names import MODEL_ARTIFACT, PREDICTIONS
from intents.parameters.declaration import shortened
from intents.report import saved_model
from intents.serving import pyfunc
from intents.system import processes
from intents.tracking.tags import CORPUS_DIGEST_TAG, TEST_DIGEST_TAG
from intents.training.stages import TrainingResult

LOGGED_MODEL = "intent_model"
LONGEST_CORPUS_NAME, LONGEST_SOURCE = 250, 20_000
"""Characters. MLflow takes 500 and 65,535 bytes, and fails a run that has more."""
SERVING_PACKAGES = (
    "mlflow",
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "scipy",
    "numpy",
    "pandas",
    "pydantic",
)
CARRIED = {
    "": "axes errors",
    "system": "disk",
    "data": "problems utterances",
    "models": "directory energy file_names inference straight_bert",
    "models/textcnn": "config network tables",
    "serving": "answers batcher bodies limits pyfunc refusal runtime tables",
}
"""Of the code a logged model's own copy: by folder the modules that `serving/pyfunc.py` reaches."""
RECORDED_PACKAGES = (*SERVING_PACKAGES, "accelerate", "pyarrow", "scikit-learn")


def log_corpus(corpus: Corpus) -> None:
    name = shortened(corpus.name, LONGEST_CORPUS_NAME)
    test_digest = corpora.digest(corpus.part(TEST))
    mlflow.set_tags({"dataset": name, CORPUS_DIGEST_TAG: corpus.digest, TEST_DIGEST_TAG: test_digest})
    for part in (TRAIN, VALIDATION, TEST):
        rows = corpus.part(part)
        if not rows.empty:
            files = ",".join(map(str, corpus.files))
            source = LocalArtifactDatasetSource(shortened(files, LONGEST_SOURCE))
            labelled = rows[["text", "label"]]
            dataset = mlflow.data.from_pandas(labelled, source=source, targets="label", name=name)
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
        spreadsheets.write(corpus.ledger, Path(folder) / "cleaning_ledger.csv")
        snapshot = corpus.rows[corpus.rows["part"].isin([TRAIN, TEST])]
        snapshot.to_parquet(Path(folder) / "training_dataset_snapshot.parquet")
        corpus.rows.to_parquet(Path(folder) / cleaning.CLEAN_FILE)
        mlflow.log_artifacts(folder, "data")


def environment() -> dict[str, Any]:
    """What the run ran on: machine, Python, packages, threads."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "packages": {name: version(name) for name in RECORDED_PACKAGES},
    }


def log_model(directory: Path, threshold: float) -> Any:
    """Logs the directory as a pyfunc model that carries its own code."""
    with tempfile.TemporaryDirectory() as folder, processes.own_path():
        package = Path(folder) / "intents"
        for place, modules in CARRIED.items():
            (package / place).mkdir()
            for module in ("__init__", *modules.split()):
                shutil.copy(Path(__file__).parents[2] / place / f"{module}.py", package / place)
        return mlflow.pyfunc.log_model(
            name=LOGGED_MODEL,
            python_model=str(package / "serving/pyfunc.py"),
            code_paths=[str(package)],
            artifacts={MODEL_ARTIFACT: str(directory)},
            input_example=(list(saved_model.SANITY_UTTERANCES), pyfunc.example_params(threshold)),
            pip_requirements=[f"{name}=={version(name).split('+')[0]}" for name in SERVING_PACKAGES],
        )


def log_result(result: TrainingResult, directory: Path, *, model: Any) -> None:
    model_bytes = sum(file.stat().st_size for file in directory.iterdir())
    metrics = result.test.metrics() | result.facts
    metrics |= {"model_bytes": model_bytes, "best_val_f1_weighted": result.fit.best_f1_weighted}
    mlflow.log_metrics(metrics, model_id=model.model_id)
    for file in sorted(directory.iterdir()):
        if file.suffix in {".png", ".csv", ".json"} and "token" not in file.name:
            mlflow.log_artifact(str(file), "report")
    log_predictions(result.test.predictions, PREDICTIONS)
    mlflow.log_dict(dataclasses.asdict(result.fit) | dataclasses.asdict(result.rejection), "fit.json")


def log_predictions(predictions: pd.DataFrame, name: str) -> None:
    texts = ["text", "true_intent", "pred_intent", "kind"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        predictions.astype(dict.fromkeys(texts, "string")).to_parquet(path)
        mlflow.log_artifact(str(path))
