"""What trainings of several kinds begin with: a tiny network's settings; and how their runs are found."""

from pathlib import Path

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

FIRST_SEED = 11
TINY = {
    "epochs": "1",
    "min_steps": "0",
    "channels": "4",
    "embedding_size": "8",
    "kernel_sizes": "2",
    "batch_size": "8",
}


@pytest.fixture(scope="module")
def cnn_settings(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return TINY | {
        "data": str(tiny_corpus / "rows"),
        "blacklist": str(tiny_corpus / "blacklist.txt"),
        "test_size": "0.25",
        "validation_size": "0.25",
        "learning_rate": "0.02",
        "workspace": str(tmp_path_factory.mktemp("workspace")),
        "register": "",
        "seeds": "2",
        "seed": str(FIRST_SEED),
    }


def run_of(run_id: str) -> Run:
    return MlflowClient().get_run(run_id)


def children(run_id: str) -> list[Run]:
    """The runs nested in this one, in the order of their start."""
    return MlflowClient().search_runs(
        ["0"], f"tags.`mlflow.parentRunId` = '{run_id}'", order_by=["attributes.start_time"]
    )
