"""A tiny TextCNN that was never trained, as a model directory, and files of texts in every format."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from intents.models import directory as artifact
from intents.models import energy, families
from intents.models.directory import RejectionRule
from intents.models.encoders import encoder as encoders
from intents.models.network import predict_logits
from intents.parameters.training.textcnn import TextCNNHyperparams
from tests.conftest import INTENTS

TEXTS = [start + end for starts in INTENTS.values() for start in starts for end in ("", "呀", "，谢谢")]


@pytest.fixture(scope="session")
def model_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random TextCNN, sealed; its threshold takes some of TEXTS and leaves others."""
    directory = tmp_path_factory.mktemp("bulk") / "model"
    torch.manual_seed(0)
    hyperparams = TextCNNHyperparams(embedding_size=8, channels=6)
    encoder = encoders.load(hyperparams, TEXTS, workspace=directory)
    module = families.build(hyperparams, {name: i for i, name in enumerate(INTENTS)}, encoder=encoder).module
    energies = energy.energy(predict_logits(module, encoder.tokenizer, texts=TEXTS, max_length=64))
    rejection = RejectionRule(
        energy_threshold=float(np.median(energies)),
        target="a test",
        unknown_intent="Unknown",
        fitted_temperature=1.0,
    )
    directory.mkdir()
    artifact.save(directory, module, tokenizer=encoder.tokenizer, intents=tuple(INTENTS), rejection=rejection)
    artifact.seal(directory)
    return directory


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a file, values as its format has them."""
    if path.suffix == ".parquet":
        return pd.read_parquet(path).to_dict("records")
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as handle:
            return list(csv.DictReader(handle))
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
