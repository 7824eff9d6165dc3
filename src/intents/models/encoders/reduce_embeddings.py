"""Reduced token tables: an encoder's input embeddings in fewer dimensions, cached with where they came from."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from transformers import AutoConfig, AutoModel
from transformers.utils import cached_file

from intents.axes import Floats
from intents.errors import EncoderError
from intents.models.encoders import encoder
from intents.models.encoders.files import ALTERNATIVES, INDEX, WEIGHTS
from intents.system.disk import put

CACHE_FOLDER = "embeddings"
TABLE = "token_id_to_reduced_embedding"


@dataclass(frozen=True)
class ReducedTable:
    """One row a token id, shape (V, size); the share of the variance that the kept dimensions explain."""

    table_VE: Floats
    explained_variance: float
    file: Path

    def __str__(self) -> str:
        tokens, size = self.table_VE.shape
        return f"{self.file}: {tokens:,} tokens x {size}, {self.explained_variance:.1%} of the variance kept"


def reduced_table(model_name: str, *, size: int, workspace: Path) -> ReducedTable:
    """The encoder's input embeddings in their `size` principal dimensions, made or cached. Raises EncoderError."""
    weights = encoder.locate(model_name, workspace=workspace)
    if not weights:
        raise EncoderError(
            f"embeddings=reduced: model_name={model_name!r} has no pretrained embeddings to reduce. "
            "Use embeddings=learned, or name a pretrained encoder: minilm, a local path or a hub id."
        )
    full_VE = input_embeddings(weights, model_name)
    tokens, dimensions = full_VE.shape
    if not 1 <= size < min(tokens, dimensions):
        raise EncoderError(
            f"embedding_size={size}: {model_name!r} has {tokens:,} tokens of {dimensions} dimensions; expected fewer "
            "than either."
        )
    digest = hashlib.sha256(np.ascontiguousarray(full_VE).tobytes()).hexdigest()
    file = workspace / CACHE_FOLDER / f"{digest[:16]}-{size}.safetensors"
    return _cached(file) or _reduce(
        full_VE, size, file=file, provenance={"model_name": model_name, "sha256": digest}
    )


def _cached(file: Path) -> ReducedTable | None:
    """The table in the file; None where there is none, or a damaged one."""
    try:
        with safe_open(file, framework="numpy") as saved:
            return ReducedTable(saved.get_tensor(TABLE), float(saved.metadata()["explained_variance"]), file)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None


def input_embeddings(weights: str, model_name: str) -> Floats:
    """The token table of a pretrained encoder, float32 (V, E), without loading the rest. Raises EncoderError."""
    try:
        config = AutoConfig.from_pretrained(weights, trust_remote_code=False)
        with torch.device("meta"):
            skeleton = AutoModel.from_config(config, trust_remote_code=False)
        table = skeleton.get_input_embeddings().weight
        (name,) = [name for name, weight in skeleton.named_parameters() if weight is table]
        return _tensor_ending(name, weights)
    except (OSError, ValueError, KeyError, SafetensorError, NotImplementedError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise EncoderError(
            f"model_name={model_name!r}: its input embeddings can't be read: {reason} {ALTERNATIVES}"
        ) from error


def _tensor_ending(name: str, weights: str) -> Floats:
    """The tensor called `name`, whatever prefix it was saved under; of several files only its own is fetched."""
    index = cached_file(weights, INDEX, _raise_exceptions_for_missing_entries=False)
    shards = {"": WEIGHTS} if index is None else json.loads(Path(index).read_text())["weight_map"]
    shard = next((file for key, file in shards.items() if key.endswith(name)), shards.get(""))
    if shard is None:
        raise KeyError(f"no tensor {name}")
    with safe_open(cached_file(weights, shard), framework="pt") as tensors:
        keys = [key for key in tensors.keys() if key.endswith(name)]  # noqa: SIM118
        if len(keys) != 1:
            raise KeyError(f"{len(keys)} tensors end in {name}")
        tensor: Any = tensors.get_tensor(keys[0])
    table: Floats = tensor.to(torch.float32).numpy()
    return table


def _reduce(full_VE: Floats, size: int, *, file: Path, provenance: dict[str, str]) -> ReducedTable:
    """Makes the table and writes it: aside first, then in place by one rename."""
    from sklearn.decomposition import PCA  # late: a served model needs this module, not scikit-learn

    pca = PCA(n_components=size, svd_solver="covariance_eigh")
    table_VE = pca.fit_transform(full_VE).astype(np.float32)
    explained = float(pca.explained_variance_ratio_.sum())
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(f"{file.name}.{os.getpid()}")
    save_file({TABLE: table_VE}, aside, metadata=provenance | {"explained_variance": repr(explained)})
    put(aside, file)
    return ReducedTable(table_VE, explained, file)
