"""The model directory: what is saved comes back the same, and what was changed is refused before it is loaded."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from intents.errors import ArtifactError
from intents.models import directory
from intents.models.energy import energy, fit_temperature
from intents.models.file_names import (
    CONFIG,
    MANIFEST,
    MAPPING,
    MODEL_FILES,
    SANITY_PREDICTIONS,
    TRAINING_ROWS,
    WEIGHTS,
)
from intents.models.network import predict_logits
from intents.system import disk
from tests.conftest import INTENTS, UNSPELLABLE, Trained
from tests.training.test_stages import train_textcnn

TEXTS = ["你好呀", f"几点钟{UNSPELLABLE}", "别打来", "龘", "马上还款，谢谢"]


@pytest.fixture(scope="module")
def trained_cnn(tiny_settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("textcnn")
    return train_textcnn(tiny_settings, folder, threshold_rule="acceptance")[0]


@pytest.fixture(params=["trained", "trained_cnn"], ids=["bert", "textcnn"])
def made(request: pytest.FixtureRequest) -> Trained:
    """A model of each family."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def copy(trained: Trained, tmp_path: Path) -> Path:
    """A sealed model directory that a test may damage."""
    return shutil.copytree(trained.directory, tmp_path / "model")


def edit(path: Path, change: Callable[[dict], None]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def test_an_untouched_directory_is_accepted(copy: Path):
    directory.verify(copy)


def test_a_saved_model_gives_the_same_logits_when_loaded(made: Trained):
    loaded = directory.load(made.directory)
    before = predict_logits(made.result.module, made.result.tokenizer, texts=TEXTS, max_length=32)
    after = predict_logits(loaded.module, loaded.tokenizer, texts=TEXTS, max_length=loaded.max_length)
    assert np.abs(before - after).max() <= 1e-6
    assert loaded.max_length == 32


def test_a_loaded_model_is_in_evaluation_mode_and_knows_its_intents_and_rule(made: Trained):
    loaded = directory.load(made.directory)
    assert not loaded.module.training
    assert loaded.intents == tuple(sorted(INTENTS))
    assert loaded.rejection == made.result.rejection


def test_the_plain_softmax_of_the_saved_model_is_the_calibrated_one(made: Trained):
    """Undoing the fold by hand gives logits whose best temperature is the one that was folded in."""
    temperature = made.result.rejection.fitted_temperature
    assert abs(temperature - 1) > 0.01  # otherwise this test could not tell a fold from none
    rows = made.corpus.part("validation")
    labels = np.array([made.corpus.intents.index(label) for label in rows["label"]])
    tokenizer = AutoTokenizer.from_pretrained(made.directory)
    model = AutoModelForSequenceClassification.from_pretrained(made.directory).eval()
    with torch.inference_mode():
        logits = model(**tokenizer(rows["text"].tolist(), padding=True, return_tensors="pt")).logits.numpy()
    assert fit_temperature(logits, labels) == pytest.approx(1, abs=0.01)
    assert fit_temperature(logits * temperature, labels) == pytest.approx(temperature, rel=0.01)


def test_the_saved_threshold_accepts_the_target_share_of_validation_rows(made: Trained):
    loaded = directory.load(made.directory)
    texts = made.corpus.part("validation")["text"].tolist()
    energies = energy(predict_logits(loaded.module, loaded.tokenizer, texts=texts, max_length=32))
    accepted = int(np.sum(energies <= loaded.rejection.energy_threshold + 1e-5))
    assert 0.95 * len(texts) <= accepted < 0.95 * len(texts) + 1


@pytest.mark.parametrize("name", MODEL_FILES)
def test_a_flipped_bit_in_any_file_of_the_model_is_refused_by_name(name: str, copy: Path):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=rf"{name}.*sha256"):
        directory.load(copy)


def test_a_truncated_file_is_refused_with_both_sizes(copy: Path):
    weights = copy / WEIGHTS
    size = weights.stat().st_size
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match=rf"{size - 1} bytes, expected {size}"):
        directory.load(copy)


