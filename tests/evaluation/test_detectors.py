"""Scores that tell in-scope from out-of-scope, against scikit-learn, brute force and what is worked out by hand."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.covariance import EmpiricalCovariance
from sklearn.metrics import roc_auc_score

from intents.evaluation import detectors
from intents.models.network import Outputs


def features(seed: int, *, dead: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Train features (60, 6) of intents 1, 4 and 7 in mixed order, their labels, and others; `dead` are all zero."""
    generator = np.random.default_rng(seed)
    labels_B = generator.permutation(np.repeat([1, 4, 7], 20))
    centres_CF = generator.normal(size=(8, 6)) * 4
    mixing_FF = generator.normal(size=(6, 6))
    train_BF = centres_CF[labels_B] + generator.normal(size=(60, 6)) @ mixing_FF
    others_BF = np.concatenate([train_BF[:10] + 0.1, generator.normal(size=(30, 6)) * 8])
    for table_BF in (train_BF, others_BF):
        table_BF[:, :dead] = 0
    return train_BF, labels_B, others_BF


def outputs(features_BF: np.ndarray, logits_BC: np.ndarray | None = None) -> Outputs:
    if logits_BC is None:
        logits_BC = np.zeros((len(features_BF), 2))
    return Outputs(logits_BC.astype(np.float32), features_BF.astype(np.float32))


@pytest.mark.parametrize("dead", [0, 2], ids=["full rank", "two features always 0"])
def test_mahalanobis_is_scikit_learns_to_the_nearest_mean_with_one_covariance(dead: int) -> None:
    train_BF, labels_B, others_BF = features(0, dead=dead)
    means = {label: train_BF[labels_B == label].mean(axis=0) for label in (1, 4, 7)}
    centred_BF = np.stack([row - means[label] for row, label in zip(train_BF, labels_B, strict=True)])
    covariance = EmpiricalCovariance(assume_centered=True).fit(centred_BF)
    distances = [covariance.mahalanobis(others_BF - mean) for mean in means.values()]
    assert len(set(np.argmin(distances, axis=0))) == 3  # each intent is the nearest to some
    found = detectors.mahalanobis(train_BF, labels_B)(outputs(others_BF))
    assert found.tolist() == pytest.approx(np.min(distances, axis=0).tolist(), rel=1e-3)


@pytest.mark.parametrize("neighbours", [1, 10, 500])
def test_nearest_neighbour_is_the_distance_to_the_kth_of_unit_length(neighbours: int) -> None:
    train_BF, _, others_BF = features(1)
    unit_train, unit_others = (
        np.stack([row / np.linalg.norm(row) for row in table]) for table in (train_BF, others_BF)
    )
    sorted_distances = np.sort(cdist(unit_others, unit_train), axis=1)
    expected = sorted_distances[:, min(neighbours, 60) - 1]  # of fewer rows the furthest
    found = detectors.nearest_neighbour(train_BF, neighbours)(outputs(others_BF))
    assert found.tolist() == pytest.approx(expected.tolist(), abs=1e-5)


def test_nearest_neighbour_counts_ten_and_bears_an_utterance_without_features() -> None:
    train_BF, _, others_BF = features(1)
    others_BF[0] = 0
    by_default, by_ten = (detectors.nearest_neighbour(train_BF, *k)(outputs(others_BF)) for k in ((), (10,)))
    assert by_default.tolist() == by_ten.tolist()
    assert by_default[0] == pytest.approx(1)  # from nothing to anything of length 1


def test_the_softmax_and_logit_scores_are_those_worked_out_by_hand() -> None:
    logits_BC = np.array([[0.0, np.log(3)], [-2.0, -2.0], [1000.0, 0.0]])
    assert detectors.negative_max_softmax(logits_BC) == pytest.approx([-3 / 4, -1 / 2, -1])
    assert detectors.negative_max_logit(logits_BC) == pytest.approx([-np.log(3), 2, -1000])


SCORE_NAMES = {"energy", "max_softmax", "max_logit", "mahalanobis", "nearest_neighbours"}


def test_every_score_is_lower_for_what_is_plainly_in_scope() -> None:
    generator = np.random.default_rng(0)
    labels_B = np.repeat([0, 1], 30)
    centres_CF = np.array([[10.0, 0, 0], [0, 10.0, 0]])
    train_BF = centres_CF[labels_B] + generator.normal(size=(60, 3))
    in_scope = outputs(centres_CF, np.array([[9.0, 0.0], [0.0, 9.0]]))
    out_of_scope = outputs(np.array([[0, 0, 30.0], [-20.0, -20.0, 0]]), np.array([[0.1, 0.0], [0.0, 0.0]]))
    panel = detectors.score_panel(in_scope, out_of_scope, train=outputs(train_BF), train_labels_B=labels_B)
    assert set(panel.index) == SCORE_NAMES
    assert panel["auroc"].tolist() == [1.0] * 5
    assert panel["fpr95"].tolist() == [0.0] * 5
    swapped = detectors.score_panel(out_of_scope, in_scope, train=outputs(train_BF), train_labels_B=labels_B)
    assert swapped["auroc"].tolist() == [0.0] * 5


def test_the_panel_has_each_scores_ranking_the_best_auroc_first() -> None:
    train_BF, labels_B, others_BF = features(3)
    generator = np.random.default_rng(4)
    in_BF, out_BF = train_BF[:25] + generator.normal(size=(25, 6)), others_BF[10:]
    in_BC, out_BC = generator.normal(size=(25, 3)) * 3, generator.normal(size=(30, 3)) * 2
    panel = detectors.score_panel(
        outputs(in_BF, in_BC), outputs(out_BF, out_BC), train=outputs(train_BF), train_labels_B=labels_B
    )
    both_BC, both = np.concatenate([in_BC, out_BC]), outputs(np.concatenate([in_BF, out_BF]))
    exponents_BC = np.exp(both_BC)
    scores = {
        "energy": -np.log(exponents_BC.sum(axis=1)),
        "max_softmax": -exponents_BC.max(axis=1) / exponents_BC.sum(axis=1),
        "max_logit": -both_BC.max(axis=1),
        "mahalanobis": detectors.mahalanobis(train_BF, labels_B)(both),
        "nearest_neighbours": detectors.nearest_neighbour(train_BF)(both),
    }
    is_out = np.repeat([0, 1], [25, 30])
    assert panel["auroc"].is_monotonic_decreasing
    assert panel["auroc"].nunique() == 5
    assert panel["auroc"].to_dict() == pytest.approx(
        {name: roc_auc_score(is_out, score) for name, score in scores.items()}
    )
    assert list(panel) == ["auroc", "aupr_in", "aupr_out", "fpr95"]
