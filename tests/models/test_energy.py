"""Energy, temperature and threshold, against arithmetic done by hand and against scipy."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.special import logsumexp, softmax
from sklearn.metrics import f1_score, log_loss

from intents.models.energy import (
    energy,
    fit_best_f1_threshold,
    fit_temperature,
    fit_threshold,
    free_energy,
    is_in_scope,
    negative_log_likelihood,
)


def test_energy_is_lower_for_confident_logits() -> None:
    confident, undecided = energy(np.array([[9.0, 0.0], [0.0, 0.0]]))
    assert confident < undecided
    assert undecided == pytest.approx(-math.log(2))
    assert confident == pytest.approx(-math.log(math.e**9 + 1))


def test_energy_at_a_temperature_is_minus_t_logsumexp_of_logits_over_t() -> None:
    # -2 * ln(e^(4/2) + e^(0/2) + e^(2/2))
    (value,) = energy(np.array([[4.0, 0.0, 2.0]]), temperature=2.0)
    assert value == pytest.approx(-2 * math.log(math.e**2 + 1 + math.e))


def test_energy_shifts_by_as_much_as_all_logits_do_and_neither_overflows_nor_rounds() -> None:
    logits_BC = np.array([[1e4, 1e4], [-1e4, -1e4]], dtype=np.float32)
    energies = energy(logits_BC).tolist()  # as floats: compared with float32, the expected values would round
    assert energies == pytest.approx([-1e4 - math.log(2), 1e4 - math.log(2)], rel=0, abs=1e-9)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 7.0])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 50.0, 1e4])
def test_energy_is_minus_scipys_logsumexp(temperature: float, scale: float) -> None:
    logits_BC = (np.random.default_rng(2).normal(size=(200, 7)) * scale).astype(np.float32)
    expected = -temperature * logsumexp(logits_BC.astype(np.float64) / temperature, axis=1)
    found = energy(logits_BC, temperature=temperature)
    assert found.dtype == np.float64
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-12, abs=1e-12)


def test_energy_falls_with_each_logit_by_its_softmax() -> None:
    """The derivative of -logsumexp is -softmax: training on the energy moves the logits by just that."""
    logits_BC = torch.tensor([[2.0, -1.0, 0.5], [0.0, 0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    energies_B = free_energy(logits_BC)
    energies_B.sum().backward()
    values_BC = logits_BC.detach().numpy()
    assert energies_B.tolist() == pytest.approx((-logsumexp(values_BC, axis=1)).tolist())
    assert logits_BC.grad.numpy() == pytest.approx(-softmax(values_BC, axis=1))


def test_the_energies_of_no_utterance_are_none() -> None:
    assert energy(np.empty((0, 3), dtype=np.float32)).shape == (0,)


def test_negative_log_likelihood_is_the_mean_over_utterances_in_nats() -> None:
    logits_BC = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]))
    by_hand = -(math.log(0.5) + math.log(0.1)) / 2
    assert negative_log_likelihood(logits_BC, np.array([0, 1])) == pytest.approx(by_hand)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_fitted_temperature_makes_confidence_equal_to_accuracy(temperature: float) -> None:
    # All logits are (a, 0), and 3 of 4 are right: the likelihood peaks where sigmoid(a / T) = 3/4, a = T ln 3.
    logits_BC = np.tile([temperature * math.log(3), 0.0], (400, 1))
    labels_B = np.array([0, 0, 0, 1] * 100)
    assert fit_temperature(logits_BC, labels_B) == pytest.approx(temperature, rel=1e-3)


def test_the_fitted_temperature_of_random_logits_is_the_root_of_the_slope() -> None:
    generator = np.random.default_rng(3)
    labels_B = generator.integers(0, 5, 500)
    logits_BC = generator.normal(size=(500, 5)) * 3
    logits_BC[np.arange(500), labels_B] += 2

    def slope(t: float) -> float:
        losses = []
        for at in (t * 1.0001, t / 1.0001):
            exponents_BC = np.exp(logits_BC / at)
            probabilities_BC = exponents_BC / exponents_BC.sum(axis=1, keepdims=True)
            losses.append(log_loss(labels_B, probabilities_BC, labels=range(5)))
        return losses[0] - losses[1]

    assert fit_temperature(logits_BC, labels_B) == pytest.approx(brentq(slope, 0.5, 20), rel=1e-2)


@pytest.mark.parametrize(("label", "bound"), [(0, 0.05), (1, 20.0)], ids=["always right", "always wrong"])
def test_a_temperature_without_an_optimum_stops_at_its_bound(label: int, bound: float) -> None:
    found = fit_temperature(np.tile([1.0, 0.0], (10, 1)), np.full(10, label))
    assert found == pytest.approx(bound, rel=0.01)


@pytest.mark.parametrize(
    ("target", "threshold"),
    # Of -5 … -1: four are needed for 0.61 to 0.8, all five above that, one for up to 0.2.
    [(0.8, -2.0), (0.61, -2.0), (0.81, -1.0), (0.2, -5.0), (0.01, -5.0), (0.21, -4.0), (0.999, -1.0)],
)
def test_the_threshold_is_the_lowest_that_accepts_the_share(target: float, threshold: float) -> None:
    assert fit_threshold(np.array([-3.0, -1.0, -5.0, -4.0, -2.0]), target_acceptance=target) == threshold


@pytest.mark.parametrize("hundredths", [7, 14, 28, 29, 55, 56, 57, 58, 95, 99])
@pytest.mark.parametrize("count", [20, 100, 180, 300])
def test_rounding_never_accepts_one_utterance_more_than_the_share_needs(count: int, hundredths: int) -> None:
    energies_B = np.random.default_rng(count).permutation(count).astype(float)
    needed = math.ceil(Fraction(hundredths, 100) * count)
    threshold = fit_threshold(energies_B, target_acceptance=hundredths / 100)
    assert is_in_scope(energies_B, threshold).sum() == needed


def test_an_utterance_at_the_threshold_is_accepted_and_lower_energy_is_too() -> None:
    assert is_in_scope(np.array([-9.0, -3.0, -2.999]), -3.0).tolist() == [True, True, False]


def test_utterances_of_equal_energy_are_accepted_together() -> None:
    energies_B = np.array([-1.0] * 9 + [-2.0])
    threshold = fit_threshold(energies_B, target_acceptance=0.5)
    assert threshold == -1.0
    assert is_in_scope(energies_B, threshold).all()


def best_f1_by_brute_force(in_scope: list[float], out_of_scope: list[float]) -> tuple[Fraction, float]:
    """The best F1 over every threshold that can matter, and the lowest threshold that has it."""
    energies = sorted({*in_scope, *out_of_scope})
    between = [(one + other) / 2 for one, other in itertools.pairwise(energies)]

    def f1(threshold: float) -> Fraction:
        accepted = sum(energy <= threshold for energy in in_scope)
        wrongly = sum(energy <= threshold for energy in out_of_scope)
        return Fraction(2 * accepted, len(in_scope) + accepted + wrongly)

    candidates = sorted([energies[0] - 1, *energies, *between, energies[-1] + 1])
    best = max(map(f1, candidates))
    return best, next(threshold for threshold in candidates if f1(threshold) == best)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("levels", [3, 12, 10**9], ids=["many ties", "some ties", "no ties"])
def test_the_best_f1_threshold_is_the_lowest_of_all_with_the_best_f1(seed: int, levels: int) -> None:
    generator = np.random.default_rng(seed)
    scale = 4 / levels
    in_scope = (generator.integers(0, levels, generator.integers(1, 40)) * scale - 6).tolist()
    out_of_scope = (generator.integers(0, levels, generator.integers(1, 60)) * scale - 5).tolist()
    best, lowest = best_f1_by_brute_force(in_scope, out_of_scope)
    threshold = fit_best_f1_threshold(np.array(in_scope), np.array(out_of_scope))
    assert threshold == lowest
    is_in = [1] * len(in_scope) + [0] * len(out_of_scope)
    accepted = np.array(in_scope + out_of_scope) <= threshold
    assert f1_score(is_in, accepted) == pytest.approx(float(best))


def test_the_best_f1_threshold_of_five_utterances_is_that_found_by_hand() -> None:
    # At -3: 2 of 3 accepted, none wrongly: F1 4/5. At -1: all 3, and both out-of-scope ones: 6/8. At -4: 2/4.
    assert fit_best_f1_threshold(np.array([-1.0, -4.0, -3.0]), np.array([-2.0, -2.5])) == -3.0
    # An out-of-scope utterance of the same energy comes in too: at -3 2 of 3 and 1 wrongly, 4/6; at -1 6/8.
    assert fit_best_f1_threshold(np.array([-1.0, -4.0, -3.0]), np.array([-3.0, -2.0])) == -1.0


def test_the_best_f1_threshold_accepts_all_where_out_of_scope_is_far_or_absent() -> None:
    in_scope = np.array([-5.0, -3.0, -4.0])
    for out_of_scope in (np.array([0.0, 1.0]), np.array([])):
        assert fit_best_f1_threshold(in_scope, out_of_scope) == -3.0
