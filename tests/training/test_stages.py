"""One run of training: what it writes, what it selects on, and that the test part teaches it nothing."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import f1_score

from intents.errors import ConfigError
from intents.models import directory
from intents.models.network import predict_logits
from intents.parameters.training import train as declarations
from intents.training import stages
from tests.conftest import INTENTS, UNSPELLABLE, Trained, train_and_save

EPOCH_METRICS = {"train_loss", "val_accuracy", "val_f1_weighted", "val_f1_macro", "val_nll", "val_loss"}


def train_textcnn(
    settings: Mapping[str, str], folder: Path, **changes: str
) -> tuple[Trained, dict[int, Mapping[str, float]]]:
    """A tiny TextCNN, trained and saved, and its loss terms by step."""
    sizes = {"channels": "16", "embedding_size": "8", "learning_rate": "0.01", "epochs": "4"}
    config = declarations.train_config("textcnn", {**settings, "model_name": "char", **sizes, **changes})
    steps: dict[int, Mapping[str, float]] = {}
    return train_and_save(config, folder, on_step=steps.__setitem__), steps


@pytest.fixture(scope="module")
def notebook(train_tiny: Callable[..., Trained]) -> Trained:
    """Trained by the source notebook's recipe, sizes aside."""
    return train_tiny(recipe="notebook")


def weighted_f1(made: Trained, part: str) -> float:
    """scikit-learn's figure for the finished model on one part."""
    rows = made.corpus.part(part)
    logits = predict_logits(
        made.result.module, made.result.tokenizer, texts=rows["text"].tolist(), max_length=32
    )
    predicted = [made.corpus.intents[i] for i in logits.argmax(axis=-1)]
    return f1_score(rows["label"], predicted, average="weighted", zero_division=0)


def test_the_directory_has_every_file_of_the_layout_and_no_other(trained: Trained):
    assert {path.name for path in trained.directory.iterdir()} == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "intent_mapping.json",
        "evaluation_metrics.json",
        "classification_report.csv",
        "training_summary.json",
        "confusion_matrix.png",
        "intent_distribution.png",
        "length_distribution.png",
        "per_intent_f1.png",
        "energies.png",
        "reliability.png",
        "open_set_kinds.csv",
        "open_set_scores.csv",
        "hardest_samples.csv",
        "sanity_predictions.csv",
        "training_rows.u64",
        "manifest.json",
    }
    directory.verify(trained.directory)


@pytest.mark.parametrize("made", ["trained", "notebook"])
def test_evaluation_metrics_has_the_agreed_keys_and_the_true_sizes(made: str, request: pytest.FixtureRequest):
    run: Trained = request.getfixturevalue(made)
    found = json.loads((run.directory / "evaluation_metrics.json").read_text("utf-8"))
    agreed = (
        "timestamp model_name epochs max_length batch_size learning_rate train_size test_size num_labels eval"
    )
    assert list(found) == agreed.split()
    sizes = (found["train_size"], found["test_size"], found["num_labels"])
    assert sizes == (len(run.corpus.part("train")), len(run.corpus.part("test")), 4)
    assert (found["epochs"], found["batch_size"], found["learning_rate"]) == (2, 8, 0.003)
    assert found["eval"]["f1_weighted"] == pytest.approx(weighted_f1(run, "test"))


def test_training_summary_counts_intents_and_rows(trained: Trained):
    found = json.loads((trained.directory / "training_summary.json").read_text("utf-8"))
    rows = {part: len(trained.corpus.part(part)) for part in ("train", "test", "validation")}
    assert (found["intent_count"], found["train_rows"], found["test_rows"]) == (
        4,
        rows["train"],
        rows["test"],
    )
    assert found["validation_rows"] == rows["validation"] > 0
    assert sum(rows.values()) == 128


def test_the_classification_report_has_a_row_an_intent_then_the_averages(trained: Trained):
    table = pd.read_csv(trained.directory / "classification_report.csv", index_col=0)
    assert list(table.index) == [*trained.corpus.intents, "accuracy", "macro avg", "weighted avg"]
    assert list(table.columns) == ["precision", "recall", "f1-score", "support"]


def test_hardest_samples_are_the_wrong_in_scope_predictions_the_most_confident_first(trained: Trained):
    found = pd.read_csv(trained.directory / "hardest_samples.csv")
    predictions = trained.result.test.predictions
    in_scope = predictions[predictions["true_intent"] != ""]
    wrong = in_scope["true_intent"] != in_scope["pred_intent"]
    assert 2 <= wrong.sum() < len(in_scope) < len(predictions)  # the fixture has all three kinds
    assert list(found.columns) == ["text", "true_intent", "pred_intent", "confidence"]
    assert (found["true_intent"] != found["pred_intent"]).all()
    assert found["confidence"].is_monotonic_decreasing
    assert sorted(found["text"]) == sorted(in_scope.loc[wrong, "text"])


