"""Scores of open-set detection beside the energy, for comparison."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist
from scipy.special import softmax
from sklearn.neighbors import NearestNeighbors

from intents.axes import Floats, Integers
from intents.evaluation.open_set import ranking_metrics
from intents.models.energy import energy
from intents.models.network import Outputs

Score = Callable[[Outputs], Floats]
NEIGHBOURS = 10
NO_VARIANCE = 1e-12
"""Share of the largest variance below which a direction counts as constant: rounding."""


def score_panel(
    in_scope: Outputs, out_of_scope: Outputs, *, train: Outputs, train_labels_B: Integers
) -> pd.DataFrame:
    """The ranking metrics of every score, best AUROC first: is energy the right choice on these data?"""
    scores: dict[str, Score] = {
        "energy": lambda outputs: energy(outputs.logits_BC),
        "max_softmax": lambda outputs: negative_max_softmax(outputs.logits_BC),
        "max_logit": lambda outputs: negative_max_logit(outputs.logits_BC),
        "mahalanobis": mahalanobis(train.features_BF, train_labels_B),
        "nearest_neighbours": nearest_neighbour(train.features_BF),
    }
    measured = {name: ranking_metrics(score(in_scope), score(out_of_scope)) for name, score in scores.items()}
    panel = pd.DataFrame(measured).T
    return panel.rename_axis("score").sort_values("auroc", ascending=False, kind="stable")


def negative_max_softmax(logits_BC: Floats) -> Floats:
    """-max softmax, shape (B,). Lower is more in-scope. Hendrycks and Gimpel 2017, arXiv:1610.02136."""
    scores: Floats = -softmax(np.asarray(logits_BC, dtype=np.float64), axis=-1).max(axis=-1)
    return scores


def negative_max_logit(logits_BC: Floats) -> Floats:
    """-max logit, shape (B,). Lower is more in-scope. Hendrycks et al. 2022, arXiv:1911.11132."""
    scores: Floats = -np.asarray(logits_BC, dtype=np.float64).max(axis=-1)
    return scores


def mahalanobis(train_features_BF: Floats, train_labels_B: Integers) -> Score:
    """Squared Mahalanobis distance to the nearest intent's mean, one covariance for all intents.

    Lower is more in-scope. Lee et al. 2018, arXiv:1807.03888; no input perturbation, the last features only.
    """
    features_BF = np.asarray(train_features_BF, dtype=np.float64)
    labels = np.unique(train_labels_B)
    means_CF = np.stack([features_BF[train_labels_B == label].mean(axis=0) for label in labels])
    centred_BF = features_BF - means_CF[np.searchsorted(labels, train_labels_B)]
    variances_F, directions_FF = np.linalg.eigh(centred_BF.T @ centred_BF / len(centred_BF))
    varies_F = variances_F > NO_VARIANCE * variances_F.max()
    # In these K directions, so scaled, the distance is Euclid's: one projection serves all intents.
    whitening_FK = directions_FF[:, varies_F] / np.sqrt(variances_F[varies_F])
    means_CK = means_CF @ whitening_FK

    def nearest(outputs: Outputs) -> Floats:
        features_BK = np.asarray(outputs.features_BF, dtype=np.float64) @ whitening_FK
        distance_B: Floats = cdist(features_BK, means_CK, "sqeuclidean").min(axis=1)
        return distance_B

    return nearest


def nearest_neighbour(train_features_BF: Floats, neighbours: int = NEIGHBOURS) -> Score:
    """Distance to the k-th nearest training utterance, features scaled to length 1. Lower is more in-scope.

    Sun et al. 2022, arXiv:2204.06507.
    """
    known = NearestNeighbors(n_neighbors=min(neighbours, len(train_features_BF)))
    known.fit(_unit(train_features_BF))
    return lambda outputs: known.kneighbors(_unit(outputs.features_BF))[0][:, -1]


def _unit(features_BF: Floats) -> Floats:
    lengths_B1 = np.linalg.norm(features_BF, axis=-1, keepdims=True)
    scaled: Floats = features_BF / np.maximum(lengths_B1, 1e-12)
    return scaled
