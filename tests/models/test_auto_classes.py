"""A TextCNN loads through transformers' Auto classes after `import intents`, in whichever order they are imported.

Each test is a process of its own, because what was imported before is what is tested.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from intents.models import directory as model_directory
from intents.models import families
from intents.models.directory import RejectionRule
from intents.models.encoders import encoder as encoders
from intents.models.network import predict_logits
from intents.parameters.training.textcnn import TextCNNHyperparams

TEXTS = ["你好呀", "几", "马上还款，谢谢"]
PREDICT = """
def predict(module, tokenizer):
    import torch
    batch = tokenizer(texts, padding=True, return_tensors="pt", truncation=True, max_length=128)
    with torch.inference_mode():
        return module(**batch).logits.tolist()
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A TextCNN's directory, and its logits of TEXTS in the process that made it."""
    directory = tmp_path_factory.mktemp("textcnn")
    torch.manual_seed(0)
    hyperparams = TextCNNHyperparams(embedding_size=8, channels=6, batch_normalisation=True)
    encoder = encoders.load(hyperparams, TEXTS, workspace=directory)
    module = families.build(hyperparams, {"a": 0, "b": 1, "c": 2}, encoder=encoder).module
    rejection = RejectionRule(
        energy_threshold=0.0, target="a test", unknown_intent="Unknown", fitted_temperature=1.0
    )
    model_directory.save(
        directory, module, tokenizer=encoder.tokenizer, intents=("a", "b", "c"), rejection=rejection
    )
    assert json.loads((directory / "config.json").read_text(encoding="utf-8"))["model_type"] == "text_cnn"
    return directory, predict_logits(module, encoder.tokenizer, texts=TEXTS, max_length=64)


def run(script: str, directory: Path, environment: dict[str, str]) -> Any:
    """What the script left in `said`, from a fresh process in which every warning is an error."""
    preamble = f"import json, sys\ndirectory, texts = {str(directory)!r}, {TEXTS!r}\nsaid = {{}}\n{PREDICT}"
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{preamble}\n{script}\nprint(json.dumps(said))"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


def test_after_the_package_come_the_config_the_tokenizer_and_then_the_model(
    saved: tuple[Path, np.ndarray], subprocess_environment: dict[str, str]
):
    script = """
import intents
said["heavy"] = sorted({"torch", "transformers", "numpy", "intents.models.textcnn.network"} & set(sys.modules))
from transformers import AutoConfig
config = AutoConfig.from_pretrained(directory)
said["config"] = [type(config).__name__, config.num_labels, config.channels]
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(directory)
said["read"] = tokenizer(texts[0])["input_ids"]
from transformers import AutoModelForSequenceClassification
module = AutoModelForSequenceClassification.from_pretrained(directory)
said["logits"] = predict(module, tokenizer)
said["module"] = type(module).__name__
"""
    directory, logits_BC = saved
    said = run(script, directory, subprocess_environment)
    assert said["heavy"] == []
    assert said["config"] == ["TextCNNConfig", 3, 6]
    assert len(said["read"]) == len(TEXTS[0])
    assert said["module"] == "TextCNN"
    assert np.abs(np.array(said["logits"]) - logits_BC).max() < 1e-5


def test_without_the_package_nothing_loads_and_importing_it_last_mends_that(
    saved: tuple[Path, np.ndarray], subprocess_environment: dict[str, str]
):
    script = """
from transformers import AutoModelForSequenceClassification, AutoTokenizer
try:
    AutoModelForSequenceClassification.from_pretrained(directory)
except ValueError as error:
    said["error"] = str(error)
import intents
module = AutoModelForSequenceClassification.from_pretrained(directory)
said["logits"] = predict(module, AutoTokenizer.from_pretrained(directory))
"""
    directory, logits_BC = saved
    said = run(script, directory, subprocess_environment)
    assert "text_cnn" in said["error"]
    assert np.abs(np.array(said["logits"]) - logits_BC).max() < 1e-5


def test_the_model_class_alone_is_enough_after_any_module_of_the_package(
    saved: tuple[Path, np.ndarray], subprocess_environment: dict[str, str]
):
    script = """
import intents.errors
from transformers import AutoModelForSequenceClassification
module = AutoModelForSequenceClassification.from_pretrained(directory)
from transformers import AutoTokenizer
said["logits"] = predict(module, AutoTokenizer.from_pretrained(directory))
"""
    directory, logits_BC = saved
    said = run(script, directory, subprocess_environment)
    assert np.abs(np.array(said["logits"]) - logits_BC).max() < 1e-5


def test_a_config_class_imported_before_the_package_learns_of_it_too(
    saved: tuple[Path, np.ndarray], subprocess_environment: dict[str, str]
):
    script = """
from transformers import AutoConfig
said["before"] = "transformers.models.auto.modeling_auto" in sys.modules
import intents
said["config"] = type(AutoConfig.from_pretrained(directory)).__name__
from transformers import AutoModelForSequenceClassification, AutoTokenizer
module = AutoModelForSequenceClassification.from_pretrained(directory)
said["logits"] = predict(module, AutoTokenizer.from_pretrained(directory))
"""
    directory, logits_BC = saved
    said = run(script, directory, subprocess_environment)
    assert said["before"] is False  # otherwise this is another test's order
    assert said["config"] == "TextCNNConfig"
    assert np.abs(np.array(said["logits"]) - logits_BC).max() < 1e-5
