"""The MLflow wrapper, models-from-code: a list of utterances in, one typed row each out. One for every family.

MLflow runs this file, copied into the logged model with the package, to rebuild the model when it is served.
"""

import logging
import os
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import torch
from mlflow.environment_variables import MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT
from mlflow.models.signature import _TypeHints
from mlflow.pyfunc import PythonModel
from mlflow.pyfunc.scoring_server import _SERVER_MODEL_PATH

from intents.errors import ArtifactError, IntentsError
from intents.models import directory
from intents.models.file_names import MODEL_ARTIFACT
from intents.serving import answers, bodies, limits, refusal, tables
from intents.serving.answers import Answers, Prediction
from intents.serving.batcher import Batcher, BusyError
from intents.serving.refusal import Refusal
from intents.serving.runtime import Runtime

WARMING = ("你好", "where is my parcel?", "好" * 1_000)
CANNOT_START = 3
"""A server's worker that exits with this is not started again: uvicorn stops instead."""
log = logging.getLogger(__name__)


class IntentModel(PythonModel):  # type: ignore[misc]
    """A model directory behind MLflow's predict: `params={"top_k": n}` adds the n runners-up, `threshold` is used in
    place of the model's own. What can't be answered is refused in one line; MLflow's server makes it a 400."""

    _skip_type_hint_validation = True
    """MLflow would check the texts itself, and quote them in its message."""

    def load_context(self, context: Any) -> None:
        """Loads and verifies the model directory. Raises IntentsError; a server says why, and stops."""
        self._predict_type_hints = _TypeHints()  # with them MLflow picks a table's column itself: the first
        if _SERVER_MODEL_PATH not in os.environ:
            self._load(context, limits.IN_PROCESS, seconds=None)
            return
        try:
            chosen = limits.from_environment(os.environ)
            torch.set_num_threads(1)  # of each pass; several at a time are faster than one on several threads
            self._load(context, chosen, seconds=float(MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT.get()))
            for text in WARMING:  # the first answers take longer, and show whether any can be had
                self._answers([text])
            bodies.serve()
        except Exception as error:
            if not isinstance(error, IntentsError):
                log.exception("the model can't be served")
            print(f"error: the model can't be served: {error}", file=sys.stderr, flush=True)
            raise SystemExit(CANNOT_START) from None

    def _load(self, context: Any, chosen: limits.Limits, *, seconds: float | None) -> None:
        self.artifact = directory.load(Path(context.artifacts[MODEL_ARTIFACT]))
        self._limits, self._seconds = chosen, seconds
        self._runtime = Runtime(self.artifact)
        self._batcher = Batcher(
            self._runtime.logits,
            threads=chosen.threads,
            most_rows=chosen.queue,
            most_long=chosen.long_requests,
        )

    def predict(
        self,
        context: Any,  # noqa: ARG002
        model_input: list[str],  # or a table, or one column of it
        params: dict[str, Any] | None = None,
    ) -> list[Prediction]:
        """One prediction an utterance, in order. Raises Refusal."""
        try:
            asked = bodies.checked_params(params or {})
            texts = tables.texts(model_input)
            _check(texts, self._limits)
            return self._answers(texts, **asked).predictions()
        except Refusal:
            raise
        except (BusyError, TimeoutError) as error:
            raise refusal.busy(f"{error}; try again later") from None
        except ArtifactError as error:
            raise refusal.broken(str(error)) from None
        except Exception:
            log.exception("a request could not be answered")
            raise refusal.broken("the model failed; the server's log says why") from None

    predict._is_pyfunc = True  # type: ignore[attr-defined]  # else MLflow advises to have it check the texts

    def _answers(self, texts: list[str], *, top_k: int = 0, threshold: float | None = None) -> Answers:
        logits_BC = np.empty((0, len(self.artifact.intents)), dtype=np.float32)
        if texts:
            rows = self._runtime.tokens([answers.normalised(text) for text in texts])
            logits_BC = self._batcher.logits(rows, seconds=self._seconds)
        return answers.answer(logits_BC, self.artifact, top_k=top_k, threshold=threshold)


def example_params(threshold: float) -> dict[str, Any]:
    """The parameters of predict with their defaults. MLflow passes on those that the logged example has."""
    return {"top_k": 0, "threshold": threshold}


def _check(texts: Any, chosen: limits.Limits) -> None:
    """Raises Refusal where not every text can be answered. Rows count from 0, as in the request's list."""
    if not isinstance(texts, list):
        raise refusal.bad_request(f"inputs: expected a list of texts, found {bodies.json_type(texts)}")
    if len(texts) > chosen.rows:
        raise refusal.bad_request(f"inputs: {len(texts):,} rows, at most {chosen.rows:,}")
    for row, text in enumerate(texts):
        if reason := answers.problem(text, most_characters=chosen.characters):
            raise refusal.bad_request(f"row {row}: {reason}")
    characters = sum(map(len, texts))
    if characters > chosen.request_characters:
        raise refusal.bad_request(
            f"inputs: {characters:,} characters in all, at most {chosen.request_characters:,}"
        )


if __name__ != "intents.serving.pyfunc":  # run by MLflow, not imported
    mlflow.models.set_model(IntentModel())
