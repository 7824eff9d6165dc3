"""What every family's network can do: predict, say which weights are new, take a temperature into its head."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from intents.axes import Floats


@dataclass(frozen=True)
class Network:
    """A network, the names of its parameters that were not pretrained, numbers worth logging, how its head begins."""

    module: Any
    new_weights: frozenset[str]
    facts: Mapping[str, float] = field(default_factory=dict)
    head_is_fitted: bool = False
    """Whether the head is to begin as a logistic regression on the features."""


def label_names(intent2id: Mapping[str, int]) -> dict[str, dict[Any, Any]]:
    """The mapping both ways, as a transformers configuration takes it."""
    return {"label2id": dict(intent2id), "id2label": {i: intent for intent, i in intent2id.items()}}


@dataclass(frozen=True)
class Outputs:
    """What a model says of utterances: logits (B, C), and the features (B, F) that its head reads; float32."""

    logits_BC: Floats
    features_BF: Floats

    def __len__(self) -> int:
        return len(self.logits_BC)


def predict(
    module: Any, tokenizer: Any, *, texts: Sequence[str], max_length: int, batch_size: int = 256
) -> Outputs:
    """The outputs in the order of `texts`. Batches hold utterances of like length."""
    encoded = tokenizer(list(texts), truncation=True, max_length=max_length)["input_ids"] if texts else []
    return predict_tokens(module, tokenizer, input_ids=encoded, batch_size=batch_size)


def predict_tokens(
    module: Any, tokenizer: Any, *, input_ids: Sequence[Sequence[int]], batch_size: int = 256
) -> Outputs:
    """The same of utterances that are token ids already."""
    order = sorted(range(len(input_ids)), key=lambda i: len(input_ids[i]))
    head = head_of(module)
    logits_BC = np.empty((len(input_ids), head.out_features), dtype=np.float32)
    features_BF = np.empty((len(input_ids), head.in_features), dtype=np.float32)
    module.eval()
    with read_by_the_head(module) as read, torch.inference_mode():
        for start in range(0, len(order), batch_size):
            places = order[start : start + batch_size]
            batch = tokenizer.pad({"input_ids": [input_ids[i] for i in places]}, return_tensors="pt")
            batch = {name: tensor.to(module.device) for name, tensor in batch.items()}
            logits_BC[places] = module(**batch).logits.float().cpu().numpy()
            features_BF[places] = read.pop().float().cpu().numpy()
    return Outputs(logits_BC, features_BF)


def predict_logits(
    module: Any, tokenizer: Any, *, texts: Sequence[str], max_length: int, batch_size: int = 256
) -> Floats:
    """Logits in float32, shape (B, C), in the order of `texts`."""
    return predict(module, tokenizer, texts=texts, max_length=max_length, batch_size=batch_size).logits_BC


def predict_gaussian(module: Any, *, rows: int, tokens: int, seed: int, batch_size: int = 256) -> Floats:
    """Logits (rows, C) of embeddings that mean nothing: `tokens` draws each, spread as the token table is."""
    table = module.get_input_embeddings().weight.detach().float()
    generator = torch.Generator().manual_seed(seed)
    module.eval()
    logits = []
    with torch.inference_mode():
        for start in range(0, rows, batch_size):
            shape = (min(batch_size, rows - start), tokens, table.shape[1])
            noise_BLE = torch.randn(shape, generator=generator).to(table.device) * table.std() + table.mean()
            mask_BL = torch.ones(shape[:2], dtype=torch.long, device=table.device)
            logits.append(
                module(inputs_embeds=noise_BLE, attention_mask=mask_BL).logits.float().cpu().numpy()
            )
    return np.concatenate(logits)


def fold_temperature(module: Any, temperature: float) -> None:
    """Divides the head's weight and bias by `temperature`, so that the plain softmax is calibrated."""
    head = head_of(module)
    with torch.no_grad():
        head.weight.div_(temperature)
        if head.bias is not None:
            head.bias.div_(temperature)


@contextlib.contextmanager
def read_by_the_head(module: Any) -> Iterator[list[torch.Tensor]]:
    """What the head is given in each pass within the block, in order: features (B, F)."""
    read: list[torch.Tensor] = []
    hook = head_of(module).register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    try:
        yield read
    finally:
        hook.remove()


def head_of(module: Any) -> torch.nn.Linear:
    """The last linear layer with one output an intent."""
    heads = [
        layer
        for layer in module.modules()
        if isinstance(layer, torch.nn.Linear) and layer.out_features == module.config.num_labels
    ]
    return heads[-1]
