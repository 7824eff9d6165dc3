"""What a BERT classifies, made the mean of its last layer's tokens, in a form that plain transformers reads.

`BertForSequenceClassification` reads the first token. One more layer makes that the mean: its queries and keys are
zero, so each token attends to all unmasked ones alike; values and output only scale; its feed-forward part adds
nothing. The pooler after it is a small multiple of the identity, where tanh is nearly linear. So the features are

    f = tanh(s * LN(g * mean(h) + h_first)),    s = POOLER_SCALE, g = MEAN_GAIN

with the h of the last layer of the encoder. These weights stay as they are: a step of the size that suits the encoder's
would change scaled identities many times as much.
"""

from typing import Any

import torch
from transformers.models.bert.modeling_bert import BertForSequenceClassification, BertLayer

from intents.errors import EncoderError

MEAN_GAIN = 100.0
"""How much the mean outweighs what the first token has of its own."""
POOLER_SCALE = 0.2


def classify_mean(module: Any, model_name: str) -> set[str]:
    """Adds that layer and pooler; the names of the weights that are new, the head's. Raises EncoderError."""
    if not isinstance(module, BertForSequenceClassification):
        raise EncoderError(
            f"pooling=mean: {model_name!r} is a {module.config.model_type}, and this works for a bert only. "
            "Pass -P pooling=own."
        )
    layers = module.bert.encoder.layer
    layer = BertLayer(module.config, layer_idx=len(layers))
    _attend_evenly(layer)
    layers.append(layer)
    module.config.num_hidden_layers = len(layers)
    with torch.no_grad():
        _scale(module.bert.pooler.dense, POOLER_SCALE)
    for part in (layer, module.bert.pooler):
        _fix(part)
    return {name for name, _ in module.named_parameters() if name.startswith("classifier.")}


@torch.no_grad()
def _attend_evenly(layer: Any) -> None:
    attention = layer.attention
    _scale(attention.self.query, 0.0)
    _scale(attention.self.key, 0.0)
    _scale(attention.self.value, MEAN_GAIN**0.5)
    _scale(attention.output.dense, MEAN_GAIN**0.5)
    torch.nn.init.normal_(layer.intermediate.dense.weight, std=0.02)
    torch.nn.init.zeros_(layer.intermediate.dense.bias)
    _scale(layer.output.dense, 0.0)


def _scale(linear: torch.nn.Linear, factor: float) -> None:
    """A layer that multiplies by `factor`; of one that is not square, that forgets its input."""
    torch.nn.init.eye_(linear.weight)
    linear.weight.mul_(factor)
    torch.nn.init.zeros_(linear.bias)


def _fix(part: torch.nn.Module) -> None:
    part.requires_grad_(False)
    for each in part.modules():
        if isinstance(each, torch.nn.Dropout):
            each.p = 0.0
