"""The families. Each builds a transformers model that `AutoModelForSequenceClassification` can load."""

from collections.abc import Callable

from intents.models import bert
from intents.models.encoders.encoder import Encoder
from intents.models.network import Network
from intents.models.textcnn import build as textcnn
from intents.parameters.training.hyperparams import Hyperparams

FAMILIES: dict[str, Callable[..., Network]] = {
    "bert": bert.build,
    "textcnn": textcnn.build,
}


def build(hyperparams: Hyperparams, intent2id: dict[str, int], *, encoder: Encoder) -> Network:
    """An untrained network of the family of `hyperparams`, one logit an intent. Raises EncoderError."""
    return FAMILIES[hyperparams.FAMILY](hyperparams, intent2id, encoder=encoder)
