"""A trained TextCNN without its convolutions: what each token adds to each pattern is looked up, not computed.

A convolution over token embeddings is linear in them: its response is the sum of one vector a token of its window.
There are few tokens and many windows, so these vectors are computed once, for every token and place in a window.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from intents.models.textcnn.network import MaskedConvolution, TextCNN

MOST_BYTES = 64 << 20
"""Of the tables of one model. Larger ones don't fit a processor's cache, and each process has its own."""


def tabulated(module: TextCNN) -> nn.Module:
    """The same logits within float32's rounding, many times faster; the module itself where its tables are too large.

    It holds the weights as they are now: for inference only.
    """
    config = module.config
    floats = config.members * config.channels * sum(config.kernel_sizes) * config.table_rows
    return TabulatedTextCNN(module) if floats * torch.float32.itemsize <= MOST_BYTES else module


class Answer(NamedTuple):
    """As transformers' own outputs are read; one of those takes as long to make as a convolution."""

    logits: Tensor


class TabulatedTextCNN(nn.Module):
    """Token ids (B, L) -> logits (B, C), as `TextCNN` in evaluation mode gives them.

    All S convolutions of all members are one lookup, since of a short utterance's time most goes into calls. At each
    position they see N rows of one table between them, each convolution the next `kernel_size` of them.
    """

    row_of_token: Tensor
    added_VK: Tensor
    bias_SK: Tensor
    place_N: Tensor
    first_row_N: Tensor
    lost_N: Tensor
    start_S: Tensor

    def __init__(self, module: TextCNN) -> None:
        super().__init__()
        self.config = module.config
        self.device = module.device
        self.members = len(module.members)
        self.classifier = module.classifier
        self.register_buffer("row_of_token", module.row_of_token)
        slices = module.embeddings.weight.detach().chunk(self.members, dim=1)
        pairs = [
            (convolution, rows_VE)
            for member, rows_VE in zip(module.members, slices, strict=True)
            for convolution in member.convolutions  # type: ignore[union-attr]
        ]
        tables, biases = zip(*(_table(convolution, rows_VE) for convolution, rows_VE in pairs), strict=True)
        never_K = torch.full_like(biases[0], -torch.inf)
        self.register_buffer("added_VK", torch.cat([*tables, never_K[None]]))
        self.register_buffer("bias_SK", torch.stack(biases))
        self._lay_out([convolution for convolution, _ in pairs], rows=len(slices[0]))

    def _lay_out(self, convolutions: Sequence[MaskedConvolution], *, rows: int) -> None:
        """Where each of the N rows that are seen at a position comes from."""
        sizes = [convolution.convolution.kernel_size[0] for convolution in convolutions]
        paddings = [int(convolution.convolution.padding[0]) for convolution in convolutions]
        self.before = max(paddings)
        places = [
            self.before - padding + k
            for padding, size in zip(paddings, sizes, strict=True)
            for k in range(size)
        ]
        lost = [c.lost_positions for c, size in zip(convolutions, sizes, strict=True) for _ in range(size)]
        self.window = 1 + max(places)
        self.register_buffer("place_N", torch.tensor(places))
        self.register_buffer("first_row_N", torch.arange(len(places)) * rows)
        self.register_buffer("lost_N", torch.tensor(lost))
        self.register_buffer("start_S", torch.tensor([0, *sizes[:-1]]).cumsum(dim=0))

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **_: object) -> Answer:
        """Logits of token ids (B, L)."""
        rows_BL = self.row_of_token[input_ids] * attention_mask  # row 0 is nothing
        padded_BL = nn.functional.pad(rows_BL, (self.before, self.window - 1 - self.before))
        windows_BLW = padded_BL.unfold(1, self.window, 1)
        rows_BLN = windows_BLW.index_select(2, self.place_N) + self.first_row_N
        positions_BN = (attention_mask.sum(dim=1, keepdim=True) - self.lost_N).clamp(min=1)
        beyond_BLN = torch.arange(rows_BLN.shape[1])[:, None] >= positions_BN[:, None]
        rows_BLN.masked_fill_(beyond_BLN, len(self.added_VK) - 1)
        starts = torch.arange(0, rows_BLN.numel(), rows_BLN.shape[2])[:, None] + self.start_S
        response_XK = nn.functional.embedding_bag(
            rows_BLN.view(-1), self.added_VK, offsets=starts.view(-1), mode="sum"
        )
        strongest_BSK = response_XK.view(*input_ids.shape, *self.bias_SK.shape).amax(dim=1)
        features_BF = (strongest_BSK + self.bias_SK).relu().flatten(1)
        return Answer(self.classifier(features_BF / self.members))


def _table(convolution: MaskedConvolution, rows_VE: Tensor) -> tuple[Tensor, Tensor]:
    """What token v adds at place k of a window, in row v + V * k; and what is added to each response."""
    layer = convolution.convolution
    assert layer.bias is not None
    bias_K = layer.bias.detach()
    scale_K, shift_K = _affine(convolution.normalisation, like=bias_K)
    added_VK = torch.cat([rows_VE @ weight_KE.T for weight_KE in layer.weight.detach().unbind(dim=2)])
    return added_VK * scale_K, bias_K * scale_K + shift_K


def _affine(normalisation: nn.BatchNorm1d | None, *, like: Tensor) -> tuple[Tensor, Tensor]:
    """The scale and the shift that a trained normalisation amounts to."""
    if normalisation is None:
        return torch.ones_like(like), torch.zeros_like(like)
    mean_K, variance_K = normalisation.running_mean, normalisation.running_var
    assert mean_K is not None
    assert variance_K is not None
    scale_K = normalisation.weight.detach() * torch.rsqrt(variance_K + normalisation.eps)
    return scale_K, normalisation.bias.detach() - mean_K * scale_K
