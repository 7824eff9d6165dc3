"""Energy, temperature and threshold, against arithmetic done by hand and against scipy."""

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import brentq
from sklearn.metrics import log_loss

from intents.scoring import energy, fit_temperature, fit_threshold, is_in_scope, negative_log_likelihood


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
