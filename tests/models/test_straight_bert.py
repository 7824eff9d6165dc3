"""A straightened BERT says what transformers' BERT says."""

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from intents.models import pooling, straight_bert
from intents.models.inference import for_inference
from intents.models.straight_bert import StraightBert
from tests.models.textcnn.test_tables import LENGTHS, assert_answers_as_itself, padded

TOLERANCE = 1e-5


def tiny(**changes: object) -> BertForSequenceClassification:
    """A BERT whose every weight matters, biases and norms too."""
    sizes = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4}
    torch.manual_seed(5)
    module = BertForSequenceClassification(BertConfig(vocab_size=30, num_labels=7, **sizes | changes))
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(torch.randn_like(weight) * 0.2)
    return module.eval()


@pytest.mark.parametrize("packs", [True, False])
@pytest.mark.parametrize("lengths", [LENGTHS, (1,), (6,), (2, 2)])
@pytest.mark.parametrize("layers", [1, 3])
def test_the_logits_are_those_of_transformers(
    monkeypatch: pytest.MonkeyPatch, packs: bool, lengths: tuple[int, ...], layers: int
):
    module = tiny(num_hidden_layers=layers)
    if not packs:
        monkeypatch.setattr(straight_bert, "_packs", lambda _: False)
    elif torch.backends.mkldnn.is_available():
        assert straight_bert._packs(module.classifier.weight.detach())
    assert isinstance(for_inference(module), StraightBert)
    assert_answers_as_itself(module, padded(lengths), tolerance=TOLERANCE)


def test_the_mean_that_is_classified_is_the_same():
    module = tiny()
    pooling.classify_mean(module, "tiny")
    assert_answers_as_itself(module, padded(LENGTHS), tolerance=1e-4)


@pytest.mark.parametrize("changes", [{"hidden_act": "relu"}, {"is_decoder": True}])
def test_a_bert_of_another_kind_stays_as_it_is(changes: dict[str, object]):
    module = tiny(**changes)
    assert for_inference(module) is module
