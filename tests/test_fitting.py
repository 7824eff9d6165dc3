"""The loop's parts: which tokens are dropped, and which weights learn how fast."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from intents import encoders, fitting, models
from intents.config import BertHyperparams
from intents.fitting import Labelled, TokenDataset
from intents.models.network import Network, predict_logits

TEXTS = ["你好呀朋友", "几点钟", "马上还款，谢谢"] * 20
ROWS = Labelled(TEXTS, np.array([0, 1, 2] * 20))


@pytest.fixture
def encoder() -> encoders.Encoder:
    return encoders.load("char", TEXTS, max_length=8, extend_vocabulary="auto")


def test_without_token_dropout_every_reading_is_the_utterance_itself(encoder: encoders.Encoder):
    rows = TokenDataset(encoder.tokenizer, ROWS, max_length=8)
    assert rows[1]["input_ids"].tolist() == encoder.tokenizer("几点钟")["input_ids"]
    assert (rows[1]["labels"], len(rows)) == (1, 60)


def test_an_utterance_is_cut_at_the_longest_length(encoder: encoders.Encoder):
    assert len(TokenDataset(encoder.tokenizer, ROWS, max_length=5)[0]["input_ids"]) == 5


def test_token_dropout_masks_its_share_of_characters_and_never_a_special_token(encoder: encoders.Encoder):
    torch.manual_seed(0)
    rows = TokenDataset(encoder.tokenizer, ROWS, max_length=8, token_dropout=0.3)
    plain = TokenDataset(encoder.tokenizer, ROWS, max_length=8)
    pairs = [(rows[i]["input_ids"], plain[i]["input_ids"]) for i in range(60) for _ in range(20)]
    assert all((after[[0, -1]] == before[[0, -1]]).all() for after, before in pairs)
    changed = torch.cat([(after != before)[1:-1] for after, before in pairs])
    became = {int(i) for after, before in pairs for i in after[after != before]}
    assert became == {encoder.tokenizer.mask_token_id}
    # 6,000 characters at 0.3: one standard error is 0.006
    assert changed.float().mean().item() == pytest.approx(0.3, abs=0.03)


def test_token_dropout_draws_anew_at_each_reading(encoder: encoders.Encoder):
    torch.manual_seed(0)
    rows = TokenDataset(encoder.tokenizer, ROWS, max_length=8, token_dropout=0.5)
    assert len({tuple(rows[0]["input_ids"].tolist()) for _ in range(30)}) > 1


def built(hyperparams: BertHyperparams) -> Network:
    encoder = encoders.load(hyperparams.model_name, TEXTS, max_length=8, extend_vocabulary="never")
    return models.build(hyperparams, {"a": 0, "b": 1}, encoder)


def test_only_matrices_decay_and_new_weights_learn_faster_by_their_factor(tiny_bert: Path):
    hyperparams = BertHyperparams(
        model_name=str(tiny_bert), learning_rate=1e-3, new_weights_factor=5.0, weight_decay=0.02
    )
    network = built(hyperparams)
    optimizer, _ = fitting._optimizer(network, hyperparams, steps=10)
    of = {
        id(weight): (group["initial_lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for weight in group["params"]
    }
    named = {name: of[id(weight)] for name, weight in network.module.named_parameters()}
    assert named["classifier.weight"] == (5e-3, 0.02)
    assert named["classifier.bias"] == (5e-3, 0.0)
    assert named["bert.embeddings.LayerNorm.weight"] == (1e-3, 0.0)
    assert named["bert.encoder.layer.0.attention.self.query.weight"] == (1e-3, 0.02)


def test_the_learning_rate_rises_through_the_warm_up_then_falls_in_a_line_to_zero(tiny_bert: Path):
    hyperparams = BertHyperparams(
        model_name=str(tiny_bert), learning_rate=1e-3, new_weights_factor=1.0, warmup_ratio=0.2
    )
    network = built(hyperparams)
    optimizer, schedule = fitting._optimizer(network, hyperparams, steps=10)
    rates = []
    for _ in range(10):
        rates.append(schedule.get_last_lr()[0] * 1e3)
        optimizer.step()
        schedule.step()
    # two steps up, then eight down
    assert rates == pytest.approx([0, 0.5, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8])
    assert schedule.get_last_lr()[0] == 0


@pytest.mark.parametrize("wanted", ["bfloat16", "float32"])
def test_a_precision_that_is_asked_for_is_the_one_used(wanted: str):
    assert fitting._precision(wanted) == wanted


def test_the_weights_kept_are_those_of_the_best_epoch_not_of_the_last(tiny_bert: Path, tmp_path: Path):
    """Validation labels that are all wrong: the better the training goes, the worse its epochs are."""
    hyperparams = BertHyperparams(
        model_name=str(tiny_bert),
        epochs=12,
        batch_size=60,
        learning_rate=3e-3,
        new_weights_factor=1.0,
        patience=0,
    )
    torch.manual_seed(0)
    encoder = encoders.load(str(tiny_bert), TEXTS, max_length=128, extend_vocabulary="never")
    network = models.build(hyperparams, {"a": 0, "b": 1, "c": 2}, encoder)
    wrong = (ROWS.labels_B + 1) % 3
    figures: list[float] = []
    outcome = fitting.fit(
        network,
        encoder.tokenizer,
        hyperparams,
        train=ROWS,
        validation=Labelled(TEXTS, wrong),
        checkpoints=tmp_path,
        on_epoch=lambda _, metrics: figures.append(metrics["val_f1_weighted"]),
    )
    assert (len(figures), figures[-1]) == (12, 0)  # it learned, so the last epoch is the worst
    best = int(np.argmax(figures))
    assert (outcome.best_epoch, outcome.best_f1_weighted) == (best + 1, figures[best])
    predicted = predict_logits(network.module, encoder.tokenizer, TEXTS, max_length=128).argmax(axis=-1)
    kept = f1_score(wrong, predicted, average="weighted", zero_division=0)
    assert kept == pytest.approx(figures[best])
    assert kept > 0.1


def sampled_batches(lengths: list[int], batch_size: int, *, seed: int) -> list[list[int]]:
    torch.manual_seed(seed)
    order = list(fitting.LengthBatchedSampler(lengths, batch_size))
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def test_every_row_is_sampled_once_an_epoch_and_the_odd_batch_comes_last():
    batches = sampled_batches([i % 37 + 1 for i in range(1000)], 64, seed=0)
    assert sorted(row for batch in batches for row in batch) == list(range(1000))
    assert [len(batch) for batch in batches] == [64] * 15 + [1000 - 15 * 64]


def test_a_batch_holds_like_lengths():
    lengths = [i % 37 + 1 for i in range(1000)]
    spreads = [
        max(lengths[i] for i in batch) - min(lengths[i] for i in batch)
        for batch in sampled_batches(lengths, 64, seed=0)[:-1]
    ]
    # 960 rows sorted into 15 batches: each holds a fifteenth of 37 lengths, and both its edges
    assert max(spreads) <= 4


def test_batches_do_not_come_in_order_of_length():
    lengths = [i % 37 + 1 for i in range(1000)]
    means = [np.mean([lengths[i] for i in batch]) for batch in sampled_batches(lengths, 64, seed=0)[:-1]]
    assert abs(np.corrcoef(means, range(len(means)))[0, 1]) < 0.7


def test_batches_are_drawn_anew_each_epoch_and_alike_from_one_seed():
    lengths = [i % 37 + 1 for i in range(1000)]
    assert sampled_batches(lengths, 64, seed=1) == sampled_batches(lengths, 64, seed=1)
    assert sampled_batches(lengths, 64, seed=1) != sampled_batches(lengths, 64, seed=2)
