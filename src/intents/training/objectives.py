"""What a training step minimises: cross-entropy, and terms that part the energies of in-scope and out-of-scope."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, normalize, relu, softplus

from intents.models.energy import free_energy
from intents.models.network import read_by_the_head
from intents.parameters.training.hyperparams import Hyperparams
from intents.training.batches import Tokens
from intents.training.negatives import (
    Batch,
    Negatives,
    gaussian_energies,
    member_logits,
    moved_to,
    unwrapped,
    without_end,
)

# The constants of the notebook's loss, and of the exponential of it that it logged.
NOTEBOOK_OFFSET, NOTEBOOK_SCALE, NOTEBOOK_RATE = 10.0, 10.0, 0.003
LOGISTIC_HEADROOM = 2.0
"""Nats."""
CONSISTENCY = 1.0
"""Weight of the two softmaxes' difference."""
CONTRAST_TEMPERATURE = 0.05
"""Divides the cosines (tau): at 0.05 held-out rows were answered better than at 0.1 or 0.2."""
MARGIN_WARMUP = 0.2
"""Share of the steps in which the energies are watched, by cross-entropy alone, before margins are set."""


@dataclass(frozen=True)
class StepLoss:
    """The loss to minimise, the in-scope logits (B, C), and the terms by name."""

    loss: Tensor
    logits_BC: Tensor
    terms: dict[str, Tensor]


class CrossEntropy:
    """Cross-entropy with smoothed labels, and nothing else."""

    def __init__(self, label_smoothing: float) -> None:
        self.memory: list[float] = []
        self.label_smoothing = label_smoothing

    def __call__(self, module: Any, batch: Batch, *, labels_B: Tensor) -> StepLoss:
        """The loss of a batch, whether training or not."""
        outputs = module(**batch)
        loss = self.of(member_logits(outputs), labels_B)
        return StepLoss(loss, outputs.logits.float(), {"loss": loss})

    def of(self, logits_BMC: Tensor, labels_B: Tensor) -> Tensor:
        """The mean cross-entropy over utterances and members, in nats."""
        labels_BM = labels_B[:, None].expand(logits_BMC.shape[:2])
        smoothing = self.label_smoothing
        return cross_entropy(logits_BMC.flatten(0, 1), labels_BM.flatten(), label_smoothing=smoothing)


class NotebookEnergy:
    """The source notebook's loss: CE + weight * (mean E(in-scope) + relu(1 - E) of each kind of negative) + 10.

    Each kind has a pass of its own in training mode, as there.
    """

    def __init__(self, hyperparams: Hyperparams, negatives: Iterator[Batch] | None) -> None:
        self.memory: list[float] = []
        self.cross_entropy = CrossEntropy(hyperparams.label_smoothing)
        self.weight = hyperparams.energy_weight
        self.has_gaussian = hyperparams.gaussian_negatives
        self.negatives = negatives

    def __call__(self, module: Any, batch: Batch, *, labels_B: Tensor) -> StepLoss:
        """The loss of a training batch."""
        outputs = module(**batch)
        classification = self.cross_entropy.of(member_logits(outputs), labels_B)
        energy = free_energy(member_logits(outputs)).mean()
        if self.has_gaussian:
            everywhere = torch.ones_like(batch["attention_mask"])
            energy = energy + relu(1 - gaussian_energies(module, everywhere, mean=0.0, std=1.0)).mean()
        if self.negatives is not None:
            negatives = moved_to(labels_B.device, next(self.negatives))
            energy = energy + relu(1 - free_energy(member_logits(module(**negatives)))).mean()
        loss = classification + self.weight * energy + NOTEBOOK_OFFSET
        terms = {
            "loss": loss,
            "cross_entropy_loss": classification,
            "energy_loss": energy,
            "norm_loss": NOTEBOOK_SCALE * torch.exp(NOTEBOOK_RATE * loss),
        }
        return StepLoss(loss, outputs.logits.float(), terms)


@dataclass(frozen=True)
class Margins:
    """In-scope energies should be at most `in_scope`, those of negatives at least `out_of_scope`."""

    in_scope: float
    out_of_scope: float


