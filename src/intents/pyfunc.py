"""The MLflow wrapper, models-from-code: a list of utterances in, one typed row each out. One for every family.

MLflow runs this file, copied into the logged model with the package, to rebuild the model when it is served.
"""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.pyfunc import PythonModel
from pydantic import BaseModel
from scipy.special import softmax

from intents import artifact, scoring
from intents.errors import ConfigError
from intents.models.network import predict_logits

MODEL_ARTIFACT = "model"
DEFAULT_PARAMS = {"top_k": 0}


class Alternative(BaseModel):
    """A runner-up."""

    intent: str
    confidence: float


class Prediction(BaseModel):
    """What the model says of one utterance. Lower energy is more in-scope."""

    intent: str
    confidence: float
    energy: float
    in_scope: bool
    best_intent: str
    alternatives: list[Alternative]


class IntentModel(PythonModel):  # type: ignore[misc]
    """A model directory behind MLflow's predict: `params={"top_k": n}` adds the n runners-up."""

    def load_context(self, context: Any) -> None:
        """Loads and verifies the model directory. Raises ArtifactError."""
        self.artifact = artifact.load(Path(context.artifacts[MODEL_ARTIFACT]))

    def predict(
        self,
        context: Any,  # noqa: ARG002
        model_input: list[str],
        params: dict[str, Any] | None = None,
    ) -> list[Prediction]:
        """One prediction an utterance, in order."""
        loaded = self.artifact
        top_k = _top_k(params)
        logits_BC = predict_logits(loaded.module, loaded.tokenizer, model_input, max_length=loaded.max_length)
        probabilities_BC = softmax(logits_BC.astype(np.float64), axis=-1)
        energies_B = scoring.energy(logits_BC)
        accepted_B = scoring.is_in_scope(energies_B, loaded.rejection.energy_threshold)
        rows = zip(probabilities_BC, energies_B, accepted_B, strict=True)
        return [
            _prediction(probabilities_C, float(energy), bool(is_accepted), loaded, top_k)
            for probabilities_C, energy, is_accepted in rows
        ]


def _prediction(
    probabilities_C: scoring.Floats, energy: float, is_accepted: bool, loaded: artifact.Artifact, top_k: int
) -> Prediction:
    ranked = np.argsort(-probabilities_C, kind="stable")[: top_k + 1]
    best, *others = (
        Alternative(intent=loaded.intents[i], confidence=float(probabilities_C[i])) for i in ranked
    )
    return Prediction(
        intent=best.intent if is_accepted else loaded.rejection.unknown_intent,
        confidence=best.confidence,
        energy=energy,
        in_scope=is_accepted,
        best_intent=best.intent,
        alternatives=others,
    )


def _top_k(params: dict[str, Any] | None) -> int:
    top_k = (params or {}).get("top_k", DEFAULT_PARAMS["top_k"])
    if isinstance(top_k, bool) or not isinstance(top_k, int) or not 0 <= top_k <= 1000:
        raise ConfigError(f"params: top_k={top_k!r}, expected a whole number from 0 to 1000.")
    return top_k


if __name__ != "intents.pyfunc":  # run by MLflow, not imported
    mlflow.models.set_model(IntentModel())
