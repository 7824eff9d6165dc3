"""Transformer encoders with a classification head: pretrained, or a small one that begins at random."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForSequenceClassification
from transformers.utils import logging as transformers_logging

from intents.errors import EncoderError
from intents.models import pooling
from intents.models.encoders.encoder import Encoder
from intents.models.network import Network, label_names
from intents.parameters.training.bert import BertHyperparams

READERS_LENGTH = 128
"""Tokens that whoever reads a published directory by the five lines of README.md may give it, whatever max_length."""

# The default encoder, chosen by measurement (docs/encoders.md): two layers that see two characters to each side, as
# an n-gram model does, then one that sees the whole utterance; the mean of its tokens is classified.
NARROW, WIDE = "sliding_attention", "full_attention"
CHARACTER_ENCODER = {
    "hidden_size": 256,
    "intermediate_size": 384,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "layer_types": [NARROW, NARROW, WIDE],
    "local_attention": 4,
    # Utterances are a few dozen characters long: the library's 10,000 and 160,000 are for thousands of tokens, and
    # leave neighbours nearly alike.
    "rope_parameters": {
        NARROW: {"rope_type": "default", "rope_theta": 10.0},
        WIDE: {"rope_type": "default", "rope_theta": 100.0},
    },
    "attention_bias": True,
    # Narrow matrices need larger first weights than the library's 0.02, which is meant for 768 dimensions and more.
    "initializer_range": 0.08,
    "classifier_pooling": "mean",
    "embedding_dropout": 0.2,
    "attention_dropout": 0.1,
    "mlp_dropout": 0.1,
    "classifier_dropout": 0.3,
}
NEIGHBOURS = (-1, 1, -2, 2)
"""Where the heads of a narrow layer look before anything is learned, in characters from their own."""
NEIGHBOUR_GAIN = 3.0


def build(hyperparams: BertHyperparams, intent2id: dict[str, int], *, encoder: Encoder) -> Network:
    """A network of `encoder` with one logit an intent, in the mapping's order. Raises EncoderError."""
    labels = label_names(intent2id)
    if not encoder.weights:
        module = AutoModelForSequenceClassification.from_config(_character_config(encoder.tokenizer, labels))
        look_at_neighbours(module)
        return Network(module, new_weights=frozenset(name for name, _ in module.named_parameters()))
    module, missing = _pretrained(hyperparams, encoder.weights, labels=labels)
    _check_usable(module, missing, hyperparams=hyperparams)
    if encoder.kept_tokens:
        keep_tokens(module, encoder.kept_tokens)
        keep_positions(module, max(hyperparams.max_length, READERS_LENGTH))
    if encoder.added_tokens:
        module.resize_token_embeddings(len(encoder.tokenizer), mean_resizing=False)
    if hyperparams.pooling == "mean":
        missing = pooling.classify_mean(module, hyperparams.model_name)
    return Network(module, new_weights=frozenset(missing), head_is_fitted=hyperparams.head == "fitted")


def _pretrained(
    hyperparams: BertHyperparams, weights: str, *, labels: dict[str, Any]
) -> tuple[Any, set[str]]:
    """The encoder's weights in a network for classification, and the names of those that it lacks."""
    with _quiet():
        try:
            module, loading = AutoModelForSequenceClassification.from_pretrained(
                weights,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                dtype=torch.float32,
                **labels,
            )
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            reason = str(error).strip().splitlines()[0]
            raise EncoderError(
                f"model_name={hyperparams.model_name!r}: its weights can't be loaded: {reason} "
                "Only safetensors are read, never pickled weights, and no code of the encoder's is run."
            ) from error
    return module, set(loading["missing_keys"])


def _check_usable(module: Any, missing: set[str], *, hyperparams: BertHyperparams) -> None:
    positions = getattr(module.config, "max_position_embeddings", hyperparams.max_length)
    if hyperparams.max_length > positions:
        raise EncoderError(
            f"max_length={hyperparams.max_length}: {hyperparams.model_name!r} reads at most {positions} tokens. "
            f"Pass -P max_length={positions} or less."
        )
    if len(missing) == len(module.state_dict()):
        raise EncoderError(
            f"model_name={hyperparams.model_name!r}: none of its weights is one that a {module.config.model_type} "
            "has, as config.json says it is; all would begin at random. Take its directory from its source again."
        )


def keep_tokens(module: Any, tokens: Sequence[int]) -> None:
    """Leaves these rows of the token table, in this order."""
    old = module.get_input_embeddings()
    table_VE = old.weight.detach()[torch.tensor(tokens)].clone()
    padding = module.config.pad_token_id
    place = tokens.index(padding) if padding in tokens else None
    table = torch.nn.Embedding(len(tokens), table_VE.shape[1], padding_idx=place)
    table.weight = torch.nn.Parameter(table_VE)
    module.set_input_embeddings(table)
    module.config.vocab_size = len(tokens)
    for role in ("pad_token_id", "bos_token_id", "eos_token_id"):
        old_id = getattr(module.config, role, None)
        if old_id in tokens:
            setattr(module.config, role, tokens.index(old_id))


def keep_positions(module: Any, positions: int) -> None:
    """Leaves the first rows of a BERT's table of learned positions, where it has more."""
    if module.config.model_type != "bert":  # others count from elsewhere, or have no table
        return
    embeddings = module.bert.embeddings
    table_PE = embeddings.position_embeddings.weight.detach()[:positions].clone()
    embeddings.position_embeddings = torch.nn.Embedding(len(table_PE), table_PE.shape[1], _weight=table_PE)
    for name in ("position_ids", "token_type_ids"):
        embeddings.register_buffer(name, getattr(embeddings, name)[:, :positions], persistent=False)
    module.config.max_position_embeddings = len(table_PE)


def _character_config(tokenizer: Any, labels: dict[str, Any]) -> Any:
    return AutoConfig.for_model(
        "modernbert",
        **CHARACTER_ENCODER,
        **labels,
        vocab_size=len(tokenizer),
        max_position_embeddings=tokenizer.model_max_length,
        pad_token_id=tokenizer.pad_token_id,
        cls_token_id=tokenizer.cls_token_id,
        sep_token_id=tokenizer.sep_token_id,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
    )


def look_at_neighbours(module: Any) -> None:
    """Sets the query and key biases of narrow layers so that each head begins as a shift by one of NEIGHBOURS.

    Attention that begins as a convolution learns it sooner from few rows (d'Ascoli et al. 2021, arXiv:2103.10697).
    With rotary positions the score of places m and n is, from biases alone, gain^2 * sum_i cos((m - n + d) * f_i),
    where f_i are the frequencies: highest at n = m + d.
    """
    for layer, kind in zip(module.model.layers, module.config.layer_types, strict=True):
        if kind != NARROW:
            continue
        size = layer.attn.head_dim
        theta = module.config.rope_parameters[kind]["rope_theta"]
        frequencies = theta ** (-torch.arange(0, size, 2) / size)
        bias_3HD = torch.zeros(3, module.config.num_attention_heads, size)
        for head, distance in enumerate(NEIGHBOURS):
            turned = torch.cat([torch.cos(distance * frequencies), torch.sin(distance * frequencies)])
            bias_3HD[0, head] = NEIGHBOUR_GAIN * turned
            bias_3HD[1, head, : size // 2] = NEIGHBOUR_GAIN
        with torch.no_grad():
            layer.attn.Wqkv.bias.copy_(bias_3HD.flatten())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the library's warning that the head is new: here it always is."""
    before = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        transformers_logging.set_verbosity(before)
