"""Out-of-scope examples made during training."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from intents.models.energy import free_energy
from intents.parameters.training.hyperparams import Hyperparams
from intents.system import processes
from intents.training.batches import Tokens

Batch = dict[str, Tensor]


class Negatives:
    """What should be rejected, a few of each kind a step: out-of-scope utterances, and random embeddings."""

    def __init__(self, hyperparams: Hyperparams, utterances: Iterator[Batch] | None) -> None:
        self.utterances = utterances
        self.has_gaussian = hyperparams.gaussian_negatives
        self.batch_size = processes.share(hyperparams.negative_batch_size)

    def energies(self, module: Any, mask_BL: Tensor) -> dict[str, Tensor]:
        """The energies (N, M) of a batch of each kind; random embeddings are as long as the in-scope batch's."""
        found = {}
        if self.utterances is not None:
            outputs = module(**moved_to(mask_BL.device, next(self.utterances)))
            found["negative"] = free_energy(member_logits(outputs))
        if self.has_gaussian:
            found["gaussian"] = quiet_gaussian_energies(module, mask_BL[: self.batch_size])
        return found


def member_logits(outputs: Any) -> Tensor:
    """Logits (B, M, C) in float32: of each member, where the network has several, or of the one there is."""
    own_BMC: Tensor | None = getattr(outputs, "member_logits", None)
    logits_BMC: Tensor = outputs.logits[:, None] if own_BMC is None else own_BMC
    return logits_BMC.float()


def gaussian_energies(module: Any, mask_BL: Tensor, *, mean: float, std: float) -> Tensor:
    """Energies of normal noise in the place of embeddings, shape (B, M)."""
    size = unwrapped(module).get_input_embeddings().embedding_dim
    noise_BLE = torch.randn(*mask_BL.shape, size, device=mask_BL.device) * std + mean
    return free_energy(member_logits(module(inputs_embeds=noise_BLE, attention_mask=mask_BL)))


def unwrapped(module: Any) -> Any:
    """The network itself, where several processes train it."""
    return module.module if isinstance(module, DistributedDataParallel) else module


def quiet_gaussian_energies(module: Any, mask_BL: Tensor) -> Tensor:
    """The same for noise spread as the token table is, which leaves no trace in normalisation statistics."""
    table_VE = unwrapped(module).get_input_embeddings().weight.detach()
    module.eval()
    energies_BM = gaussian_energies(module, mask_BL, mean=float(table_VE.mean()), std=float(table_VE.std()))
    module.train()
    return energies_BM


def without_end(tokenizer: Any, utterances: Sequence[Tokens], *, hyperparams: Hyperparams) -> Iterator[Batch]:
    """Padded batches of the utterances for ever, shuffled anew in each round."""
    size = processes.share(hyperparams.negative_batch_size)
    while True:
        order = torch.randperm(len(utterances)).tolist()
        for start in range(0, len(order), size):
            places = order[start : start + size]
            yield dict(
                tokenizer.pad(
                    {"input_ids": [utterances[place] for place in places]},
                    padding=hyperparams.padding,
                    max_length=hyperparams.max_length,
                    return_tensors="pt",
                )
            )


def moved_to(device: torch.device, batch: Batch) -> Batch:
    return {name: tensor.to(device) for name, tensor in batch.items()}
