"""The network as a server runs it says what PyTorch says, whatever it is asked and beside whom."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

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


def test_the_network_that_is_served_gives_the_logits_of_pytorch(
    loaded: Artifact, caplog: pytest.LogCaptureFixture
):
    model = Runtime(loaded)
    assert not caplog.messages
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


class Sum(torch.nn.Module):
    """Adds up the tokens, times something; or can't."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        if scale < 0:
            raise AttributeError("no such layout")
        self.scale = scale

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        if not self.scale:
            raise RuntimeError("no such operator\nin this build")
        is_last_probe = input_ids.shape == (3, 48)
        scale = 1.0 if self.scale != self.scale and not is_last_probe else self.scale
        found = (input_ids * attention_mask).sum(dim=1, keepdim=True) * scale
        return type("Output", (), {"logits": found})


@pytest.mark.parametrize(
    ("scale", "reason"),
    [
        (1.0001, "made faster, its logits differ by"),
        (float("nan"), "made faster, its logits differ by nan"),
        (0.0, "no such operator"),
        (-1.0, "no such layout"),
    ],
)
def test_a_network_that_answers_otherwise_when_made_faster_is_run_as_it_is(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, scale: float, reason: str
):
    monkeypatch.setattr(runtime, "for_inference", lambda _: Sum(scale))
    network = runtime.fastest(Sum(1.0), tokens=100)
    ids, mask = torch.full((1, 20), 50), torch.ones(1, 20, dtype=torch.long)
    assert network(ids, mask).item() == 1000
    (line,) = caplog.messages
    assert line.startswith(f"the network is run as it is: {reason}")
    assert "\n" not in line
