"""What every family's network can do: predict, say which weights are new, take a temperature into its head."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from intents.scoring import Floats


@dataclass(frozen=True)
class Network:
    """A network, and the names of its parameters that were not pretrained."""

    module: Any
    new_weights: frozenset[str]


def predict_logits(
    module: Any, tokenizer: Any, texts: Sequence[str], *, max_length: int, batch_size: int = 256
) -> Floats:
    """Logits in float32, shape (B, C), in the order of `texts`. Batches hold utterances of like length."""
    encoded = tokenizer(list(texts), truncation=True, max_length=max_length)["input_ids"] if texts else []
    order = sorted(range(len(encoded)), key=lambda i: len(encoded[i]))
    logits_BC = np.empty((len(encoded), module.config.num_labels), dtype=np.float32)
    module.eval()
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            places = order[start : start + batch_size]
            batch = tokenizer.pad({"input_ids": [encoded[i] for i in places]}, return_tensors="pt")
            batch = {name: tensor.to(module.device) for name, tensor in batch.items()}
            logits_BC[places] = module(**batch).logits.float().cpu().numpy()
    return logits_BC


def fold_temperature(module: Any, temperature: float) -> None:
    """Divides the head's weight and bias by `temperature`, so that the plain softmax is calibrated."""
    head = _head(module)
    with torch.no_grad():
        head.weight.div_(temperature)
        if head.bias is not None:
            head.bias.div_(temperature)


def _head(module: Any) -> torch.nn.Linear:
    """The last linear layer with one output an intent."""
    heads = [
        layer
        for layer in module.modules()
        if isinstance(layer, torch.nn.Linear) and layer.out_features == module.config.num_labels
    ]
    return heads[-1]
