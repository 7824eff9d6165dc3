"""What chance alone would do to two models' answers to the same rows: paired bootstrap, McNemar, Holm. Pure functions.

Axes: B in-scope rows, N out-of-scope rows, S resamples of the rows, C intents.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from intents.axes import Floats, Integers
from intents.evaluation.intervals import resampled
from intents.evaluation.metrics import Measure, calibration_error, classification, ranking
from intents.evaluation.names import METRICS


@dataclass(frozen=True)
class Answers:
    """One model's answers. Ids of intents run from 0 to C - 1; C stands for any intent that is not compared."""

    predicted_B: Integers
    confidence_B: Floats
    energies_B: Floats
    energies_N: Floats

    def measures(self, labels_B: Integers, *, number_of_intents: int) -> list[Measure]:
        """What is compared of them; rankings where there are out-of-scope rows."""
        ranked = [ranking(self.energies_B, self.energies_N)] if len(self.energies_N) else []
        return [
            classification(labels_B, self.predicted_B, number_of_intents=number_of_intents),
            calibration_error(self.confidence_B, self.predicted_B == labels_B),
            *ranked,
        ]


def changes(
    reference: list[Measure], candidate: list[Measure], *, sizes: tuple[int, int], resamples: int, seed: int
) -> dict[str, Floats]:
    """The change of each compared metric, candidate less reference, on each resample of the rows, shape (S,).

    Both models answer the same resampled rows. Efron and Tibshirani 1993, chapters 6 and 13.
    """
    before, after = (
        resampled(side, sizes=sizes, resamples=resamples, seed=seed) for side in (reference, candidate)
    )
    return {name: after[name] - before[name] for name in after if name in METRICS}


def mcnemar(broken: npt.ArrayLike, fixed: npt.ArrayLike) -> Floats:
    """Exact two-sided p: chance that so many rows, each broken or fixed by a coin, part so unevenly or more so.

    1 where no row is either. McNemar 1947; exact binomial form, not the chi-squared approximation.
    """
    broken, fixed = np.asarray(broken), np.asarray(fixed)
    p: Floats = np.minimum(1.0, 2 * binom.cdf(np.minimum(broken, fixed), broken + fixed, 0.5))
    return p


def holm(p_values: Floats) -> Floats:
    """The p-values, corrected for how many they are: those at most alpha hold together at alpha. Holm 1979."""
    order = np.argsort(p_values, kind="stable")
    steps = (len(p_values) - np.arange(len(p_values))) * p_values[order]
    corrected: Floats = np.empty(len(p_values))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return corrected