class MarginWatch:
    """Sets the margins from energies actually seen, once the warm-up is over.

    `out_of_scope` is what energies were at the first step: an utterance that means nothing to the model should
    look as everything did before anything was learned. `in_scope` is the mean of the warm-up's last quarter.
    """

    def __init__(self, steps: int) -> None:
        self.means: list[float] = []
        self.steps = max(1, steps)

    def margins(self, energies_BM: Tensor) -> Margins | None:
        """Notes a step's in-scope energies while the warm-up lasts; the margins after it."""
        if len(self.means) < self.steps:
            self.means.append(float(energies_BM.detach().mean()))
            return None
        recent = self.means[-max(1, self.steps // 4) :]
        return Margins(in_scope=sum(recent) / len(recent), out_of_scope=self.means[0])


class MarginEnergy:
    """CE + weight * (relu(E - m_in)^2 of in-scope + relu(m_out - E)^2 of negatives), Liu et al. 2020, eq. 8."""

    def __init__(self, hyperparams: Hyperparams, negatives: Iterator[Batch] | None, *, steps: int) -> None:
        self.cross_entropy = CrossEntropy(hyperparams.label_smoothing)
        self.weight = hyperparams.energy_weight
        self.negatives = Negatives(hyperparams, negatives)
        self.watch = MarginWatch(round(MARGIN_WARMUP * steps))
        self.memory = self.watch.means

    def __call__(self, module: Any, batch: Batch, *, labels_B: Tensor) -> StepLoss:
        """The loss of a training batch."""
        outputs = module(**batch)
        classification = self.cross_entropy.of(member_logits(outputs), labels_B)
        energies_BM = free_energy(member_logits(outputs))
        margins = self.watch.margins(energies_BM)
        if margins is None:
            return StepLoss(classification, outputs.logits.float(), {"loss": classification})
        terms = {"in_scope": relu(energies_BM - margins.in_scope).square().mean()}
        for kind, energies_NM in self.negatives.energies(module, batch["attention_mask"]).items():
            terms[kind] = relu(margins.out_of_scope - energies_NM).square().mean()
        return _with_energy(outputs, classification, terms=terms, weight=self.weight)


class LogisticEnergy:
    """CE + weight * (softplus(E - m) of in-scope + softplus(m - E) of negatives).

    A logistic regression on the energy beside the classification (Du et al. 2022, arXiv:2202.01197, eq. 5-6), its
    middle m fixed at LOGISTIC_HEADROOM below the energy -log C of a network without an opinion. Unlike a hinge it
    never stops asking, and it needs no margins.
    """

    def __init__(self, hyperparams: Hyperparams, negatives: Iterator[Batch] | None) -> None:
        self.memory: list[float] = []
        self.cross_entropy = CrossEntropy(hyperparams.label_smoothing)
        self.weight = hyperparams.energy_weight
        self.negatives = Negatives(hyperparams, negatives)

    def __call__(self, module: Any, batch: Batch, *, labels_B: Tensor) -> StepLoss:
        """The loss of a training batch."""
        outputs = module(**batch)
        classification = self.cross_entropy.of(member_logits(outputs), labels_B)
        middle = -math.log(outputs.logits.shape[-1]) - LOGISTIC_HEADROOM
        terms = {"in_scope": softplus(free_energy(member_logits(outputs)) - middle).mean()}
        for kind, energies_NM in self.negatives.energies(module, batch["attention_mask"]).items():
            terms[kind] = softplus(middle - energies_NM).mean()
        return _with_energy(outputs, classification, terms=terms, weight=self.weight)


class TwoPasses:
    """Another objective on each batch passed twice; what two dropouts make of an utterance is drawn together.

    + CONSISTENCY * (KL(p, q) + KL(q, p)) / 2 of the two softmaxes: R-Drop (Liang et al. 2021, arXiv:2106.14448, eq. 4),
    whose alpha is twice CONSISTENCY: there the two cross-entropies are added, here they are averaged.
    + contrastive_weight * `contrastive_loss` of what the head reads, where both passes of an utterance, and utterances
    of one intent, belong together (Gunel et al. 2021, arXiv:2011.01403).
    """

    def __init__(self, objective: Any, *, contrastive_weight: float) -> None:
        self.memory: list[float] = objective.memory
        self.objective = objective
        self.contrastive_weight = contrastive_weight

    def __call__(self, module: Any, batch: Batch, *, labels_B: Tensor) -> StepLoss:
        """The loss of a training batch."""
        twice = {name: torch.cat([tensor, tensor]) for name, tensor in batch.items()}
        labels_2B = labels_B.repeat(2)
        with read_by_the_head(unwrapped(module)) as read:
            step: StepLoss = self.objective(module, twice, labels_B=labels_2B)
        first_BC, second_BC = torch.log_softmax(step.logits_BC, dim=-1).chunk(2)
        apart = (
            kl_div(first_BC, second_BC, log_target=True, reduction="batchmean")
            + kl_div(second_BC, first_BC, log_target=True, reduction="batchmean")
        ) / 2
        loss = step.loss + CONSISTENCY * apart
        terms = {**step.terms, "consistency_loss": apart}
        if self.contrastive_weight:
            in_scope_2BF = read[0]  # negatives pass after them
            terms["contrastive_loss"] = contrastive_loss(in_scope_2BF, labels_2B)
            loss = loss + self.contrastive_weight * terms["contrastive_loss"]
        return StepLoss(loss, step.logits_BC[: len(labels_B)], {**terms, "loss": loss})


def contrastive_loss(features_BF: Tensor, labels_B: Tensor) -> Tensor:
    """The supervised contrastive loss of a batch's features, in nats; lower where those of one intent are alike.

    For each utterance the mean over the others of its intent of -log softmax of the cosines / CONTRAST_TEMPERATURE,
    itself left out (Khosla et al. 2020, arXiv:2004.11362, eq. 2). Each intent must be there at least twice.
    """
    directions_BF = normalize(features_BF.float(), dim=-1)
    itself_BB = torch.eye(len(labels_B), dtype=torch.bool, device=labels_B.device)
    similarities_BB = directions_BF @ directions_BF.T / CONTRAST_TEMPERATURE
    log_probabilities_BB = torch.log_softmax(similarities_BB.masked_fill(itself_BB, -torch.inf), dim=-1)
    positives_BB = (labels_B[:, None] == labels_B) & ~itself_BB
    of_positives_B = log_probabilities_BB.masked_fill(~positives_BB, 0.0).sum(dim=-1) / positives_BB.sum(
        dim=-1
    )
    return -of_positives_B.mean()


def _with_energy(
    outputs: Any, classification: Tensor, *, terms: dict[str, Tensor], weight: float
) -> StepLoss:
    energy = torch.stack(list(terms.values())).sum()
    loss = classification + weight * energy
    named = {f"{kind}_energy_loss": term for kind, term in terms.items()}
    shown = {"loss": loss, "cross_entropy_loss": classification, "energy_loss": energy, **named}
    return StepLoss(loss, outputs.logits.float(), shown)


Objective = CrossEntropy | NotebookEnergy | MarginEnergy | LogisticEnergy | TwoPasses


def build(
    hyperparams: Hyperparams, tokenizer: Any, *, negatives: Sequence[Tokens], rows: int, steps: int
) -> Objective:
    """The objective that the hyperparameters describe, for a training on so many rows in so many steps.

    `negatives` are the tokens of out-of-scope utterances, `tokenizer` is what pads them.
    Its `memory` is what it keeps of steps past: a training that goes on after an interruption puts it back.
    """
    objective = _build_once(hyperparams, tokenizer, negatives=negatives, steps=steps)
    if rows > hyperparams.consistency_rows:
        return objective
    return TwoPasses(objective, contrastive_weight=hyperparams.contrastive_weight)


def _build_once(
    hyperparams: Hyperparams, tokenizer: Any, *, negatives: Sequence[Tokens], steps: int
) -> Objective:
    if not hyperparams.energy_weight:
        return CrossEntropy(hyperparams.label_smoothing)
    uses_corpus = hyperparams.corpus_negatives and len(negatives) > 0
    cycle = without_end(tokenizer, negatives, hyperparams=hyperparams) if uses_corpus else None
    if hyperparams.energy_objective == "notebook":
        return NotebookEnergy(hyperparams, cycle)
    if hyperparams.energy_objective == "margin":
        return MarginEnergy(hyperparams, cycle, steps=steps)
    return LogisticEnergy(hyperparams, cycle)
