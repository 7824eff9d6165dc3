"""A small convolutional network over token embeddings (Kim 2014, arXiv:1408.5882), as a transformers model.

A prediction never depends on its batch: padding is masked out of the convolutions, the pooling and the batch
normalisation's statistics. Importing this module makes the architecture known to transformers' Auto classes.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.modeling_utils import PreTrainedModel
from transformers.models.auto.modeling_auto import AutoModelForSequenceClassification

from intents.models.textcnn.config import TextCNNConfig

NOTHING = 0
"""The row of the token table that is always zero."""


@dataclass
class TextCNNOutput(SequenceClassifierOutput):  # type: ignore[misc]
    """`logits` (B, C) are the mean over the members; `member_logits` (B, M, C) each one's own, for
    training: None where no gradient is wanted."""

    member_logits: Tensor | None = None


class TextCNN(PreTrainedModel):  # type: ignore[misc]
    """Embeddings (B, L, M * E) -> M members' convolutions -> maxima over positions -> logits (B, C).

    `row_of_token` (V,) says where a token stands in the table; row 0 is nothing: padding, and what training never
    saw. The members are small networks side by side, each with its own slice of the token table, its own convolutions
    and its own share of the head. One linear layer over all their features yields the mean of their logits.
    """

    config_class = TextCNNConfig
    base_model_prefix = "text_cnn"

    def __init__(self, config: TextCNNConfig) -> None:
        super().__init__(config)
        width = config.members * config.embedding_size
        self.embeddings = nn.Embedding(config.table_rows, width, padding_idx=NOTHING)
        self.register_buffer("row_of_token", torch.zeros(config.vocab_size, dtype=torch.long))
        self.embedding_dropout = nn.Dropout(config.embedding_dropout)
        self.members = nn.ModuleList(Member(config) for _ in range(config.members))
        self.dropout = nn.Dropout(config.dropout)
        features = config.members * config.channels * len(config.kernel_sizes)
        self.classifier = nn.Linear(features, config.num_labels)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        **_: Any,
    ) -> TextCNNOutput:
        """Logits of token ids (B, L) or of embeddings (B, L, M * E); without a mask every position counts."""
        if inputs_embeds is None:
            inputs_embeds = self.embeddings(self.row_of_token[input_ids])
        if attention_mask is None:
            attention_mask = torch.ones(inputs_embeds.shape[:2], device=inputs_embeds.device)
        mask_BL = attention_mask.bool()
        x_BEL = (self.embedding_dropout(inputs_embeds) * mask_BL[..., None]).transpose(1, 2)
        slices = x_BEL.chunk(len(self.members), dim=1)
        lengths_B = mask_BL.sum(dim=1)
        pooled = [member(x_BEL, lengths_B) for member, x_BEL in zip(self.members, slices, strict=True)]
        features_BMF = self.dropout(torch.stack(pooled, dim=1))
        logits_BC = self.classifier(features_BMF.flatten(1) / len(self.members))
        member_logits = self._member_logits(features_BMF) if torch.is_grad_enabled() else None
        return TextCNNOutput(logits=logits_BC, member_logits=member_logits)

    def _member_logits(self, features_BMF: Tensor) -> Tensor:
        weight_CMF = self.classifier.weight.view(-1, *features_BMF.shape[1:])
        return torch.einsum("bmf,cmf->bmc", features_BMF, weight_CMF) + self.classifier.bias

    def get_input_embeddings(self) -> nn.Module:
        return self.embeddings

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        self.embeddings = value

    def _init_weights(self, module: nn.Module) -> None:
        """The token table by its spread; PyTorch's own beginnings are right for the other layers."""
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=self.config.initializer_range)
            nn.init.zeros_(module.weight[NOTHING])
        elif isinstance(module, (nn.Conv1d, nn.Linear, nn.BatchNorm1d)):
            module.reset_parameters()


class Member(nn.Module):
    """One small network: a convolution a kernel size, each pooled."""

    def __init__(self, config: TextCNNConfig) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(MaskedConvolution(config, size) for size in config.kernel_sizes)

    def forward(self, x_BEL: Tensor, lengths_B: Tensor) -> Tensor:
        """Features (B, kernel sizes * channels)."""
        return torch.cat([convolution(x_BEL, lengths_B) for convolution in self.convolutions], dim=1)


class MaskedConvolution(nn.Module):
    """The strongest response to each pattern of `kernel_size` tokens, over an utterance's own positions.

    Padding by (kernel_size - 1) // 2 on both sides lets an utterance of L tokens have
    L + 2 * padding - kernel_size + 1 positions, and one shorter than the kernel has one.
    """

    def __init__(self, config: TextCNNConfig, kernel_size: int) -> None:
        super().__init__()
        padding = (kernel_size - 1) // 2
        self.convolution = nn.Conv1d(config.embedding_size, config.channels, kernel_size, padding=padding)
        self.normalisation = nn.BatchNorm1d(config.channels) if config.batch_normalisation else None
        self.lost_positions = kernel_size - 1 - 2 * padding

    def forward(self, x_BEL: Tensor, lengths_B: Tensor) -> Tensor:
        """Shape (B, channels). `x_BEL` is zero at padding."""
        too_short = self.lost_positions + 1 - x_BEL.shape[-1]
        if too_short > 0:
            x_BEL = nn.functional.pad(x_BEL, (0, too_short))
        response_BKP = self.convolution(x_BEL)
        positions_B = (lengths_B - self.lost_positions).clamp(min=1)
        own_BP = torch.arange(response_BKP.shape[-1], device=lengths_B.device) < positions_B[:, None]
        if self.normalisation is not None:
            response_BKP = self._normalised(response_BKP, own_BP)
        # The maximum of ReLUs is the ReLU of the maximum, which is cheaper.
        strongest_BK: Tensor = response_BKP.masked_fill(~own_BP[:, None], -torch.inf).max(dim=-1).values
        return strongest_BK.relu()

    def _normalised(self, response_BKP: Tensor, own_BP: Tensor) -> Tensor:
        """Normalised over the batch's own positions: padding must not reach the statistics."""
        assert self.normalisation is not None
        own_NK = response_BKP.transpose(1, 2)[own_BP]
        # One position alone has no variance: the statistics of others must do.
        has_variance = len(own_NK) > 1 or not self.training
        own_NK = self.normalisation(own_NK) if has_variance else self._normalised_by_others(own_NK)
        normalised_BPK: Tensor = own_NK.new_zeros(*own_BP.shape, own_NK.shape[-1])
        normalised_BPK[own_BP] = own_NK
        return normalised_BPK.transpose(1, 2)

    def _normalised_by_others(self, own_NK: Tensor) -> Tensor:
        layer = self.normalisation
        assert layer is not None
        return nn.functional.batch_norm(
            own_NK, layer.running_mean, layer.running_var, layer.weight, layer.bias, training=False
        )


AutoModelForSequenceClassification.register(TextCNNConfig, TextCNN, exist_ok=True)
