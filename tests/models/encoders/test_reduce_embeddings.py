"""Reduced token tables: the right numbers, made once, and known by where they came from."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors import safe_open
from safetensors.numpy import save_file
from safetensors.torch import load_file
from safetensors.torch import save_file as save_tensors
from sklearn.decomposition import PCA

from intents.errors import EncoderError
from intents.models.encoders import files, reduce_embeddings
from intents.models.encoders.reduce_embeddings import ReducedTable, reduced_table

SIZE = 6
WORD_EMBEDDINGS = "embeddings.word_embeddings.weight"


def full_table(tiny_bert: Path) -> np.ndarray:
    return load_file(tiny_bert / "model.safetensors")[WORD_EMBEDDINGS].numpy()


@pytest.fixture
def table(tiny_bert: Path, tmp_path: Path) -> ReducedTable:
    """The tiny encoder's table in SIZE dimensions, just made."""
    return reduced_table(str(tiny_bert), size=SIZE, workspace=tmp_path)


@pytest.fixture
def encoder_copy(tiny_bert: Path, tmp_path: Path) -> Path:
    """The tiny encoder's directory, for a test to change."""
    return shutil.copytree(tiny_bert, tmp_path / "encoder")


def test_the_table_is_scikit_learns_pca_of_the_input_embeddings_up_to_sign(
    table: ReducedTable, tiny_bert: Path
):
    full_VE = full_table(tiny_bert)
    pca = PCA(n_components=SIZE, svd_solver="full")
    expected_VE = pca.fit_transform(full_VE.astype(np.float64))
    signs_E = np.sign((expected_VE * table.table_VE).sum(axis=0))
    assert table.table_VE.shape == (len(full_VE), SIZE)
    assert table.table_VE.dtype == np.float32
    assert np.abs(table.table_VE * signs_E - expected_VE).max() < 1e-4
    assert np.abs(expected_VE).max() > 0.1


def test_explained_variance_is_the_share_of_the_largest_eigenvalues(table: ReducedTable, tiny_bert: Path):
    eigenvalues_E = np.linalg.eigvalsh(np.cov(full_table(tiny_bert).astype(np.float64), rowvar=False))[::-1]
    assert table.explained_variance == pytest.approx(
        eigenvalues_E[:SIZE].sum() / eigenvalues_E.sum(), rel=1e-5
    )
    assert 0 < table.explained_variance < 1


def test_the_file_says_where_its_table_came_from(table: ReducedTable, tiny_bert: Path):
    with safe_open(table.file, framework="numpy") as saved:
        metadata = saved.metadata()
        assert list(saved.keys()) == ["token_id_to_reduced_embedding"]
    assert metadata.keys() == {"model_name", "sha256", "explained_variance"}
    assert metadata["model_name"] == str(tiny_bert)
    assert metadata["sha256"].startswith(table.file.name.split("-")[0])
    assert len(metadata["sha256"]) == 64
    assert float(metadata["explained_variance"]) == table.explained_variance


def test_a_table_made_once_is_read_again_not_made_again(table: ReducedTable, tiny_bert: Path, tmp_path: Path):
    """A table put in the file's place comes back: nothing was computed."""
    marked = np.full_like(table.table_VE, 7.0)
    save_file({reduce_embeddings.TABLE: marked}, table.file, metadata={"explained_variance": "0.5"})
    written = table.file.stat().st_mtime_ns
    again = reduced_table(str(tiny_bert), size=SIZE, workspace=tmp_path)
    assert np.array_equal(again.table_VE, marked)
    assert (again.explained_variance, again.file) == (0.5, table.file)
    assert table.file.stat().st_mtime_ns == written


