"""A trained BERT as its arithmetic alone, for inference: the same logits, without transformers' Python around it.

Of one short utterance's time a quarter went into modules that call modules. What is classified is read at the first
token, so the last layer is computed for that one only: its queries, its output, its feed-forward part. And the matrices
are laid out once as the processor multiplies them (oneDNN's packed weights, as torch.compile's own code uses them),
which a short utterance otherwise waits for in every pass.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, gelu, layer_norm, linear, scaled_dot_product_attention
from transformers.models.bert.modeling_bert import BertForSequenceClassification


class Logits(NamedTuple):
    """As transformers' own outputs are read."""

    logits: Tensor


Linear = Callable[[Tensor], Tensor]
"""Features (…, in) -> (…, out)."""
Norm = Callable[[Tensor], Tensor]
TOKENS = 16
"""Rows of a matrix that weights are laid out for: a short utterance's tokens."""


class Layer(NamedTuple):
    """What one layer computes; queries, keys and values are one matrix, and in the last layer two."""

    query: Linear | None
    """Of the last layer, where only the first token asks."""
    attention: Linear
    attended: Linear
    attended_norm: Norm
    wider: Linear
    """With the activation."""
    narrower: Linear
    norm: Norm


def straightened(module: Any) -> nn.Module:
    """The same logits within float32's rounding; the module itself where it is no BERT of the usual kind."""
    config = module.config
    is_usual = (
        isinstance(module, BertForSequenceClassification)
        and config.hidden_act == "gelu"
        and not config.is_decoder
        and not config.add_cross_attention
    )
    return StraightBert(module) if is_usual else module


class StraightBert(nn.Module):
    """Token ids (B, L), mask (B, L) -> logits (B, C), as the BERT in evaluation mode gives them.

    Matrices are copied, the token table and the norms are shared: for weights that no longer change.
    """

    def __init__(self, module: BertForSequenceClassification) -> None:
        super().__init__()
        self.config, self.device = module.config, module.device
        bert = module.bert
        embeddings = bert.embeddings
        types_E = embeddings.token_type_embeddings.weight.detach()[0]
        self.words_VE = embeddings.word_embeddings.weight.detach()
        self.places_LE = embeddings.position_embeddings.weight.detach() + types_E
        self.embedded_norm = _norm(embeddings.LayerNorm)
        *layers, last = bert.encoder.layer
        self.layers = [_layer(layer, is_last=False) for layer in layers]
        self.last = _layer(last, is_last=True)
        self.pooler, self.classifier = _linear(bert.pooler.dense), _linear(module.classifier)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Logits:
        """Every row begins with a token."""
        hidden_BLE = self.embedded_norm(
            embedding(input_ids, self.words_VE) + self.places_LE[: input_ids.shape[1]]
        )
        is_token_B11L = None
        if not attention_mask.all():
            is_token_B11L = attention_mask[:, None, None].bool()
        for layer in (*self.layers, self.last):
            hidden_BLE = self._through(layer, hidden_BLE, is_token_B11L=is_token_B11L)
        pooled_BE = torch.tanh(self.pooler(hidden_BLE[:, 0]))
        return Logits(self.classifier(pooled_BE))

    def _through(self, layer: Layer, hidden_BLE: Tensor, *, is_token_B11L: Tensor | None) -> Tensor:
        """What the layer makes of all tokens, the last one of the first token."""
        width = hidden_BLE.shape[-1]
        parts = torch.split(layer.attention(hidden_BLE), width, dim=-1)
        asking_BSE = hidden_BLE
        if layer.query:
            asking_BSE = hidden_BLE[:, :1]
            parts = (layer.query(asking_BSE), *parts)
        queries, keys, values = map(self._by_head, parts)
        read_BHSD = scaled_dot_product_attention(queries, keys, values, attn_mask=is_token_B11L)
        read_BSE = read_BHSD.transpose(1, 2).reshape(asking_BSE.shape)
        attended_BSE = layer.attended_norm(layer.attended(read_BSE) + asking_BSE)
        return layer.norm(layer.narrower(layer.wider(attended_BSE)) + attended_BSE)

    def _by_head(self, hidden_BLE: Tensor) -> Tensor:
        rows, length, _ = hidden_BLE.shape
        return hidden_BLE.reshape(rows, length, self.config.num_attention_heads, -1).transpose(1, 2)


def _layer(layer: Any, *, is_last: bool) -> Layer:
    attention = layer.attention.self
    query, *others = attention.query, attention.key, attention.value
    return Layer(
        _linear(query) if is_last else None,
        _linear(*others) if is_last else _linear(query, *others),
        _linear(layer.attention.output.dense),
        _norm(layer.attention.output.LayerNorm),
        _linear(layer.intermediate.dense, activation="gelu"),
        _linear(layer.output.dense),
        _norm(layer.output.LayerNorm),
    )


def _linear(*modules: Any, activation: str = "none") -> Linear:
    """Linear layers of one input as one, their outputs side by side, and the activation after it."""
    weight = torch.cat([module.weight.detach() for module in modules])
    bias = torch.cat([module.bias.detach() for module in modules])
    if _packs(weight):
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, TOKENS)
        multiply = torch.ops.mkldnn._linear_pointwise.default
        return lambda features: multiply(features, packed, bias, activation, [], "none")
    plain = functools.partial(linear, weight=weight, bias=bias)
    return (lambda features: gelu(plain(features))) if activation == "gelu" else plain


def _packs(weight: Tensor) -> bool:
    """Whether PyTorch was built with what lays weights out, and runs on a processor in float32."""
    has_operators = torch._C._has_mkldnn and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return has_operators and weight.device.type == "cpu" and weight.dtype == torch.float32


def _norm(module: Any) -> Norm:
    weight, bias = module.weight.detach(), module.bias.detach()
    return functools.partial(
        layer_norm, normalized_shape=bias.shape, weight=weight, bias=bias, eps=module.eps
    )
