"""The head that begins as a logistic regression: scikit-learn's own answers, from the network's logits."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from intents.data import corpus as corpora
from intents.models import bert
from intents.models.encoders import encoder as encoders
from intents.models.network import predict
from intents.parameters.training.bert import BertHyperparams
from intents.parameters.training.train import train_config
from intents.training import head, stages
from intents.training.batches import Labelled, TokenDataset
from intents.training.callbacks import Callbacks, OnEpoch
from intents.training.prepare import with_names
from tests.training.test_checkpoints import CutOffError, cut_at

TEXTS = ["几点", "几点了", "几点钟", "你好", "你好呀", "您好", "多少", "多少钱", "多少个"]


@pytest.mark.parametrize("number_of_intents", [2, 3])
def test_the_logits_are_those_of_the_regression(tiny_bert: Path, tmp_path: Path, number_of_intents: int):
    hyperparams = BertHyperparams(model_name=str(tiny_bert), head="fitted")
    encoder = encoders.load(hyperparams, TEXTS, workspace=tmp_path)
    intents = {str(i): i for i in range(number_of_intents)}
    network = bert.build(hyperparams, intents, encoder=encoder)
    assert network.head_is_fitted
    texts, labels_B = TEXTS[: 3 * number_of_intents], np.repeat(np.arange(number_of_intents), 3)
    rows = TokenDataset.of(encoder.tokenizer, Labelled(texts, labels_B), max_length=16)
    head.fit_head(network.module, encoder.tokenizer, train=rows, precision="float32")
    outputs = predict(network.module, encoder.tokenizer, texts=texts, max_length=16)
    penalty = head.INVERSE_PENALTY / float(outputs.features_BF.var())
    reference = LogisticRegression(C=penalty, max_iter=2000).fit(outputs.features_BF, labels_B)
    probabilities_BC = np.exp(
        outputs.logits_BC - np.logaddexp.reduce(outputs.logits_BC, axis=1, keepdims=True)
    )
    assert np.allclose(probabilities_BC, reference.predict_proba(outputs.features_BF), atol=1e-3)
    assert (outputs.logits_BC.argmax(axis=1) == labels_B).mean() > 0.6


def test_an_intent_without_a_training_row_keeps_its_random_weights(tiny_bert: Path, tmp_path: Path):
    hyperparams = BertHyperparams(model_name=str(tiny_bert))
    encoder = encoders.load(hyperparams, TEXTS, workspace=tmp_path)
    network = bert.build(hyperparams, {"a": 0, "b": 1, "c": 2}, encoder=encoder)
    before = network.module.classifier.weight.detach().clone()
    rows = TokenDataset.of(encoder.tokenizer, Labelled(TEXTS[:6], np.repeat([0, 2], 3)), max_length=16)
    head.fit_head(network.module, encoder.tokenizer, train=rows, precision="float32")
    after = network.module.classifier.weight.detach()
    assert (after[1] == before[1]).all()
    assert not (after[0] == before[0]).any()


def test_a_training_that_goes_on_leaves_the_head_to_its_checkpoint(
    tiny_settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    config = train_config("bert", tiny_settings | {"head": "fitted"})
    corpus = corpora.load(config.data)
    regressions, fit = [], LogisticRegression.fit

    def counted(regression: LogisticRegression, *data: np.ndarray) -> LogisticRegression:
        regressions.append(regression)
        return fit(regression, *data)

    def weights(folder: str, on_epoch: OnEpoch) -> dict[str, torch.Tensor]:
        made = stages.fitted(
            config, corpus, checkpoints=tmp_path / folder, callbacks=Callbacks(on_epoch, draws_bar=False)
        )
        return made.network.module.state_dict()

    monkeypatch.setattr(LogisticRegression, "fit", counted)
    whole = weights("whole", lambda *_: None)
    for epoch in (1, 2):  # cut off before there is a checkpoint, then with one
        with pytest.raises(CutOffError):
            weights("cut", cut_at(epoch))
    assert len(regressions) == 3
    resumed = weights("cut", lambda *_: None)
    assert len(regressions) == 3
    assert all(torch.equal(weight, whole[name]) for name, weight in resumed.items())


@pytest.mark.parametrize("has_gpu", [True, False])
def test_the_features_are_computed_where_the_network_is_trained(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_gpu: bool
):
    hyperparams = BertHyperparams(model_name=str(tiny_bert))
    encoder = encoders.load(hyperparams, TEXTS, workspace=tmp_path)
    network = bert.build(hyperparams, {"a": 0, "b": 1, "c": 2}, encoder=encoder)
    moved: list[torch.device] = []
    monkeypatch.setattr(network.module, "to", moved.append)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    rows = TokenDataset.of(encoder.tokenizer, Labelled(TEXTS, np.repeat([0, 1, 2], 3)), max_length=16)
    for rank in (0, 1):
        monkeypatch.setenv("LOCAL_RANK", str(rank))
        head.fit_head(network.module, encoder.tokenizer, train=rows, precision="float32")
    where = [torch.device("cuda", 0), torch.device("cuda", 1)] if has_gpu else [torch.device("cpu")] * 2
    assert moved == where


def test_an_intents_name_is_one_more_utterance_of_it():
    rows = with_names(Labelled(["a", "b"], np.array([1, 0])), ("card_lost", "问候-早 上"))
    assert list(rows.texts) == ["a", "b", "card lost", "问候 早 上"]
    assert rows.labels_B.tolist() == [1, 0, 0, 1]
