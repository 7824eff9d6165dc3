"""A trained TextCNN without its convolutions: what each token adds to each pattern is looked up, not computed.

A convolution over token embeddings is linear in them: its response is the sum of one vector a token of its window.
There are few tokens and many windows, so these vectors are computed once, for every token and place in a window.
"""

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import SequenceClassifierOutput

from intents.models.textcnn.network import NOTHING, MaskedConvolution, TextCNN

MOST_BYTES = 64 << 20
"""Of the tables of one model. Larger ones don't fit a processor's cache, and each process has its own."""


def tabulated(module: TextCNN) -> nn.Module:
    """The same logits within float32's rounding, many times faster; the module itself where its tables are too large.

    It holds the weights as they are now: for inference only.
    """
    config = module.config
    floats = config.members * config.channels * sum(config.kernel_sizes) * config.table_rows
    return TabulatedTextCNN(module) if floats * torch.float32.itemsize <= MOST_BYTES else module


class TabulatedTextCNN(nn.Module):
    """Token ids (B, L) -> logits (B, C), as `TextCNN` in evaluation mode gives them."""

    def __init__(self, module: TextCNN) -> None:
        super().__init__()
        self.config = module.config
        self.device = module.device
        self.row_of_token = module.row_of_token
        self.classifier = module.classifier
        slices = module.embeddings.weight.detach().chunk(len(module.members), dim=1)
        self.patterns = nn.ModuleList(
            PatternTable(convolution, rows_VE)
            for member, rows_VE in zip(module.members, slices, strict=True)
            for convolution in member.convolutions  # type: ignore[union-attr]
        )
        self.eval()

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **_: object) -> SequenceClassifierOutput:
        """Logits of token ids (B, L)."""
        mask_BL = attention_mask.bool()
        rows_BL = self.row_of_token[input_ids].masked_fill(~mask_BL, NOTHING)
        lengths_B = mask_BL.sum(dim=1)
        features_BF = torch.cat([pattern(rows_BL, lengths_B) for pattern in self.patterns], dim=1)
        return SequenceClassifierOutput(logits=self.classifier(features_BF / self.config.members))


class PatternTable(nn.Module):
    """A `MaskedConvolution` over the rows of a token table."""

    added_NK: Tensor
    bias_K: Tensor

    def __init__(self, convolution: MaskedConvolution, rows_VE: Tensor) -> None:
        super().__init__()
        layer = convolution.convolution
        self.rows = len(rows_VE)
        self.kernel_size = layer.kernel_size[0]
        self.padding = int(layer.padding[0])
        self.lost_positions = convolution.lost_positions
        assert layer.bias is not None
        bias_K = layer.bias.detach()
        scale_K, shift_K = _affine(convolution.normalisation, like=bias_K)
        # Row v + V * k is what token v adds at place k of a window.
        added_NK = torch.cat([rows_VE @ weight_KE.T for weight_KE in layer.weight.detach().unbind(dim=2)])
        never_K = torch.full_like(scale_K, -torch.inf)
        self.register_buffer("added_NK", torch.cat([added_NK * scale_K, never_K[None]]))
        self.register_buffer("bias_K", bias_K * scale_K + shift_K)

    def forward(self, rows_BL: Tensor, lengths_B: Tensor) -> Tensor:
        """The strongest response to each pattern, shape (B, K)."""
        too_short = max(0, self.lost_positions + 1 - rows_BL.shape[1])
        padded_BL = nn.functional.pad(rows_BL, (self.padding, self.padding + too_short), value=NOTHING)
        windows_BPW = padded_BL.unfold(1, self.kernel_size, 1)
        windows_BPW = windows_BPW + torch.arange(self.kernel_size, device=rows_BL.device) * self.rows
        positions_B = (lengths_B - self.lost_positions).clamp(min=1)
        own_BP = torch.arange(windows_BPW.shape[1], device=rows_BL.device) < positions_B[:, None]
        windows_BPW = windows_BPW.masked_fill(~own_BP[..., None], len(self.added_NK) - 1)
        response_NK = nn.functional.embedding_bag(
            windows_BPW.reshape(-1, self.kernel_size), self.added_NK, mode="sum"
        )
        strongest_BK = response_NK.view(*own_BP.shape, -1).amax(dim=1)
        return (strongest_BK + self.bias_K).relu()


def _affine(normalisation: nn.BatchNorm1d | None, *, like: Tensor) -> tuple[Tensor, Tensor]:
    """The scale and the shift that a trained normalisation amounts to."""
    if normalisation is None:
        return torch.ones_like(like), torch.zeros_like(like)
    mean_K, variance_K = normalisation.running_mean, normalisation.running_var
    assert mean_K is not None
    assert variance_K is not None
    scale_K = normalisation.weight.detach() * torch.rsqrt(variance_K + normalisation.eps)
    return scale_K, normalisation.bias.detach() - mean_K * scale_K
