"""What temperature and threshold are fitted on: rows held out, or answers out of fold where few could be."""

import dataclasses
import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from intents.data.corpus import Corpus
from intents.models import energy
from intents.parameters.training.bert import BertHyperparams
from intents.tracking.training import training_run
from intents.training import stages
from intents.training.validation import FOLDS, Answers, folds_to_answer
from intents.training.validation import cross_fitted as cross_fitted_answers
from tests.conftest import Trained


@pytest.fixture(scope="module")
def fold_trainings() -> list[pd.DataFrame]:
    """The rows that each training was given, the one that is kept first."""
    return []


@pytest.fixture(scope="module")
def cross_fitted(train_tiny: Callable[..., Trained], fold_trainings: list[pd.DataFrame]) -> Trained:
    fitted = stages.fitted

    def watched(config, corpus, **arguments):
        fold_trainings.append(corpus.rows)
        return fitted(config, corpus, **arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "fitted", watched)
        return train_tiny(validation="cross_fitted")


def test_all_rows_are_trained_on_and_the_test_part_is_the_same(cross_fitted: Trained, trained: Trained):
    corpus, held_out = cross_fitted.corpus, trained.corpus
    assert corpus.part("validation").empty
    assert len(corpus.part("train")) == len(held_out.part("train")) + len(held_out.part("validation"))
    assert list(corpus.part("test")["text"]) == list(held_out.part("test")["text"])
    (note,) = (note for note in cross_fitted.notes if "rows were trained on" in note)
    assert note.startswith(f"all {len(corpus.part('train'))} rows")


@pytest.mark.usefixtures("cross_fitted")
def test_each_row_is_answered_once_by_a_training_that_has_not_seen_it(fold_trainings: list[pd.DataFrame]):
    kept, *folds = fold_trainings
    assert len(folds) == FOLDS  # so few rows that all folds are needed
    tested = set(kept.index[kept["part"] == "test"])
    answered = [index for fold in folds for index in fold.index[fold["part"] == "validation"]]
    assert sorted(answered) == sorted(set(kept.index) - tested)
    assert all(set(fold.index[fold["part"] == "test"]) == tested for fold in folds)


def test_temperature_threshold_and_f1_are_those_of_the_answers(
    train_tiny: Callable[..., Trained], monkeypatch: pytest.MonkeyPatch
):
    seen = []
    calibrate = stages.calibrate
    monkeypatch.setattr(
        stages,
        "calibrate",
        lambda module, answers, **rest: seen.append(answers) or calibrate(module, answers, **rest),
    )
    made = train_tiny(validation="cross_fitted")
    result = made.result
    (answers,) = seen
    assert len(answers.logits_BC) == len(answers.labels_B) == len(made.corpus.part("train"))
    temperature = energy.fit_temperature(answers.logits_BC, answers.labels_B)
    assert result.rejection.fitted_temperature == temperature
    accepted = energy.energy(answers.logits_BC / temperature) <= result.rejection.energy_threshold
    assert accepted.mean() == pytest.approx(0.95, abs=0.01)
    assert result.rejection.target == "accept 95.0% of in-scope training rows, out of fold"
    predicted = answers.logits_BC.argmax(axis=-1)
    expected = f1_score(answers.labels_B, predicted, average="weighted", zero_division=0)
    assert result.fit.best_f1_weighted == pytest.approx(expected)


def test_the_last_epoch_is_kept_and_only_its_loss_is_told(cross_fitted: Trained):
    assert (cross_fitted.result.fit.best_epoch, cross_fitted.result.fit.epochs_run) == (2, 2)
    assert [set(metrics) for metrics in cross_fitted.epochs.values()] == [{"train_loss"}] * 2
    assert list(cross_fitted.epochs) == [1, 2]
    losses = [metrics["train_loss"] for metrics in cross_fitted.epochs.values()]
    assert np.isfinite(losses).all()
    assert losses[1] < losses[0]


@pytest.mark.parametrize(("fewest", "answered"), [(1, 1), (20, 1), (21, 2), (41, 3), (1000, 5)])
def test_as_many_folds_are_trained_as_hold_enough_rows(
    cross_fitted: Trained, monkeypatch: pytest.MonkeyPatch, fewest: int, answered: int
):
    rows = cross_fitted.corpus.part("train").iloc[:100]
    monkeypatch.setattr("intents.data.corpus.FEWEST_VALIDATION_ROWS", fewest)
    monkeypatch.setattr("intents.data.corpus.FEWEST_AN_INTENT", 0)
    assert len(folds_to_answer(dataclasses.replace(cross_fitted.corpus, rows=rows), seed=0)) == answered


