"""The MLflow wrapper, models-from-code: a list of utterances in, one typed row each out. One for every family.

MLflow runs this file, copied into the logged model with the package, to rebuild the model when it is served.
"""

from pathlib import Path
from typing import Any

import mlflow
from mlflow.pyfunc import PythonModel

from intents import answers, artifact
from intents.answers import Prediction
from intents.errors import ConfigError
from intents.models.network import predict_logits

MODEL_ARTIFACT = "model"
DEFAULT_PARAMS = {"top_k": 0}


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
        logits_BC = predict_logits(loaded.module, loaded.tokenizer, model_input, max_length=loaded.max_length)
        return answers.answer(logits_BC, loaded, top_k=_top_k(params)).predictions()


def _top_k(params: dict[str, Any] | None) -> int:
    top_k = (params or {}).get("top_k", DEFAULT_PARAMS["top_k"])
    if isinstance(top_k, bool) or not isinstance(top_k, int) or not 0 <= top_k <= 1000:
        raise ConfigError(f"params: top_k={top_k!r}, expected a whole number from 0 to 1000.")
    return top_k


if __name__ != "intents.pyfunc":  # run by MLflow, not imported
    mlflow.models.set_model(IntentModel())