@pytest.mark.parametrize("name", [WEIGHTS, MAPPING, SANITY_PREDICTIONS])
def test_a_missing_file_is_refused_by_name(name: str, copy: Path):
    (copy / name).unlink()
    with pytest.raises(ArtifactError, match=rf"{name} is missing"):
        directory.load(copy)


def test_a_file_that_the_manifest_does_not_know_is_refused(copy: Path):
    (copy / "vocab.txt").write_text("an allowed name, but not this model's file")
    with pytest.raises(ArtifactError, match=r"vocab.txt is not in the manifest"):
        directory.load(copy)


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "modeling_evil.py", "training_dataset_snapshot.parquet"]
)
def test_a_file_that_no_model_has_is_refused_even_if_the_manifest_lists_it(name: str, copy: Path):
    (copy / name).write_bytes(b"x")
    digest = disk.sha256(copy / name)
    edit(copy / MANIFEST, lambda m: m["files"].update({name: {"sha256": digest, "bytes": 1}}))
    with pytest.raises(ArtifactError, match=rf"{name} is not a file that a model has"):
        directory.load(copy)


def test_sealing_refuses_a_file_that_no_model_has(copy: Path):
    (copy / "notes.txt").write_text("user text")
    with pytest.raises(ArtifactError, match=r"notes\.txt"):
        directory.seal(copy)


def test_a_link_in_place_of_a_file_is_refused_though_its_content_is_the_same(copy: Path, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    shutil.move(copy / WEIGHTS, elsewhere)
    (copy / WEIGHTS).symlink_to(elsewhere)
    with pytest.raises(ArtifactError, match="expected a regular file"):
        directory.load(copy)


def test_a_manifest_cannot_name_a_file_outside_the_directory(copy: Path):
    edit(copy / MANIFEST, lambda m: m["files"].update({"../x": {"sha256": "", "bytes": 0}}))
    with pytest.raises(ArtifactError, match=r"\.\./x"):
        directory.load(copy)


def test_a_directory_without_a_manifest_is_unfinished(copy: Path):
    (copy / MANIFEST).unlink()
    with pytest.raises(ArtifactError, match="no finished model directory"):
        directory.load(copy)


def test_a_directory_that_does_not_exist_is_named(tmp_path: Path):
    with pytest.raises(ArtifactError, match="nowhere"):
        directory.load(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '{"format_version": 1, "files": []}'])
def test_a_manifest_that_is_no_manifest_is_one_clear_error(text: str, copy: Path):
    (copy / MANIFEST).write_text(text)
    with pytest.raises(ArtifactError, match=MANIFEST):
        directory.load(copy)


def test_a_directory_of_a_later_format_is_refused_by_its_version(copy: Path):
    edit(copy / MANIFEST, lambda manifest: manifest.update(format_version=99))
    with pytest.raises(ArtifactError, match="format_version is 99"):
        directory.load(copy)


def _swap(mapping: dict) -> None:
    ids = mapping["id2intent"]
    ids["0"], ids["1"] = ids["1"], ids["0"]


def _swap_both(mapping: dict) -> None:
    _swap(mapping)
    mapping["intent2id"] = {intent: int(i) for i, intent in mapping["id2intent"].items()}


def _skip_an_id(mapping: dict) -> None:
    mapping["id2intent"]["9"] = mapping["id2intent"].pop("0")
    mapping["intent2id"][mapping["id2intent"]["9"]] = 9


def _drop_a_direction(mapping: dict) -> None:
    del mapping["id2intent"]


def _ids_as_lists(mapping: dict) -> None:
    mapping["intent2id"] = {intent: [i] for intent, i in mapping["intent2id"].items()}


def _ids_of_two_kinds(mapping: dict) -> None:
    mapping["intent2id"][next(iter(mapping["intent2id"]))] = "0"