def test_another_size_or_other_weights_are_another_file_and_nothing_else_is_left_behind(
    table: ReducedTable, tiny_bert: Path, encoder_copy: Path, tmp_path: Path
):
    smaller = reduced_table(str(tiny_bert), size=SIZE - 1, workspace=tmp_path)
    weights = load_file(encoder_copy / "model.safetensors")
    weights[WORD_EMBEDDINGS][3, 3] += 1
    save_tensors(weights, encoder_copy / "model.safetensors", metadata={"format": "pt"})
    changed = reduced_table(str(encoder_copy), size=SIZE, workspace=tmp_path)
    assert len({table.file, smaller.file, changed.file}) == 3
    assert set(table.file.parent.iterdir()) == {table.file, smaller.file, changed.file}
    assert table.file.is_relative_to(tmp_path)
    # two sizes of one table are the same dimensions, fewer of them
    assert np.allclose(np.abs(smaller.table_VE), np.abs(table.table_VE[:, :-1]), atol=1e-5)


def test_the_same_table_under_another_name_is_not_made_twice(
    table: ReducedTable, encoder_copy: Path, tmp_path: Path
):
    assert reduced_table(str(encoder_copy), size=SIZE, workspace=tmp_path).file == table.file


def test_a_table_is_shown_by_its_file_its_size_and_what_it_keeps(table: ReducedTable):
    shown = ReducedTable(np.zeros((32064, 128), dtype=np.float32), 0.4567, table.file)
    assert str(shown) == f"{table.file}: 32,064 tokens x 128, 45.7% of the variance kept"


def shard(directory: Path) -> None:
    """The same weights in several files, with an index, as large encoders come."""
    model = transformers.BertModel.from_pretrained(directory)
    (directory / "model.safetensors").unlink()
    model.save_pretrained(directory, max_shard_size="8KB")
    index = json.loads((directory / files.INDEX).read_text(encoding="utf-8"))
    assert len(set(index["weight_map"].values())) > 2
    assert not (directory / "model.safetensors").exists()


def prefix(directory: Path) -> None:
    """The same encoder saved below a head, all its weights' names with a prefix."""
    weights = load_file(directory / "model.safetensors")
    save_tensors(
        {f"bert.{name}": weight for name, weight in weights.items()}
        | {"classifier.weight": torch.ones(2, 32)},
        directory / "model.safetensors",
        metadata={"format": "pt"},
    )


def shard_with_prefix(directory: Path) -> None:
    """Both: several files, of an encoder below a head."""
    model = transformers.BertForSequenceClassification(transformers.BertConfig.from_pretrained(directory))
    model.bert = transformers.BertModel.from_pretrained(directory)
    (directory / "model.safetensors").unlink()
    model.save_pretrained(directory, max_shard_size="8KB")
    index = json.loads((directory / files.INDEX).read_text(encoding="utf-8"))
    assert f"bert.{WORD_EMBEDDINGS}" in index["weight_map"]


@pytest.mark.parametrize("change", [shard, prefix, shard_with_prefix])
def test_the_table_is_found_however_the_weights_are_laid_out(
    change: Callable[[Path], None], encoder_copy: Path, tiny_bert: Path
):
    change(encoder_copy)
    found_VE = reduce_embeddings.input_embeddings(str(encoder_copy), "copy")
    assert np.array_equal(found_VE, full_table(tiny_bert))


def test_a_table_of_several_files_needs_only_its_own(encoder_copy: Path, tiny_bert: Path):
    shard(encoder_copy)
    index = json.loads((encoder_copy / files.INDEX).read_text(encoding="utf-8"))["weight_map"]
    for file in set(index.values()) - {index[WORD_EMBEDDINGS]}:
        (encoder_copy / file).unlink()
    found_VE = reduce_embeddings.input_embeddings(str(encoder_copy), "copy")
    assert np.array_equal(found_VE, full_table(tiny_bert))