def test_sanity_predictions_are_what_the_directory_says_once_reloaded(trained: Trained):
    table = pd.read_csv(trained.directory / "sanity_predictions.csv", dtype=str)
    assert list(table["text"]) == ["你好呀，等下聊聊？", "我这会儿不方便接电话", "地址可以发一下吗？"]
    loaded = directory.load(trained.directory)
    logits = predict_logits(loaded.module, loaded.tokenizer, texts=table["text"].tolist(), max_length=32)
    highest = torch.softmax(torch.tensor(logits), dim=-1).max(dim=-1)
    assert list(table["intent"]) == [loaded.intents[i] for i in highest.indices]
    assert list(table["confidence"]) == [f"{value:.4f}" for value in highest.values.tolist()]


def test_predictions_hold_each_test_utterance_once_in_scope_then_out_of_scope(trained: Trained):
    corpus, predictions = trained.corpus, trained.result.test.predictions
    out_of_scope = corpus.out_of_scope_part("test")
    assert len(out_of_scope) > 0
    assert list(predictions["text"]) == [*corpus.part("test")["text"], *out_of_scope["text"]]
    assert list(predictions["true_intent"]) == [*corpus.part("test")["label"], *[""] * len(out_of_scope)]
    threshold = trained.result.rejection.energy_threshold
    assert list(predictions["in_scope"]) == [energy <= threshold for energy in predictions["energy"]]


def test_energies_and_confidences_belong_to_the_same_logits(trained: Trained):
    row = trained.result.test.predictions.iloc[0]
    loaded = directory.load(trained.directory)
    logits = predict_logits(loaded.module, loaded.tokenizer, texts=[row["text"]], max_length=32)[0].astype(
        float
    )
    assert row["energy"] == pytest.approx(-np.log(np.exp(logits).sum()), abs=1e-5)
    assert row["confidence"] == pytest.approx(np.exp(logits.max() + row["energy"]), abs=1e-5)


def test_every_epoch_is_reported_once_with_the_agreed_names(trained: Trained):
    assert list(trained.epochs) == [1, 2]
    assert all(set(metrics) == EPOCH_METRICS for metrics in trained.epochs.values())
    assert all(np.isfinite(list(metrics.values())).all() for metrics in trained.epochs.values())


def test_a_corpus_the_encoder_cannot_spell_is_noted_with_what_was_done(trained: Trained):
    (note,) = trained.notes
    assert "1 missing characters were added" in note
    assert trained.result.facts["added_tokens"] == 1
    spelled = trained.result.tokenizer(UNSPELLABLE, add_special_tokens=False)["input_ids"]
    assert trained.result.tokenizer.unk_token_id not in spelled


def test_training_stops_after_patience_epochs_without_a_better_one(train_tiny: Callable[..., Trained]):
    made = train_tiny(epochs="40", learning_rate="0.2", patience="2")
    assert made.result.fit.epochs_run == made.result.fit.best_epoch + 2 < 40


def test_the_notebook_recipe_selects_on_the_test_part_and_keeps_no_validation_rows(notebook: Trained):
    assert notebook.corpus.part("validation").empty
    assert len(notebook.corpus.part("train")) + len(notebook.corpus.part("test")) == 128
    assert notebook.result.fit.best_f1_weighted == pytest.approx(weighted_f1(notebook, "test"))


def test_the_default_recipe_selects_on_validation_rows(trained: Trained):
    assert len(trained.corpus.part("validation")) > 0
    assert trained.result.fit.best_f1_weighted == pytest.approx(weighted_f1(trained, "validation"))
    assert weighted_f1(trained, "validation") != pytest.approx(weighted_f1(trained, "test"))


def test_the_notebook_recipe_leaves_the_tokenizer_as_it_was(notebook: Trained):
    assert notebook.result.facts["added_tokens"] == 0
    (note,) = notebook.notes
    assert "extend_vocabulary=auto" in note


