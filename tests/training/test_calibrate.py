"""Calibration: the temperature goes into the head, and the threshold is fitted on what the head then says."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from sklearn.metrics import f1_score

from intents.models.energy import fit_temperature
from intents.parameters.training.textcnn import TextCNNHyperparams
from intents.training.calibrate import calibrate
from intents.training.validation import Answers

INTENTS, SIZE = 4, 6


class Head(torch.nn.Module):
    """What calibration needs of a model: a last layer with one output an intent."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(num_labels=INTENTS)
        self.hidden = torch.nn.Linear(SIZE, SIZE)
        torch.manual_seed(0)
        self.classifier = torch.nn.Linear(SIZE, INTENTS)


@pytest.fixture
def module() -> Head:
    return Head()


def validation(seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Overconfident in-scope logits (200, 4), their labels, and out-of-scope logits (80, 4) that are flatter."""
    generator = np.random.default_rng(seed)
    labels_B = generator.integers(0, INTENTS, 200)
    logits_BC = generator.normal(size=(200, INTENTS)) * 4
    logits_BC[np.arange(200), labels_B] += 4
    return logits_BC, labels_B, generator.normal(size=(80, INTENTS))


LOGITS, LABELS, OUT_OF_SCOPE = validation()
NOTHING = np.empty((0, INTENTS))


def run(module: Head, *, out_of_scope: np.ndarray = OUT_OF_SCOPE, **changes: object):
    hyperparams = TextCNNHyperparams(**{"threshold_rule": "acceptance"} | changes)
    return calibrate(module, Answers(LOGITS, LABELS, out_of_scope), hyperparams=hyperparams)


def energies(logits: np.ndarray, temperature: float) -> np.ndarray:
    return -logsumexp(logits / temperature, axis=1)


def test_the_head_is_divided_by_the_temperature_that_fits_the_validation_rows(module: Head) -> None:
    weight, bias = module.classifier.weight.detach().clone(), module.classifier.bias.detach().clone()
    hidden = module.hidden.weight.detach().clone()
    rejection = run(module)
    temperature = rejection.fitted_temperature
    assert temperature == fit_temperature(LOGITS, LABELS)
    assert temperature > 1.3  # the fixture is overconfident
    assert fit_temperature(LOGITS / temperature, LABELS) == pytest.approx(1, abs=1e-3)
    torch.testing.assert_close(module.classifier.weight, weight / temperature)
    torch.testing.assert_close(module.classifier.bias, bias / temperature)
    assert torch.equal(module.hidden.weight, hidden)


def test_without_calibration_the_head_is_left_as_it_was_trained(module: Head) -> None:
    before = {name: weight.clone() for name, weight in module.state_dict().items()}
    rejection = run(module, calibration="none")
    assert rejection.fitted_temperature == 1.0
    assert all(torch.equal(before[name], weight) for name, weight in module.state_dict().items())
    accepted = energies(LOGITS, 1.0) <= rejection.energy_threshold
    assert accepted.sum() == 190


@pytest.mark.parametrize("calibration", ["temperature", "none"])
@pytest.mark.parametrize(("share", "words"), [(0.95, "95.0%"), (0.5, "50.0%"), (0.805, "80.5%")])
def test_acceptance_accepts_the_share_of_in_scope_rows_of_the_folded_logits_and_no_row_more(
    module: Head, calibration: str, share: float, words: str
) -> None:
    rejection = run(module, calibration=calibration, threshold_rule="acceptance", target_acceptance=share)
    folded = energies(LOGITS, rejection.fitted_temperature)
    assert (folded <= rejection.energy_threshold + 1e-9).sum() == math.ceil(round(share * 200, 6))
    assert rejection.target == f"accept {words} of in-scope validation rows"


def test_acceptance_does_not_look_at_out_of_scope_rows(module: Head) -> None:
    assert run(module) == run(Head(), out_of_scope=NOTHING) == run(Head(), out_of_scope=OUT_OF_SCOPE * 9)


@pytest.mark.parametrize("calibration", ["temperature", "none"])
def test_best_f1_has_the_best_f1_of_all_thresholds_on_the_folded_logits(
    module: Head, calibration: str
) -> None:
    rejection = run(module, calibration=calibration, threshold_rule="best_f1")
    temperature = rejection.fitted_temperature
    both = np.concatenate([energies(LOGITS, temperature), energies(OUT_OF_SCOPE, temperature)])
    is_in = np.repeat([1, 0], [200, 80])
    found = f1_score(is_in, both <= rejection.energy_threshold + 1e-9)
    assert found == pytest.approx(max(f1_score(is_in, both <= threshold + 1e-9) for threshold in both))
    assert found > f1_score(is_in, np.ones(280))  # better than accepting everything
    assert rejection.target == "best F1 of accepting on validation rows"


def test_best_f1_without_out_of_scope_rows_falls_back_on_acceptance_and_says_so(module: Head) -> None:
    fallen = run(module, out_of_scope=NOTHING, threshold_rule="best_f1")
    assert fallen == run(Head(), threshold_rule="acceptance")
    assert fallen.target == "accept 95.0% of in-scope validation rows"


@pytest.mark.parametrize("out_of_scope", [OUT_OF_SCOPE, NOTHING], ids=["with", "without"])
def test_a_fixed_threshold_is_the_one_given(module: Head, out_of_scope: np.ndarray) -> None:
    rejection = run(module, out_of_scope=out_of_scope, threshold_rule="fixed", fixed_threshold=-4.25)
    assert (rejection.energy_threshold, rejection.target) == (-4.25, "fixed")
    assert run(Head(), threshold_rule="fixed").energy_threshold == -3.0  # the source notebook's


def test_the_name_of_what_is_rejected_travels_with_the_rule(module: Head) -> None:
    assert run(module, unknown_intent="其他").unknown_intent == "其他"