@pytest.mark.parametrize(
    "damage", [_swap, _swap_both, _skip_an_id, _drop_a_direction, _ids_as_lists, _ids_of_two_kinds]
)
def test_a_mapping_that_disagrees_is_refused_though_the_manifest_agrees(
    damage: Callable[[dict], None], copy: Path
):
    edit(copy / MAPPING, damage)
    directory.seal(copy)
    with pytest.raises(ArtifactError, match=MAPPING):
        directory.load(copy)


def test_a_config_that_names_code_to_run_is_refused_though_the_manifest_agrees(copy: Path):
    edit(copy / CONFIG, lambda config: config.update(auto_map={"AutoConfig": "evil.Config"}))
    directory.seal(copy)
    with pytest.raises(ArtifactError, match="auto_map"):
        directory.load(copy)


def test_a_tokenizer_that_names_code_to_run_is_refused_though_the_manifest_agrees(copy: Path):
    edit(
        copy / "tokenizer_config.json",
        lambda config: config.update(auto_map={"AutoTokenizer": ["evil.Tokenizer", None]}),
    )
    directory.seal(copy)
    with pytest.raises(ArtifactError, match="auto_map"):
        directory.load(copy)


@pytest.mark.parametrize("rejection", [None, {}, {"energy_threshold": -3.0}])
def test_a_model_without_its_rejection_rule_is_refused(rejection: object, copy: Path):
    edit(copy / CONFIG, lambda config: config.update(rejection=rejection))
    directory.seal(copy)
    with pytest.raises(ArtifactError, match="can't be loaded"):
        directory.load(copy)


def test_weights_that_were_written_wrongly_are_one_clear_error(copy: Path):
    (copy / WEIGHTS).write_bytes(b"not safetensors")
    directory.seal(copy)
    with pytest.raises(ArtifactError, match="can't be loaded"):
        directory.load(copy)


def test_weights_without_a_head_are_refused_instead_of_a_random_head(copy: Path):
    weights = load_file(copy / WEIGHTS)
    del weights["classifier.weight"]
    save_file(weights, copy / WEIGHTS, metadata={"format": "pt"})
    directory.seal(copy)
    with pytest.raises(ArtifactError, match=r"classifier\.weight"):
        directory.load(copy)


@pytest.mark.parametrize("entry", [None, {}, {"bytes": 1}, ["sha256", "bytes"]])
def test_a_manifest_with_a_strange_entry_is_one_clear_error(entry: object, copy: Path):
    edit(copy / MANIFEST, lambda manifest: manifest["files"].update({WEIGHTS: entry}))
    with pytest.raises(ArtifactError, match=MANIFEST):
        directory.load(copy)


def test_a_sealed_directory_is_readable_by_another_user(made: Trained):
    assert {path.stat().st_mode & 0o777 for path in made.directory.iterdir()} == {0o644}


def test_no_file_of_the_model_tells_where_it_was_trained(trained: Trained):
    encoder = trained.config.hyperparams.model_name.encode()
    texts = [file.read_bytes() for file in trained.directory.iterdir() if file.name in MODEL_FILES]
    assert len(texts) == len(MODEL_FILES)
    assert not any(encoder in text for text in texts)


def test_what_a_model_has_seen_is_written_and_read_again(tmp_path: Path):
    assert directory.training_rows(tmp_path) is None
    seen = np.array([0, 7, 2**64 - 1], dtype=np.uint64)
    directory.write_training_rows(tmp_path, seen)
    assert directory.training_rows(tmp_path) == {0, 7, 2**64 - 1}
    assert (tmp_path / TRAINING_ROWS).read_bytes()[8:16] == (7).to_bytes(8, "big")


def test_half_a_fingerprint_is_refused(tmp_path: Path):
    (tmp_path / TRAINING_ROWS).write_bytes(b"123456789")
    with pytest.raises(ArtifactError, match="no whole number of fingerprints"):
        directory.training_rows(tmp_path)
