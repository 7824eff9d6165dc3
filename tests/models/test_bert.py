"""Encoders with a head: what is cut from a pretrained one changes no answer."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from intents.models import families
from intents.models.encoders import encoder as encoders
from intents.models.network import Network, predict
from intents.parameters.training.bert import BertHyperparams

TEXTS = ["你好", "什么时间" * 20]
INTENTS = {"a": 0, "b": 1, "c": 2}


def built(tiny_bert: Path, workspace: Path, **changes: Any) -> tuple[Network, encoders.Encoder]:
    hyperparams = BertHyperparams(
        model_name=str(tiny_bert), max_length=10, pooling="own", extend_vocabulary="never", **changes
    )
    encoder = encoders.load(hyperparams, TEXTS, workspace=workspace)
    torch.manual_seed(0)
    return families.build(hyperparams, INTENTS, encoder=encoder), encoder


def test_a_trimmed_encoder_answers_as_the_whole_one(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("intents.models.bert.READERS_LENGTH", 16)
    small, whole = (built(tiny_bert, tmp_path, vocabulary=kind) for kind in ("trimmed", "full"))
    logits_of = [
        predict(network.module, encoder.tokenizer, texts=TEXTS, max_length=10).logits_BC
        for network, encoder in (small, whole)
    ]
    assert logits_of[0] == pytest.approx(logits_of[1], abs=1e-6)
    tables = [network.module.bert.embeddings.position_embeddings.weight for network, _ in (small, whole)]
    assert len(tables[0]) == small[0].module.config.max_position_embeddings == 16 < len(tables[1])


def test_a_trimmed_encoder_is_read_back_by_plain_transformers(tiny_bert: Path, tmp_path: Path):
    network, encoder = built(tiny_bert, tmp_path, vocabulary="trimmed")
    network.module.save_pretrained(tmp_path / "saved")
    encoder.tokenizer.save_pretrained(tmp_path / "saved")
    module = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "saved")
    for length in (10, 128):  # the model's own, and the reader's
        asked = tokenizer(["什么时间" * 50], truncation=True, max_length=length, return_tensors="pt")
        assert asked["input_ids"].shape == (1, length)
        with torch.inference_mode():
            logits_BC = module(**asked).logits.numpy()
        expected = predict(
            network.module, encoder.tokenizer, texts=["什么时间" * 50], max_length=length
        ).logits_BC
        assert logits_BC == pytest.approx(expected, abs=1e-6)
