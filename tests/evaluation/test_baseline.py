"""The baseline: what scikit-learn makes of the same rows, deterministic, and never asked of a row it was trained on."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score

from intents.data import corpus as corpora
from intents.data.corpus import Corpus
from intents.evaluation import baseline
from intents.parameters.data import SAMPLE_CORPUS_DIR, DataConfig

ROOT = Path(__file__).parents[2]
BLACKLIST = str(ROOT / "assets" / "blacklist.txt")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    config = DataConfig(
        data=str(ROOT / SAMPLE_CORPUS_DIR), blacklist=BLACKLIST, workspace=str(tmp_path_factory.mktemp("w"))
    )
    return corpora.load(config)


def test_its_figures_are_those_of_a_fully_converged_solver_on_the_same_rows(sample: Corpus) -> None:
    trained = sample.rows[sample.rows["part"] != "test"]
    tested = sample.part("test")
    features = TfidfVectorizer(analyzer="char", ngram_range=(1, 2), sublinear_tf=True)
    solver = LogisticRegression(C=10, max_iter=5000, tol=1e-6)
    solver.fit(features.fit_transform(trained["text"]), trained["label"])
    predicted = solver.predict(features.transform(tested["text"]))
    found = baseline.measure(sample)
    assert found.keys() == {"baseline_accuracy", "baseline_f1_weighted"}
    within = 3.5 / len(tested)  # three test rows of 303
    assert found["baseline_accuracy"] == pytest.approx(accuracy_score(tested["label"], predicted), abs=within)
    expected = f1_score(tested["label"], predicted, average="weighted")
    assert found["baseline_f1_weighted"] == pytest.approx(expected, abs=2 * within)
    assert found["baseline_accuracy"] > 5 / 30  # five times chance: the fixture can be learned


def test_it_says_the_same_every_time(sample: Corpus) -> None:
    assert baseline.measure(sample) == baseline.measure(sample)


def test_the_published_figures_of_the_chinese_corpora(
    shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    names = ("telemarketing_intent_cn", "crosswoz")
    config = DataConfig(
        data=",".join(str(shared_data / name / f"{name}.jsonl") for name in names),
        blacklist=BLACKLIST,
        split="stratified",
        workspace=str(tmp_path_factory.mktemp("w")),
    )
    found = baseline.measure(corpora.load(config))
    # Measured before with the L-BFGS solver on the same 8,112 rows: 0.8550 and 0.8541.
    assert found["baseline_accuracy"] == pytest.approx(0.8550, abs=0.002)
    assert found["baseline_f1_weighted"] == pytest.approx(0.8541, abs=0.002)


def test_repeats_share_a_fold_whatever_else_is_there_and_the_seed_deals_anew() -> None:
    texts = [f"{intent}{i}" for intent in "abc" for i in range(200)]
    folds = baseline.fold_numbers(texts, folds=5, seed=0)
    repeats = baseline.fold_numbers([f" {text.upper()}!" for text in texts], folds=5, seed=0)
    assert repeats.tolist() == folds.tolist()
    assert baseline.fold_numbers(texts[100:], folds=5, seed=0).tolist() == folds[100:].tolist()
    assert baseline.fold_numbers(texts, folds=5, seed=1).tolist() != folds.tolist()
    assert np.bincount(folds, minlength=5) == pytest.approx(120, abs=40)


def test_no_row_is_asked_of_a_model_that_saw_it_or_a_repeat_of_it() -> None:
    """Random texts under random labels: whoever has seen the row knows its label, whoever has not can't."""
    generator = np.random.default_rng(0)
    texts = ["".join(chr(c) for c in generator.integers(0x4E00, 0x9000, 6)) for _ in range(150)]
    labels = generator.integers(0, 5, 150)
    doubled, twice = [*texts, *(f"{text}。" for text in texts)], np.tile(labels, 2)
    by_heart = baseline.fitted(texts, labels).predict([f"{text}。" for text in texts])
    assert (by_heart == labels).mean() > 0.95  # the fixture can be learned by heart
    found = baseline.out_of_fold_probabilities(doubled, twice, folds=5, seed=0, number_of_intents=5)
    assert found.shape == (300, 5)
    assert found.sum(axis=1) == pytest.approx(1)
    assert (found.argmax(axis=1) == twice).mean() < 0.4


def test_an_intent_of_one_row_has_no_probability_and_folds_are_told() -> None:
    texts = [*(f"red {i}" for i in range(10)), *(f"blue {i}" for i in range(10)), "odd"]
    labels = np.array([0] * 10 + [1] * 10 + [2])
    told: list[int] = []
    found = baseline.out_of_fold_probabilities(
        texts, labels, folds=5, seed=0, number_of_intents=4, on_fold=told.append
    )
    assert told == [1, 2, 3, 4, 5]
    assert found[20, 2] == 0
    assert found[:, 3].tolist() == [0] * 21
    assert (found[:20].argmax(axis=1) == labels[:20]).all()


def test_a_row_that_only_rows_of_one_intent_are_left_to_judge_is_given_that_intent() -> None:
    texts = [f"red {i}" for i in range(30)]
    folds = baseline.fold_numbers(texts, folds=5, seed=0)
    labels = np.where(folds == 0, 0, 1)  # intent 0 is in the first fold alone
    found = baseline.out_of_fold_probabilities(texts, labels, folds=5, seed=0, number_of_intents=2)
    assert (folds == 0).any()
    assert set(map(tuple, found[folds == 0])) == {(0.0, 1.0)}


def test_a_row_that_nothing_is_left_to_judge_has_no_probability_at_all() -> None:
    found = baseline.out_of_fold_probabilities(["a"], np.array([0]), folds=5, seed=0, number_of_intents=2)
    assert found.tolist() == [[0, 0]]
