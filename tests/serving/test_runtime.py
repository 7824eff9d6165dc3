"""The network as a server runs it says what PyTorch says, whatever it is asked and beside whom."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from transformers.utils.logging import warning_once

from intents.models import directory
from intents.models.directory import Artifact
from intents.models.network import predict_logits
from intents.serving import runtime
from intents.serving.runtime import Runtime
from tests.conftest import Trained
from tests.serving.test_pyfunc import UTTERANCES
from tests.training.test_stages import train_textcnn

ODD = ["😀", "مرحبا", "e" + "\u0301" * 200, "龘龘龘", "a\u2028b", "。", "\u0301", "好" * 5_000, "[CLS] [PAD]"]


@pytest.fixture(scope="module", params=["tiny bert", "char", "textcnn"])
def loaded(
    request: pytest.FixtureRequest, tiny_settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Artifact:
    """A model of each architecture."""
    make: dict[str, Callable[[], Trained]] = {
        "tiny bert": lambda: request.getfixturevalue("trained"),
        "char": lambda: request.getfixturevalue("train_tiny")(model_name="char", epochs="1"),
        "textcnn": lambda: train_textcnn(tiny_settings, tmp_path_factory.mktemp("textcnn"))[0],
    }
    return directory.load(make[request.param]().directory)


def logits(model: Runtime, texts: list[str]) -> Any:
    return model.logits(model.tokens(texts))


def test_nothing_is_heard_of_losses_while_a_network_is_recorded(
    loaded: Artifact, caplog: pytest.LogCaptureFixture
):
    warning_once.cache_clear()
    Runtime(loaded)
    assert "ForCausalLMLoss" not in caplog.text


def test_a_recorded_network_gives_the_logits_of_pytorch(loaded: Artifact):
    model = Runtime(loaded)
    assert isinstance(model._network, torch.jit.ScriptModule)
    texts = [*UTTERANCES, *ODD] * 3
    expected = predict_logits(loaded.module, loaded.tokenizer, texts=texts, max_length=loaded.max_length)
    assert logits(model, texts) == pytest.approx(expected, abs=1e-4)


def test_an_utterance_alone_has_the_logits_it_has_in_a_batch(loaded: Artifact):
    model = Runtime(loaded)
    texts = [*UTTERANCES, *ODD]
    alone = np.concatenate([logits(model, [text]) for text in texts])
    assert logits(model, texts) == pytest.approx(alone, abs=1e-4)


def test_the_tokens_are_those_of_the_models_own_tokenizer(loaded: Artifact):
    expected = loaded.tokenizer(ODD, truncation=True, max_length=loaded.max_length)["input_ids"]
    assert Runtime(loaded).tokens(ODD) == expected


class Branching(torch.nn.Module):
    """What no recording holds: it does otherwise with few tokens."""

    def __init__(self, *, fails: bool) -> None:
        super().__init__()
        self.fails = fails

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        if self.fails and torch.jit.is_tracing():
            raise ValueError("can't be recorded\nat all")
        scale = 1.0 if input_ids.shape[1] > 10 else 2.0
        found = (input_ids * attention_mask).sum(dim=1, keepdim=True) * scale
        return type("Output", (), {"logits": found})


@pytest.mark.parametrize("fails", [False, True])
def test_a_network_that_can_not_be_recorded_is_run_as_it_is(caplog: pytest.LogCaptureFixture, fails: bool):
    network = runtime.recorded(Branching(fails=fails), tokens=100)
    assert not isinstance(network, torch.jit.ScriptModule)
    ids, mask = torch.ones(1, 20, dtype=torch.long), torch.ones(1, 20, dtype=torch.long)
    assert network(ids, mask).item() == 20
    assert network(ids[:, :5], mask[:, :5]).item() == 10
    (line,) = caplog.messages
    assert line.startswith("the network is run as it is: ")
    assert "\n" not in line
