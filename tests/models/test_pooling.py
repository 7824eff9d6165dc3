"""A BERT that classifies the mean of its tokens, in weights that plain transformers reads."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from intents.errors import EncoderError
from intents.models import bert, pooling
from intents.models.encoders import encoder as encoders
from intents.models.network import Network
from intents.parameters.training.bert import BertHyperparams

TEXTS = ["几点钟", "你好", "这个要多少钱一个呢"]


@pytest.fixture
def network(tiny_bert: Path, tmp_path: Path) -> tuple[Network, Any]:
    hyperparams = BertHyperparams(model_name=str(tiny_bert), pooling="mean")
    encoder = encoders.load(hyperparams, TEXTS, workspace=tmp_path)
    return bert.build(hyperparams, {"a": 0, "b": 1, "c": 2}, encoder=encoder), encoder.tokenizer


def test_the_features_are_the_mean_of_the_encoders_last_layer(network: tuple[Network, Any], tiny_bert: Path):
    made, tokenizer = network
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    plain = AutoModel.from_pretrained(tiny_bert).eval()
    if len(tokenizer) > plain.config.vocab_size:
        plain.resize_token_embeddings(len(tokenizer))
        plain.set_input_embeddings(made.module.get_input_embeddings())
    with torch.inference_mode():
        features_BH = made.module.bert.eval()(**batch).pooler_output
        hidden_BLH = plain(**batch).last_hidden_state
    mask_BL1 = batch["attention_mask"][..., None]
    mean_BH = (hidden_BLH * mask_BL1).sum(1) / mask_BL1.sum(1)
    mixed_BH = pooling.MEAN_GAIN * mean_BH + hidden_BLH[:, 0]
    expected_BH = torch.tanh(
        pooling.POOLER_SCALE * torch.nn.functional.layer_norm(mixed_BH, mixed_BH.shape[-1:])
    )
    assert torch.allclose(features_BH, expected_BH, atol=1e-4)


def test_plain_transformers_reads_it(network: tuple[Network, Any], tmp_path: Path):
    made, tokenizer = network
    made.module.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    read = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    batch = AutoTokenizer.from_pretrained(tmp_path)(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        assert torch.allclose(read(**batch).logits, made.module.eval()(**batch).logits, atol=1e-6)
    assert made.new_weights == {"classifier.weight", "classifier.bias"}


def test_training_leaves_the_mean_a_mean(network: tuple[Network, Any]):
    made, tokenizer = network
    module = made.module.train()
    module(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits.sum().backward()
    moved = {name for name, weight in module.named_parameters() if weight.grad is not None}
    assert {"classifier.weight", "bert.encoder.layer.1.output.dense.weight"} <= moved
    assert not [name for name in moved if "pooler" in name or "layer.2." in name]


def test_a_prediction_does_not_depend_on_its_batch(network: tuple[Network, Any]):
    made, tokenizer = network
    with torch.inference_mode():
        made.module.eval()
        together = made.module(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits.numpy()
        alone = [made.module(**tokenizer([text], return_tensors="pt")).logits.numpy()[0] for text in TEXTS]
    assert np.abs(together - np.stack(alone)).max() < 1e-4


def test_the_mean_of_an_encoder_that_is_no_bert_is_refused():
    config = bert._character_config(encoders.character_tokenizer(TEXTS, max_length=16), {})
    module = AutoModelForSequenceClassification.from_config(config)
    with pytest.raises(EncoderError, match=r"pooling=mean: 'char' .*-P pooling=own"):
        pooling.classify_mean(module, "char")
