"""The loop's parts: which weights learn how fast, which epoch is kept, which rows share a batch."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from intents.models import families
from intents.models.encoders import encoder as encoders
from intents.models.encoders.encoder import Encoder
from intents.models.network import Network, predict_logits
from intents.parameters.training.bert import BertHyperparams
from intents.parameters.training.hyperparams import Hyperparams
from intents.parameters.training.textcnn import TextCNNHyperparams
from intents.training import fit, selection
from intents.training.batches import Labelled, LengthBatchedSampler, TokenDataset, tokens_of
from intents.training.callbacks import Callbacks
from intents.training.fit import Fit

TEXTS = ["你好呀朋友", "几点钟", "马上还款，谢谢"] * 20
ROWS = Labelled(TEXTS, np.array([0, 1, 2] * 20))
NEGATIVES = ["天气下雨", "足球比赛呢", "播放音乐"] * 4
NOWHERE = Path("nothing-is-kept-here")

Settings = dict[str, Any]


def tiny_hyperparams(family: str, tiny_bert: Path, **changes: Any) -> Hyperparams:
    """What one family learns ROWS with, in a few steps."""
    shared: Settings = {
        "model_name": str(tiny_bert),
        "learning_rate": 3e-3,
        "new_weights_factor": 1.0,
        "min_steps": 0,
    }
    if family == "bert":
        return BertHyperparams(**shared | changes)
    return TextCNNHyperparams(
        **shared | {"learning_rate": 2e-2, "members": 2, "embedding_size": 16, "channels": 8} | changes
    )


def built(hyperparams: Hyperparams, intents: int = 3) -> tuple[Network, Encoder]:
    torch.manual_seed(0)
    encoder = encoders.load(hyperparams, TEXTS, workspace=NOWHERE)
    return families.build(hyperparams, {f"intent {i}": i for i in range(intents)}, encoder=encoder), encoder


def run_fit(
    network: Network,
    encoder: Encoder,
    hyperparams: Hyperparams,
    checkpoints: Path,
    *,
    validation: Labelled = ROWS,
    negatives: list[str] | None = None,
    on_epoch: Callable[[int, Mapping[str, float]], None] = lambda *_: None,
    on_step: Callable[[int, Mapping[str, float]], None] = lambda *_: None,
) -> Fit:
    return fit.fit(
        network,
        encoder.tokenizer,
        hyperparams=hyperparams,
        train=TokenDataset.of(encoder.tokenizer, ROWS, max_length=hyperparams.max_length),
        validation=TokenDataset.of(encoder.tokenizer, validation, max_length=hyperparams.max_length),
        negatives=tokens_of(encoder.tokenizer, negatives or [], max_length=hyperparams.max_length),
        folder=checkpoints,
        callbacks=Callbacks(on_epoch, on_step, draws_bar=False),
    )


def test_a_training_row_is_the_utterances_tokens_and_its_label():
    _, encoder = built(BertHyperparams(model_name="char"))
    rows = TokenDataset.of(encoder.tokenizer, ROWS, max_length=8)
    assert rows[1] == {"input_ids": encoder.tokenizer("几点钟")["input_ids"], "labels": 1}
    assert len(rows) == 60


def test_an_utterance_is_cut_at_the_longest_length():
    _, encoder = built(BertHyperparams(model_name="char"))
    assert len(TokenDataset.of(encoder.tokenizer, ROWS, max_length=5)[0]["input_ids"]) == 5


def test_only_matrices_decay_and_new_weights_learn_faster_by_their_factor(tiny_bert: Path):
    hyperparams = BertHyperparams(
        model_name=str(tiny_bert), learning_rate=1e-3, new_weights_factor=5.0, weight_decay=0.02
    )
    network, _ = built(hyperparams)
    optimizer, _ = fit._optimizer(network, hyperparams, steps=10)
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
    network, _ = built(hyperparams)
    optimizer, schedule = fit._optimizer(network, hyperparams, steps=10)
    # two steps up, then eight down
    assert rates_of(optimizer, schedule, steps=10) == pytest.approx(
        [0, 0.5, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]
    )
    assert schedule.get_last_lr()[0] == 0


@pytest.mark.parametrize(("warmup_ratio", "rates"), [(0.0, [1] * 10), (0.2, [0, 0.5, *[1] * 8])])
def test_a_constant_learning_rate_stays_where_the_warm_up_left_it(
    warmup_ratio: float, rates: list[float], tiny_bert: Path
):
    hyperparams = BertHyperparams(
        model_name=str(tiny_bert),
        learning_rate=1e-3,
        new_weights_factor=1.0,
        warmup_ratio=warmup_ratio,
        schedule="constant",
    )
    network, _ = built(hyperparams)
    assert rates_of(*fit._optimizer(network, hyperparams, steps=10), steps=10) == pytest.approx(rates)


def rates_of(optimizer: Any, schedule: Any, *, steps: int) -> list[float]:
    """The learning rate of each step, in thousandths."""
    rates = []
    for _ in range(steps):
        rates.append(schedule.get_last_lr()[0] * 1e3)
        optimizer.step()
        schedule.step()
    return rates


def test_a_frozen_table_is_not_the_optimizers_and_every_other_weight_is():
    hyperparams = TextCNNHyperparams(train_embeddings=False, embedding_size=16, channels=8)
    network, _ = built(hyperparams)
    optimizer, _ = fit._optimizer(network, hyperparams, steps=10)
    optimised = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
    left_out = {name for name, weight in network.module.named_parameters() if id(weight) not in optimised}
    assert left_out == {"embeddings.weight"}


def test_an_epoch_of_a_small_corpus_makes_several_passes(tiny_bert: Path, tmp_path: Path):
    hyperparams = tiny_hyperparams("textcnn", tiny_bert, epochs=2, batch_size=len(TEXTS), min_steps=8)
    network, encoder = built(hyperparams)
    epochs: list[int] = []
    outcome = run_fit(network, encoder, hyperparams, tmp_path, on_epoch=lambda epoch, _: epochs.append(epoch))
    assert (outcome.epochs_run, epochs) == (2, [1, 2])
    samples = outcome.samples_per_second * outcome.seconds
    assert samples == pytest.approx(8 * len(TEXTS))


def test_the_latest_epoch_within_one_standard_error_of_the_best_is_kept():
    # Of 100 rows with the best at 0.8: one standard error is 0.04.
    figures = [0.5, 0.79, 0.8, 0.77, 0.75, 0.761, 0.7]
    select = selection.Selection("latest")
    numbers = [select(figure, rows=100) for figure in figures]
    assert numbers == [1, 2, 3, 4, 0, 6, 0]
    assert int(np.argmax(numbers)) == 5  # 0.761: what came after fell too far


def test_with_more_rows_fewer_epochs_are_alike():
    select = selection.Selection("latest")
    assert [select(figure, rows=10_000) for figure in (0.8, 0.79, 0.797)] == [1, 0, 3]


def test_strictly_the_best_epoch_is_kept_when_asked_for():
    select = selection.Selection("best")
    assert [select(figure, rows=100) for figure in (0.5, 0.8, 0.79)] == [0.5, 0.8, 0.79]


@pytest.mark.parametrize("wanted", ["bfloat16", "float32"])
def test_a_precision_that_is_asked_for_is_the_one_used(wanted: str):
    assert fit.precision_of(wanted) == wanted


@pytest.mark.parametrize("family", families.FAMILIES)
def test_the_weights_kept_are_those_of_the_best_epoch_not_of_the_last(
    family: str, tiny_bert: Path, tmp_path: Path
):
    """Validation labels that are all wrong: the better the training goes, the worse its epochs are."""
    hyperparams = tiny_hyperparams(family, tiny_bert, epochs=12, batch_size=60, patience=0, selection="best")
    network, encoder = built(hyperparams)
    wrong = (ROWS.labels_B + 1) % 3
    figures: list[float] = []
    outcome = run_fit(
        network,
        encoder,
        hyperparams,
        tmp_path,
        validation=Labelled(TEXTS, wrong),
        on_epoch=lambda _, metrics: figures.append(metrics["val_f1_weighted"]),
    )
    assert (len(figures), figures[-1]) == (12, 0)  # it learned, so the last epoch is the worst
    best = int(np.argmax(figures))
    assert (outcome.best_epoch, outcome.best_f1_weighted) == (best + 1, figures[best])
    predicted = predict_logits(network.module, encoder.tokenizer, texts=TEXTS, max_length=128).argmax(axis=-1)
    kept = f1_score(wrong, predicted, average="weighted", zero_division=0)
    assert kept == pytest.approx(figures[best])
    assert kept > 0.1


@pytest.mark.parametrize("energy_objective", ["margin", "notebook"])
@pytest.mark.parametrize("family", families.FAMILIES)
def test_every_family_trains_under_every_energy_objective(
    family: str, energy_objective: str, tiny_bert: Path, tmp_path: Path
):
    hyperparams = tiny_hyperparams(
        family,
        tiny_bert,
        epochs=10,
        batch_size=20,
        energy_weight=0.1,
        energy_objective=energy_objective,
        negative_batch_size=5,
    )
    network, encoder = built(hyperparams)
    run_fit(network, encoder, hyperparams, tmp_path, negatives=NEGATIVES)
    predicted = predict_logits(network.module, encoder.tokenizer, texts=TEXTS, max_length=64).argmax(axis=-1)
    assert (predicted == ROWS.labels_B).all()


def test_loss_terms_are_reported_at_the_first_step_and_every_fiftieth(tiny_bert: Path, tmp_path: Path):
    # 60 rows in batches of 4: 15 steps an epoch, 105 in all
    hyperparams = tiny_hyperparams(
        "textcnn", tiny_bert, epochs=7, batch_size=4, patience=0, energy_objective="notebook"
    )
    network, encoder = built(hyperparams)
    seen: dict[int, Mapping[str, float]] = {}
    run_fit(network, encoder, hyperparams, tmp_path, negatives=NEGATIVES, on_step=seen.__setitem__)
    assert list(seen) == [0, 50, 100]
    for terms in seen.values():
        assert terms.keys() == {"loss", "cross_entropy_loss", "energy_loss", "norm_loss"}
        assert terms["loss"] == pytest.approx(
            terms["cross_entropy_loss"] + 0.5 * terms["energy_loss"] + 10, rel=1e-5
        )


def test_the_validation_loss_is_cross_entropy_alone_whatever_is_trained_on(tiny_bert: Path, tmp_path: Path):
    hyperparams = tiny_hyperparams(
        "textcnn",
        tiny_bert,
        epochs=1,
        batch_size=60,
        energy_objective="notebook",
        label_smoothing=0.2,
        precision="float32",
    )
    network, encoder = built(hyperparams)
    seen: dict[int, Mapping[str, float]] = {}
    run_fit(network, encoder, hyperparams, tmp_path, negatives=NEGATIVES, on_epoch=seen.__setitem__)
    logits_BC = torch.from_numpy(
        predict_logits(network.module, encoder.tokenizer, texts=TEXTS, max_length=64)
    )
    labels_B = torch.from_numpy(ROWS.labels_B)
    by_torch = torch.nn.functional.cross_entropy(logits_BC, labels_B, label_smoothing=0.2).item()
    assert seen[1]["val_loss"] == pytest.approx(by_torch, abs=1e-5)
    assert seen[1]["train_loss"] > 10  # the notebook's loss has 10 added to it


@pytest.mark.parametrize("trains", [True, False])
def test_training_changes_the_token_table_only_where_it_may(trains: bool, tiny_bert: Path, tmp_path: Path):
    hyperparams = tiny_hyperparams("textcnn", tiny_bert, epochs=2, batch_size=20, train_embeddings=trains)
    network, encoder = built(hyperparams)
    before = {name: weight.detach().clone() for name, weight in network.module.named_parameters()}
    run_fit(network, encoder, hyperparams, tmp_path, negatives=NEGATIVES)
    changed = {
        name for name, weight in network.module.named_parameters() if not torch.equal(weight, before[name])
    }
    assert before.keys() - changed == (set() if trains else {"embeddings.weight"})
    padding = network.module.config.pad_token_id
    assert not network.module.embeddings.weight[padding].any()


def sampled_batches(lengths: list[int], batch_size: int, *, seed: int) -> list[list[int]]:
    torch.manual_seed(seed)
    order = list(LengthBatchedSampler(lengths, batch_size))
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
