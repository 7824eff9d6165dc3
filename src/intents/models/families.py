"""The families. Each builds a transformers model that `AutoModelForSequenceClassification` can load."""

from collections.abc import Callable
from typing import Any

from intents.encoders import Encoder
from intents.hyperparams import Hyperparams
from intents.models import bert, textcnn
from intents.models.network import Network

FAMILIES: dict[str, Callable[[Any, dict[str, int], Encoder], Network]] = {
    "bert": bert.build,
    "textcnn": textcnn.build,
}


def build(hyperparams: Hyperparams, intent2id: dict[str, int], encoder: Encoder) -> Network:
    """An untrained network of the family of `hyperparams`, one logit an intent. Raises EncoderError."""
    return FAMILIES[hyperparams.FAMILY](hyperparams, intent2id, encoder)
