"""What a model answered to each row, as a table."""

from collections.abc import Iterable
from typing import Any

import pandas as pd
from scipy.special import softmax

from intents.axes import Floats
from intents.models import energy
from intents.models.directory import RejectionRule
from intents.models.network import Outputs, predict
from intents.parameters.training.hyperparams import Hyperparams


def outputs(module: Any, tokenizer: Any, *, texts: Iterable[str], hyperparams: Hyperparams) -> Outputs:
    """The model's outputs for `texts`, as the hyperparameters have it."""
    return predict(
        module,
        tokenizer,
        texts=list(texts),
        max_length=hyperparams.max_length,
        batch_size=hyperparams.evaluation_batch_size,
    )


def predictions(
    rows: pd.DataFrame, logits_BC: Floats, *, intents: tuple[str, ...], rejection: RejectionRule
) -> pd.DataFrame:
    """Of each row: true and predicted intent, confidence, energy, whether accepted; kind if out-of-scope."""
    probabilities_BC = softmax(logits_BC, axis=-1)
    energies_B = energy.energy(logits_BC)
    is_labelled = "label" in rows
    return pd.DataFrame(
        {
            "text": rows["text"].to_numpy(),
            "true_intent": rows["label"].to_numpy() if is_labelled else "",
            "pred_intent": [intents[i] for i in logits_BC.argmax(axis=-1)],
            "confidence": probabilities_BC.max(axis=-1, initial=0.0).astype(float),
            "energy": energies_B,
            "in_scope": energy.is_in_scope(energies_B, rejection.energy_threshold),
            "kind": "" if is_labelled else rows["kind"].to_numpy(),
        }
    )
