"""A tabulated TextCNN says what the TextCNN itself says."""

from typing import Any

import pytest
import torch

from intents.models.inference import for_inference
from intents.models.textcnn import tables
from intents.models.textcnn.tables import TabulatedTextCNN
from tests.models.textcnn.test_textcnn import KERNEL_SIZES, TOLERANCE, tiny

LENGTHS = (1, 2, 3, 9, 4, 1, 7)


def padded(lengths: tuple[int, ...]) -> dict[str, torch.Tensor]:
    """Random utterances of these lengths as one batch. What stands in the padding is no zero: the mask must do."""
    generator = torch.Generator().manual_seed(3)
    shape = (len(lengths), max(lengths))
    mask_BL = (torch.arange(shape[1]) < torch.tensor(lengths)[:, None]).long()
    return {"input_ids": torch.randint(1, 30, shape, generator=generator), "attention_mask": mask_BL}


def assert_answers_as_itself(module: Any, batch: dict[str, torch.Tensor], *, tolerance: float) -> None:
    """What is made of the module for inference gives its logits."""
    with torch.inference_mode():
        torch.testing.assert_close(
            for_inference(module)(**batch).logits, module(**batch).logits, atol=tolerance, rtol=tolerance
        )


@pytest.mark.parametrize("batch_normalisation", [True, False])
@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("lengths", [LENGTHS, (1,), (2, 2)])
def test_the_logits_are_those_of_the_convolutions(
    batch_normalisation: bool, members: int, lengths: tuple[int, ...]
):
    module = tiny(batch_normalisation=batch_normalisation, members=members, kernel_sizes=KERNEL_SIZES)
    assert isinstance(for_inference(module), TabulatedTextCNN)
    assert_answers_as_itself(module, padded(lengths), tolerance=TOLERANCE)


def test_an_utterance_has_the_same_logits_alone_and_in_a_batch():
    faster = for_inference(tiny())
    batch = padded(LENGTHS)
    with torch.inference_mode():
        logits_BC = faster(**batch).logits
        for row, length in enumerate(LENGTHS):
            alone = {name: values[row : row + 1, :length] for name, values in batch.items()}
            torch.testing.assert_close(faster(**alone).logits[0], logits_BC[row], atol=TOLERANCE, rtol=0)


def test_tables_that_are_too_large_are_not_made(monkeypatch: pytest.MonkeyPatch):
    module = tiny(members=2)
    floats = 2 * 7 * sum(KERNEL_SIZES) * 30
    monkeypatch.setattr(tables, "MOST_BYTES", floats * 4)
    assert isinstance(for_inference(module), TabulatedTextCNN)
    monkeypatch.setattr(tables, "MOST_BYTES", floats * 4 - 1)
    assert for_inference(module) is module