def test_rows_that_repeat_one_utterance_count_as_the_rows_that_they_are(
    cross_fitted: Trained, monkeypatch: pytest.MonkeyPatch
):
    rows = cross_fitted.corpus.part("train").iloc[:50]
    repeated = pd.concat([rows, *[rows.iloc[:1]] * 50], ignore_index=True)
    corpus = dataclasses.replace(cross_fitted.corpus, rows=repeated)
    monkeypatch.setattr("intents.data.corpus.FEWEST_AN_INTENT", 0)
    for fewest in range(1, 100):
        monkeypatch.setattr("intents.data.corpus.FEWEST_VALIDATION_ROWS", fewest)
        sizes = [len(fold.part("validation")) for fold in folds_to_answer(corpus, seed=0)]
        assert sum(sizes) >= fewest > sum(sizes[:-1])


def test_fewer_folds_answer_fewer_rows_and_every_out_of_scope_row(
    cross_fitted: Trained, monkeypatch: pytest.MonkeyPatch
):
    corpus, config, asked = cross_fitted.corpus, cross_fitted.config, []
    monkeypatch.setattr("intents.data.corpus.FEWEST_VALIDATION_ROWS", len(corpus.part("train")) // 4)
    monkeypatch.setattr("intents.data.corpus.FEWEST_AN_INTENT", 0)

    def of_fold(fold: Corpus) -> Answers:
        asked.append(len(fold.part("validation")))
        return Answers(
            logits_BC=np.full((asked[-1], 2), len(asked)),
            labels_B=fold.label_ids("validation"),
            out_of_scope_logits_NC=np.full((5, 2), len(asked)),
        )

    folds = folds_to_answer(corpus, seed=config.data.split_seed)
    answers = cross_fitted_answers(folds, of_fold=of_fold)
    assert len(asked) == 2
    assert answers.logits_BC[:, 0].tolist() == [1] * asked[0] + [2] * asked[1]
    assert answers.out_of_scope_logits_NC[:, 0].tolist() == [1, 1, 1, 2, 2]


def test_rows_that_suffice_for_validation_are_held_out(
    train_tiny: Callable[..., Trained], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("intents.data.corpus.FEWEST_VALIDATION_ROWS", 20)
    monkeypatch.setattr("intents.data.corpus.FEW_ROWS", 20)
    corpus = train_tiny(validation="cross_fitted", epochs="1").corpus
    assert len(corpus.part("validation")) > 20


def test_each_out_of_scope_row_is_answered_once(cross_fitted: Trained):
    rows = len(cross_fitted.corpus.out_of_scope_part("validation"))
    answers = []
    with pytest.MonkeyPatch.context() as patch:
        calibrate = stages.calibrate
        patch.setattr(
            stages,
            "calibrate",
            lambda module, given, **rest: answers.append(given) or calibrate(module, given, **rest),
        )
        with tempfile.TemporaryDirectory() as folder:
            stages.train(cross_fitted.config, cross_fitted.corpus, checkpoints=Path(folder))
    assert len(answers[0].out_of_scope_logits_NC) == rows > 0


def test_folds_are_trained_as_long_as_the_whole_and_alike():
    hyperparams = BertHyperparams(
        model_name="e5", batch_size=10, epochs=6, max_steps=300, consistency_rows=800
    )
    of_fold = hyperparams.for_a_share(800, of=1000)
    assert (of_fold.epochs_over(800), of_fold.patience) == (hyperparams.epochs_over(1000), 0) == (3, 0)
    assert of_fold.consistency_rows == 0  # though 800 rows alone would have been passed twice
    short = BertHyperparams(model_name="e5", epochs=6, min_steps=150, consistency_rows=2000)
    for rows, names in itertools.product(range(40, 1000, 7), (0, 30)):
        whole, fold = rows + names, rows * 4 // 5 + names
        alike = short.for_a_share(fold, of=whole)
        assert (alike.passes(fold), alike.epochs_over(fold)) == (short.passes(whole), 6)
        assert fold <= alike.consistency_rows == whole


@pytest.mark.usefixtures("in_store")
def test_the_run_says_what_chose_its_epoch(cross_fitted: Trained, trained: Trained):
    said = []
    for made in (cross_fitted, trained):
        with mlflow.start_run() as run:
            training_run.tag_selection(made.corpus, made.config.hyperparams)
        said.append(mlflow.get_run(run.info.run_id).data.tags.get("selected_on"))
    assert said == ["nothing: the last epoch is kept", None]
