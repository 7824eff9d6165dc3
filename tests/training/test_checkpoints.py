"""Going on after an interruption: from the last complete checkpoint, to where an uninterrupted training gets."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from intents.models.network import Network
from intents.parameters.training.hyperparams import Hyperparams
from intents.training import checkpoints
from intents.training.checkpoints import MARK, Progress
from tests.training.test_fit import NEGATIVES, built, run_fit, tiny_hyperparams

EPOCHS = 5
Reports = dict[int, Mapping[str, float]]


class CutOffError(Exception):
    """What cuts a training off in a test."""


def cut_at(epoch: int) -> Callable[[int, Mapping[str, float]], None]:
    """Called after that epoch's validation, before its checkpoint is written."""

    def on_epoch(number: int, _: Mapping[str, float]) -> None:
        if number == epoch:
            raise CutOffError

    return on_epoch


def trained(
    hyperparams: Hyperparams, folder: Path, on_epoch: Callable[[int, Mapping[str, float]], None]
) -> tuple[Network, Any]:
    network, encoder = built(hyperparams)
    # a folder that already holds a training's checkpoints is gone on from
    return network, run_fit(network, encoder, hyperparams, folder, on_epoch=on_epoch)


def hyperparams_of(family: str, tiny_bert: Path, **changes: Any) -> Hyperparams:
    return tiny_hyperparams(family, tiny_bert, epochs=EPOCHS, batch_size=16, energy_weight=0.0, **changes)


@pytest.mark.parametrize("family", ["bert", "textcnn"])
def test_a_training_that_goes_on_ends_with_the_weights_of_one_that_was_never_cut_off(
    family: str, tiny_bert: Path, tmp_path: Path
):
    hyperparams = hyperparams_of(family, tiny_bert)
    whole_epochs: Reports = {}
    whole, whole_fit = trained(hyperparams, tmp_path / "whole", whole_epochs.__setitem__)
    with pytest.raises(CutOffError):
        trained(hyperparams, tmp_path / "cut", cut_at(3))
    epochs: Reports = {}
    resumed, fit = trained(hyperparams, tmp_path / "cut", epochs.__setitem__)
    assert epochs == whole_epochs
    assert (fit.best_epoch, fit.epochs_run) == (whole_fit.best_epoch, EPOCHS)
    for name, weight in resumed.module.state_dict().items():
        assert torch.equal(weight, whole.module.state_dict()[name]), name


def test_only_what_was_left_to_do_counts_as_this_trainings_speed(tiny_bert: Path, tmp_path: Path):
    hyperparams = hyperparams_of("textcnn", tiny_bert)
    with pytest.raises(CutOffError):
        trained(hyperparams, tmp_path, cut_at(4))
    _, fit = trained(hyperparams, tmp_path, lambda *_: None)
    assert fit.samples_per_second * fit.seconds == pytest.approx(2 * 60)  # epochs 4 and 5 of 60 rows


def test_early_stopping_counts_on_from_where_it_was(tiny_bert: Path, tmp_path: Path):
    hyperparams = hyperparams_of("textcnn", tiny_bert, patience=2, selection="best", learning_rate=1e-9)
    _, whole = trained(hyperparams, tmp_path / "whole", lambda *_: None)
    assert whole.epochs_run < EPOCHS  # a network that hardly learns is stopped
    with pytest.raises(CutOffError):
        trained(hyperparams, tmp_path / "cut", cut_at(2))
    _, resumed = trained(hyperparams, tmp_path / "cut", lambda *_: None)
    assert resumed.epochs_run == whole.epochs_run


def test_a_training_cut_off_after_its_last_checkpoint_only_reads_the_best_one_again(
    tiny_bert: Path, tmp_path: Path
):
    hyperparams = hyperparams_of("textcnn", tiny_bert)
    whole, fit = trained(hyperparams, tmp_path, lambda *_: None)
    again, fit_again = trained(hyperparams, tmp_path, lambda *_: None)
    assert fit_again.best_epoch == fit.best_epoch
    for name, weight in again.module.state_dict().items():
        assert torch.equal(weight, whole.module.state_dict()[name]), name


def test_a_half_written_checkpoint_is_passed_over(tiny_bert: Path, tmp_path: Path):
    hyperparams = hyperparams_of("textcnn", tiny_bert)
    whole_epochs: Reports = {}
    trained(hyperparams, tmp_path / "whole", whole_epochs.__setitem__)
    with pytest.raises(CutOffError):
        trained(hyperparams, tmp_path / "cut", cut_at(4))
    newest = max((tmp_path / "cut").glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    (newest / MARK).unlink()
    (newest / "model.safetensors").write_bytes(b"half")
    epochs: Reports = {}
    trained(hyperparams, tmp_path / "cut", epochs.__setitem__)
    assert epochs == whole_epochs


def test_a_margin_watch_goes_on_with_what_it_saw(tiny_bert: Path, tmp_path: Path):
    hyperparams = tiny_hyperparams(
        "textcnn", tiny_bert, epochs=EPOCHS, batch_size=16, energy_weight=0.1, energy_objective="margin"
    )
    network, encoder = built(hyperparams)
    with pytest.raises(CutOffError):
        run_fit(network, encoder, hyperparams, tmp_path, negatives=NEGATIVES, on_epoch=cut_at(3))
    found = checkpoints.last_complete(tmp_path)
    assert found is not None
    watched = round(0.2 * EPOCHS * 4)  # a fifth of the steps, four an epoch
    assert len(found[1].memory) == watched
    terms: dict[int, Mapping[str, float]] = {}
    network, encoder = built(hyperparams)
    run_fit(network, encoder, hyperparams, tmp_path, negatives=NEGATIVES, on_step=terms.__setitem__)
    after = checkpoints.last_complete(tmp_path)
    assert after is not None
    assert after[1].memory == found[1].memory


def test_the_furthest_marked_checkpoint_is_the_last(tmp_path: Path):
    for epoch, name in ((1, "checkpoint-9"), (2, "checkpoint-10")):
        (tmp_path / name).mkdir()
        checkpoints.mark(tmp_path / name, Progress(epoch, epochs=[(epoch, {"val_loss": float("nan")})]))
    (tmp_path / "checkpoint-11").mkdir()
    (tmp_path / "checkpoint-12").mkdir()
    (tmp_path / "checkpoint-12" / MARK).touch()  # as a power cut may leave it
    found = checkpoints.last_complete(tmp_path)
    assert found is not None
    assert (found[0].name, found[1].epoch) == ("checkpoint-10", 2)


def test_an_empty_folder_holds_no_checkpoint(tmp_path: Path):
    assert checkpoints.last_complete(tmp_path) is None
    assert checkpoints.last_complete(tmp_path / "absent") is None