def test_a_table_in_half_precision_is_read_as_float32(encoder_copy: Path, tiny_bert: Path):
    weights = load_file(encoder_copy / "model.safetensors")
    weights[WORD_EMBEDDINGS] = weights[WORD_EMBEDDINGS].to(torch.bfloat16)
    save_tensors(weights, encoder_copy / "model.safetensors", metadata={"format": "pt"})
    found_VE = reduce_embeddings.input_embeddings(str(encoder_copy), "copy")
    assert found_VE.dtype == np.float32
    # bfloat16 keeps 8 bits of a number
    assert np.allclose(found_VE, full_table(tiny_bert), rtol=2**-8)


def test_an_encoder_from_scratch_has_nothing_to_reduce(tmp_path: Path):
    with pytest.raises(EncoderError, match=r"'char' has no pretrained embeddings.*Use embeddings=learned"):
        reduced_table("char", size=SIZE, workspace=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [32, 33, 4096])
def test_a_size_that_reduces_nothing_is_refused_with_the_encoders_own(
    size: int, tiny_bert: Path, tmp_path: Path
):
    with pytest.raises(
        EncoderError, match=rf"embedding_size={size}: .* tokens of 32 dimensions; expected fewer than either"
    ):
        reduced_table(str(tiny_bert), size=size, workspace=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_one_dimension_fewer_than_the_encoders_own_is_accepted(tiny_bert: Path, tmp_path: Path):
    assert reduced_table(str(tiny_bert), size=31, workspace=tmp_path).explained_variance < 1


def no_weights(directory: Path) -> None:
    (directory / "model.safetensors").unlink()


def pickled(directory: Path) -> None:
    (directory / "model.safetensors").unlink()
    torch.save({WORD_EMBEDDINGS: torch.ones(3, 3)}, directory / "pytorch_model.bin")


def no_config(directory: Path) -> None:
    (directory / "config.json").unlink()


def damaged(directory: Path) -> None:
    (directory / "model.safetensors").write_bytes(b"not safetensors")


def damaged_config(directory: Path) -> None:
    (directory / "config.json").write_text("{")


def without_the_table(directory: Path) -> None:
    save_tensors({"pooler.dense.weight": torch.ones(3, 3)}, directory / "model.safetensors")


def lost_shard(directory: Path) -> None:
    shard(directory)
    index = json.loads((directory / files.INDEX).read_text(encoding="utf-8"))["weight_map"]
    (directory / index[WORD_EMBEDDINGS]).unlink()


def damaged_index(directory: Path) -> None:
    shard(directory)
    (directory / files.INDEX).write_text("{")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (no_weights, "needs model.safetensors"),
        (pickled, "pickled weights are never loaded"),
        (no_config, "needs config.json"),
        (damaged, "model.safetensors is damaged"),
        (damaged_config, "config.json is no JSON"),
        (without_the_table, "input embeddings can't be read"),
        (lost_shard, "safetensors is damaged"),
        (damaged_index, "index.json is no JSON"),
    ],
)
def test_a_directory_that_can_not_be_read_is_one_clear_error_and_leaves_no_table(
    damage: Callable[[Path], None], said: str, encoder_copy: Path, tmp_path: Path
):
    damage(encoder_copy)
    with pytest.raises(EncoderError, match=said) as caught:
        reduced_table(str(encoder_copy), size=SIZE, workspace=tmp_path / "workspace")
    assert str(encoder_copy) in str(caught.value)
    assert "model_name=minilm" in str(caught.value)
    assert not (tmp_path / "workspace").exists()


def test_an_encoder_that_brings_its_own_code_is_refused_and_the_code_not_run(
    encoder_copy: Path, tmp_path: Path
):
    trace = tmp_path / "trace"
    (encoder_copy / "evil.py").write_text(f"open({str(trace)!r}, 'w')\nclass Config: pass\n")
    (encoder_copy / "config.json").write_text(
        '{"model_type": "evil", "auto_map": {"AutoConfig": "evil.Config"}}'
    )
    with pytest.raises(EncoderError, match="no encoder's code is ever run"):
        reduced_table(str(encoder_copy), size=SIZE, workspace=tmp_path / "workspace")
    assert not trace.exists()
