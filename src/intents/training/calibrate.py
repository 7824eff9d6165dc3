"""After training: a calibrated softmax, and the energy above which an utterance is rejected."""

from typing import Any

from intents.axes import Floats
from intents.models import energy
from intents.models.directory import RejectionRule
from intents.models.network import fold_temperature
from intents.parameters.training.hyperparams import Hyperparams
from intents.training.validation import Answers


def calibrate(module: Any, answers: Answers, *, hyperparams: Hyperparams) -> RejectionRule:
    """Folds the temperature into the head, then fits the threshold on the folded logits."""
    fits = hyperparams.calibration == "temperature"
    temperature = energy.fit_temperature(answers.logits_BC, answers.labels_B) if fits else 1.0
    fold_temperature(module, temperature)
    threshold, target = _threshold(
        energy.energy(answers.logits_BC / temperature),
        energy.energy(answers.out_of_scope_logits_NC / temperature),
        rows_in_words=answers.rows_in_words,
        hyperparams=hyperparams,
    )
    return RejectionRule(
        energy_threshold=threshold,
        target=target,
        unknown_intent=hyperparams.unknown_intent,
        fitted_temperature=temperature,
    )


def _threshold(
    energies_B: Floats, out_of_scope_energies_N: Floats, *, rows_in_words: str, hyperparams: Hyperparams
) -> tuple[float, str]:
    """The threshold, and its rule in words."""
    if hyperparams.threshold_rule == "fixed":
        return hyperparams.fixed_threshold, "fixed"
    if hyperparams.threshold_rule == "best_f1" and len(out_of_scope_energies_N):
        threshold = energy.fit_best_f1_threshold(energies_B, out_of_scope_energies_N)
        return threshold, f"best F1 of accepting on {rows_in_words}"
    accepted = hyperparams.target_acceptance
    threshold = energy.fit_threshold(energies_B, target_acceptance=accepted)
    return threshold, f"accept {accepted:.1%} of in-scope {rows_in_words}"