def test_test_rows_change_neither_weights_nor_vocabulary_nor_threshold(trained: Trained, tmp_path: Path):
    rows = trained.corpus.rows.copy()
    is_test = rows["part"] == "test"
    rows.loc[is_test, "text"] = [f"龘靐{i}" for i in range(is_test.sum())]
    rows.loc[is_test, "label"] = rows.loc[is_test, "label"].to_numpy()[::-1]
    changed = dataclasses.replace(trained.corpus, rows=rows)
    again = stages.train(
        trained.config,
        changed,
        checkpoints=tmp_path / "checkpoints",
    )
    assert list(again.test.predictions["text"]) != list(trained.result.test.predictions["text"])
    assert again.rejection == trained.result.rejection
    assert again.tokenizer.get_vocab() == trained.result.tokenizer.get_vocab()
    before, after = trained.result.module.state_dict(), again.module.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_another_seed_trains_another_model_on_the_same_rows(
    trained: Trained, train_tiny: Callable[..., Trained]
):
    other = train_tiny(seed="7")
    assert other.corpus.digest == trained.corpus.digest
    before, after = trained.result.module.state_dict(), other.result.module.state_dict()
    assert not torch.equal(before["classifier.weight"], after["classifier.weight"])


def test_the_name_of_what_is_rejected_must_not_be_an_intent(train_tiny: Callable[..., Trained]):
    taken = next(iter(INTENTS))
    with pytest.raises(ConfigError, match=f"unknown_intent='{taken}' is an intent"):
        train_tiny(unknown_intent=taken)


def test_the_textcnn_notebook_recipe_reports_its_loss_terms_and_keeps_its_fixed_rule(
    tiny_settings: dict[str, str], tiny_bert: Path, tmp_path: Path
):
    changes = {"recipe": "notebook", "model_name": str(tiny_bert), "batch_size": "24", "epochs": "19"}
    made, steps = train_textcnn(tiny_settings, tmp_path, **changes)
    assert made.corpus.part("validation").empty
    assert len(made.corpus.trainable_out_of_scope()) > 0
    assert (made.result.rejection.energy_threshold, made.result.rejection.target) == (-3.0, "fixed")
    assert made.result.rejection.fitted_temperature == 1.0
    assert list(steps) == [0, 50]  # 19 epochs of 4 or 5 batches; one in 50 is reported
    for terms in steps.values():
        assert list(terms) == ["loss", "cross_entropy_loss", "energy_loss", "norm_loss"]
        assert terms["loss"] == pytest.approx(terms["cross_entropy_loss"] + 0.1 * terms["energy_loss"] + 10)
        assert terms["norm_loss"] == pytest.approx(10 * np.exp(0.003 * terms["loss"]))
    assert steps[50]["loss"] < steps[0]["loss"]
    assert 0 < made.result.facts["explained_variance"] <= 1
    assert set(made.epochs[1]) == EPOCH_METRICS


def test_the_textcnn_trains_as_the_bert_does_but_on_no_special_token(
    tiny_settings: dict[str, str], tmp_path: Path
):
    made, steps = train_textcnn(tiny_settings, tmp_path)
    assert {path.name for path in made.directory.iterdir()} >= {"model.safetensors", "energies.png"}
    assert list(made.epochs) == [1, 2, 3, 4]
    assert all(set(metrics) == EPOCH_METRICS for metrics in made.epochs.values())
    assert {"loss", "in_scope_energy_loss", "negative_energy_loss"} <= steps[0].keys()
    assert made.result.tokenizer("你好")["input_ids"] == made.result.tokenizer.convert_tokens_to_ids(
        ["你", "好"]
    )
    assert made.result.fit.best_f1_weighted == pytest.approx(weighted_f1(made, "validation"))
    assert weighted_f1(made, "validation") > 0.25  # better than one intent for everything


def test_out_of_scope_rows_that_are_measured_change_no_weight_but_negatives_do(
    tiny_settings: dict[str, str], tmp_path: Path
):
    made, _ = train_textcnn(tiny_settings, tmp_path / "first")

    def weights_with(changed_part: str) -> dict[str, torch.Tensor]:
        rows = made.corpus.out_of_scope.copy()
        is_changed = rows["part"] == changed_part
        assert is_changed.sum() > 1
        rows.loc[is_changed, "text"] = "你好呀"
        again = stages.train(
            made.config,
            dataclasses.replace(made.corpus, out_of_scope=rows),
            checkpoints=tmp_path / changed_part,
        )
        return again.module.state_dict()

    before = made.result.module.state_dict()
    for part, is_trained_on in (("test", False), ("validation", False), ("train", True)):
        after = weights_with(part)
        assert all(torch.equal(before[name], after[name]) for name in before) != is_trained_on


def test_a_small_corpus_whose_epochs_are_stretched_says_so_and_how_to_try_quickly(
    train_tiny: Callable[..., Trained],
):
    (note,) = [note for note in train_tiny(epochs="2", min_steps="40").notes if "min_steps" in note]
    assert note.startswith("each of the 2 epochs makes 2 passes over ")
    assert "min_steps=40 asks; for a smoke test pass epochs=1 and min_steps=0" in note
