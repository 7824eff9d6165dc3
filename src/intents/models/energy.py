"""Scores of logits: energy, temperature, threshold. Pure functions; the sign is stated once, here."""

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from intents.axes import Floats, Integers

# Outside these bounds a temperature says that the model is broken, not that it is over- or underconfident.
TEMPERATURE_BOUNDS = (0.05, 20.0)


def free_energy(logits_BC: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    """Free energy of each utterance, shape (B,), differentiable. Lower is more in-scope.

    E = -T * logsumexp(logits / T), from Liu et al. 2020, arXiv:2010.03759.
    """
    return -temperature * torch.logsumexp(logits_BC / temperature, dim=-1)


def energy(logits_BC: Floats, temperature: float = 1.0) -> Floats:
    """`free_energy` of an array, in float64."""
    scores: Floats = free_energy(torch.from_numpy(np.array(logits_BC, dtype=np.float64)), temperature).numpy()
    return scores


def negative_log_likelihoods(logits_BC: Floats, labels_B: Integers) -> Floats:
    """-log softmax(logits)[label] of each utterance, shape (B,), in nats. Lower is better."""
    log_probabilities_BC = log_softmax(np.asarray(logits_BC, dtype=np.float64), axis=-1)
    likelihoods_B: Floats = -log_probabilities_BC[np.arange(len(labels_B)), labels_B]
    return likelihoods_B


def negative_log_likelihood(logits_BC: Floats, labels_B: Integers) -> float:
    """The mean of `negative_log_likelihoods`."""
    return float(negative_log_likelihoods(logits_BC, labels_B).mean())


def fit_temperature(logits_BC: Floats, labels_B: Integers) -> float:
    """The T that minimises the negative log-likelihood of logits / T (Guo et al. 2017, arXiv:1706.04599).

    T above 1 makes the softmax less confident.
    """
    found = minimize_scalar(
        lambda log_t: negative_log_likelihood(np.asarray(logits_BC) / np.exp(log_t), labels_B),
        bounds=tuple(np.log(TEMPERATURE_BOUNDS)),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(np.exp(found.x))


def fit_threshold(in_scope_energies_B: Floats, *, target_acceptance: float) -> float:
    """The smallest energy threshold that accepts at least `target_acceptance` of these utterances.

    An utterance is accepted when its energy <= threshold.
    """
    accepted_share_B = np.arange(1, len(in_scope_energies_B) + 1) / len(in_scope_energies_B)
    return float(np.sort(in_scope_energies_B)[np.searchsorted(accepted_share_B, target_acceptance)])


def fit_best_f1_threshold(in_scope_energies_B: Floats, out_of_scope_energies_N: Floats) -> float:
    """The energy threshold with the best F1 of accepting, in-scope being positive; of equals the lowest.

    Only the in-scope energies can be best: between two of them a higher threshold accepts out-of-scope alone.
    """
    thresholds_B = np.sort(in_scope_energies_B)
    true_accepts_B = np.searchsorted(thresholds_B, thresholds_B, side="right")
    false_accepts_B = np.searchsorted(np.sort(out_of_scope_energies_N), thresholds_B, side="right")
    f1_B = 2 * true_accepts_B / (len(thresholds_B) + true_accepts_B + false_accepts_B)
    return float(thresholds_B[f1_B.argmax()])


def is_in_scope(energies_B: Floats, threshold: float) -> npt.NDArray[np.bool_]:
    """Whether each utterance is accepted, shape (B,)."""
    return np.asarray(energies_B) <= threshold
