"""What a step minimises: every term against arithmetic done by hand, and what the negatives are."""

import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cosine
from scipy.stats import entropy
from torch import Tensor
from torch.nn.functional import cross_entropy

from intents.models import families
from intents.models.encoders import encoder as encoders
from intents.parameters.training.textcnn import TextCNNHyperparams
from intents.training import objectives
from intents.training.batches import Tokens, tokens_of
from intents.training.negatives import Batch, gaussian_energies, quiet_gaussian_energies, without_end
from intents.training.objectives import (
    CrossEntropy,
    LogisticEnergy,
    MarginEnergy,
    Margins,
    MarginWatch,
    NotebookEnergy,
)

TEXTS = ["你好呀朋友", "几点钟", "马上还款，谢谢"]
NEGATIVES = ["天气下雨", "足球比赛", "播放音乐", "订购机票", "翻译英文"]
NEAR_NEGATIVES = ["你好机票", "几点下雨", "还款音乐", "朋友足球", "马上谢谢"]
"""Out-of-scope, in the words of TEXTS."""
LABELS = torch.tensor([0, 1])

# Energies of two intents, by hand: -log(exp(a) + exp(b)).
IN_SCOPE = torch.tensor([[3.0, 0.0], [0.0, 2.0]])
IN_SCOPE_ENERGIES = [-math.log(math.exp(3) + 1), -math.log(math.exp(2) + 1)]  # -3.049, -2.127
LOUD, QUIET = torch.tensor([1.0, 1.0]), torch.tensor([-4.0, -5.0])
LOUD_ENERGY = -1 - math.log(2)  # -1.693
QUIET_ENERGY = 4 - math.log(1 + math.exp(-1))  # 3.687
CROSS_ENTROPY = (math.log(1 + math.exp(-3)) + math.log(1 + math.exp(-2))) / 2


class Fixed(torch.nn.Module):
    """Says the same of the in-scope utterances (ids 1 and up), of negatives (id 0) and of embeddings, always."""

    def __init__(self, in_scope: Tensor = IN_SCOPE, negative: Tensor = LOUD, gaussian: Tensor = LOUD) -> None:
        super().__init__()
        self.in_scope, self.negative, self.gaussian = in_scope, negative, gaussian
        self.table = torch.nn.Embedding(9, 4)
        self.passes: list[str] = []
        self.noise = torch.empty(0)
        self.trained_on_noise: list[bool] = []

    def get_input_embeddings(self) -> torch.nn.Module:
        return self.table

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
    ) -> Any:
        assert attention_mask is not None
        if inputs_embeds is not None:
            self.passes.append("gaussian")
            self.noise = inputs_embeds
            self.trained_on_noise.append(self.training)
            return SimpleNamespace(logits=self.gaussian.expand(len(inputs_embeds), -1))
        assert input_ids is not None
        is_negative = input_ids[:, 0] == 0
        self.passes.append(
            "+".join(["in_scope"] * bool((~is_negative).any()) + ["negative"] * bool(is_negative.any()))
        )
        rows = [
            self.negative if negative else self.in_scope[place] for place, negative in enumerate(is_negative)
        ]
        return SimpleNamespace(logits=torch.stack(rows))


def in_scope_batch() -> Batch:
    return {"input_ids": torch.tensor([[1, 2, 3], [4, 5, 6]]), "attention_mask": torch.ones(2, 3).long()}


def negatives_of(rows: int = 3, width: int = 5) -> Iterator[Batch]:
    """The same negatives for ever: `rows` of them, wider than the in-scope batch."""
    ids = torch.zeros(rows, width).long()
    return itertools.repeat({"input_ids": ids, "attention_mask": torch.ones_like(ids)})


def hyperparams(**changes: Any) -> TextCNNHyperparams:
    settled = {"label_smoothing": 0.0, "energy_weight": 0.1, "members": 2, "embedding_size": 8, "channels": 8}
    return TextCNNHyperparams(**settled | changes)


def values(terms: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(value) for name, value in terms.items()}


def test_the_hand_made_energies_stand_on_both_sides_of_the_hinges():
    energies = torch.tensor([*IN_SCOPE_ENERGIES, LOUD_ENERGY, QUIET_ENERGY])
    by_torch = -torch.logsumexp(torch.cat([IN_SCOPE, LOUD[None], QUIET[None]]), dim=-1)
    assert torch.allclose(energies, by_torch)
    assert LOUD_ENERGY < 1 < QUIET_ENERGY


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_without_energy_weight_the_loss_is_torchs_cross_entropy_and_the_only_term(label_smoothing: float):
    settled = hyperparams(energy_weight=0.0, label_smoothing=label_smoothing)
    built = objectives.build(settled, tokenizer=None, negatives=[[1]], rows=4, steps=10)
    module = Fixed()
    step = built(module, in_scope_batch(), labels_B=LABELS)
    expected = torch.nn.functional.cross_entropy(IN_SCOPE, LABELS, label_smoothing=label_smoothing)
    assert step.loss.item() == pytest.approx(expected.item())
    assert values(step.terms) == {"loss": pytest.approx(expected.item())}
    assert torch.equal(step.logits_BC, IN_SCOPE)
    assert module.passes == ["in_scope"]


def test_smoothed_labels_spread_their_share_over_all_intents():
    # of the share 0.1 half goes to each of two intents: 0.95 on the right one, 0.05 on the other
    by_hand = CROSS_ENTROPY + 0.05 * (3 + 2) / 2
    assert CrossEntropy(0.1).of(IN_SCOPE[:, None], LABELS).item() == pytest.approx(by_hand, rel=1e-6)


@pytest.mark.parametrize(
    ("negative", "gaussian", "hinges"),
    [
        (LOUD, LOUD, 2 * (1 - LOUD_ENERGY)),
        (QUIET, LOUD, 1 - LOUD_ENERGY),
        (QUIET, QUIET, 0.0),
    ],
)
def test_the_notebooks_loss_is_cross_entropy_a_tenth_of_three_energies_and_ten(
    negative: Tensor, gaussian: Tensor, hinges: float
):
    module = Fixed(negative=negative, gaussian=gaussian)
    step = NotebookEnergy(hyperparams(), negatives_of())(module, in_scope_batch(), labels_B=LABELS)
    energy = sum(IN_SCOPE_ENERGIES) / 2 + hinges
    loss = CROSS_ENTROPY + 0.1 * energy + 10
    assert step.loss.item() == pytest.approx(loss, rel=1e-6)
    assert values(step.terms) == pytest.approx(
        {
            "loss": loss,
            "cross_entropy_loss": CROSS_ENTROPY,
            "energy_loss": energy,
            "norm_loss": 10 * math.exp(0.003 * loss),
        },
        rel=1e-6,
    )
    assert torch.equal(step.logits_BC, IN_SCOPE)


def test_the_notebook_makes_three_passes_all_in_training_mode_with_noise_in_the_batchs_shape():
    module = Fixed().train()
    torch.manual_seed(0)
    NotebookEnergy(hyperparams(), negatives_of())(module, in_scope_batch(), labels_B=LABELS)
    assert sorted(module.passes) == ["gaussian", "in_scope", "negative"]
    assert module.noise.shape == (2, 3, 4)
    assert module.trained_on_noise == [True]
    torch.manual_seed(0)
    wide = {"input_ids": torch.ones(2, 20000).long(), "attention_mask": torch.ones(2, 20000).long()}
    NotebookEnergy(hyperparams(), None)(module, wide, labels_B=LABELS)
    # 160,000 draws of a standard normal: the mean's standard error is 0.0025, the deviation's 0.002
    assert module.noise.mean().item() == pytest.approx(0, abs=0.01)
    assert module.noise.std().item() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("gaussian_negatives", "has_corpus", "hinges"), [(False, True, 1), (True, False, 1), (False, False, 0)]
)
def test_a_kind_of_negative_that_is_switched_off_leaves_the_notebooks_loss(
    gaussian_negatives: bool, has_corpus: bool, hinges: int
):
    module = Fixed()
    settled = hyperparams(gaussian_negatives=gaussian_negatives)
    step = NotebookEnergy(settled, negatives_of() if has_corpus else None)(
        module, in_scope_batch(), labels_B=LABELS
    )
    energy = sum(IN_SCOPE_ENERGIES) / 2 + hinges * (1 - LOUD_ENERGY)
    assert step.terms["energy_loss"].item() == pytest.approx(energy, abs=1e-5)
    assert ("gaussian" in module.passes, "negative" in module.passes) == (gaussian_negatives, has_corpus)


def watched(*means: float, steps: int) -> tuple[list[Margins | None], MarginWatch]:
    watch = MarginWatch(steps)
    return [watch.margins(torch.tensor([mean - 1.0, mean + 1.0])) for mean in means], watch


def test_margins_are_set_after_the_warm_up_from_its_first_step_and_its_last_quarter():
    means = [-0.5, -1, -2, -3, -4, -5, -6, -8]
    given, watch = watched(*means, steps=8)
    assert given == [None] * 8
    # the last quarter of eight steps: -6 and -8
    assert watch.margins(torch.tensor([-100.0])) == Margins(in_scope=-7.0, out_of_scope=-0.5)
    # and what is seen later moves them no more
    assert watch.margins(torch.tensor([50.0])) == Margins(in_scope=-7.0, out_of_scope=-0.5)


def test_a_training_too_short_for_a_warm_up_watches_one_step():
    given, _ = watched(-2, -9, steps=0)
    assert given == [None, Margins(in_scope=-2.0, out_of_scope=-2.0)]


def margin_objective(
    *, steps: int = 5, negatives: Iterator[Batch] | None = None, **changes: Any
) -> MarginEnergy:
    return MarginEnergy(hyperparams(**changes), negatives, steps=steps)


def test_margin_loss_is_cross_entropy_alone_until_a_fifth_of_the_steps_is_done():
    built = margin_objective(steps=20, negatives=negatives_of())
    module = Fixed().train()
    for _ in range(4):
        step = built(module, in_scope_batch(), labels_B=LABELS)
        assert values(step.terms) == {"loss": pytest.approx(CROSS_ENTROPY)}
        assert torch.equal(step.logits_BC, IN_SCOPE)
    assert "energy_loss" in built(module, in_scope_batch(), labels_B=LABELS).terms


def test_margin_loss_is_the_squared_hinges_by_hand():
    built = margin_objective(steps=5, negatives=negatives_of())
    first, later = torch.tensor([[0.0, 0.0], [0.0, 0.0]]), IN_SCOPE
    built(Fixed(first), in_scope_batch(), labels_B=LABELS)  # the one step of the warm-up: energies of -log 2
    margin = -math.log(2)
    step = built(Fixed(later, negative=LOUD, gaussian=QUIET), in_scope_batch(), labels_B=LABELS)
    negative = (margin - LOUD_ENERGY) ** 2
    assert max(IN_SCOPE_ENERGIES) < margin  # so the in-scope hinge is at rest
    assert values(step.terms) == pytest.approx(
        {
            "loss": CROSS_ENTROPY + 0.1 * negative,
            "cross_entropy_loss": CROSS_ENTROPY,
            "energy_loss": negative,
            "in_scope_energy_loss": 0.0,
            "negative_energy_loss": negative,
            "gaussian_energy_loss": 0.0,
        },
        rel=1e-5,
    )
    assert step.loss.item() == pytest.approx(CROSS_ENTROPY + 0.1 * negative, rel=1e-5)
    assert torch.equal(step.logits_BC, later)


def test_margin_loss_draws_down_in_scope_energies_that_stand_above_their_margin():
    built = margin_objective(steps=5, gaussian_negatives=False)
    built(Fixed(), in_scope_batch(), labels_B=LABELS)  # margin: the mean of the in-scope energies
    margin = sum(IN_SCOPE_ENERGIES) / 2
    low, high = sorted(IN_SCOPE_ENERGIES)
    step = built(Fixed(), in_scope_batch(), labels_B=LABELS)
    assert low < margin < high
    assert values(step.terms)["in_scope_energy_loss"] == pytest.approx((high - margin) ** 2 / 2, rel=1e-5)


def test_margin_loss_of_gaussian_embeddings_is_the_squared_shortfall_of_their_energy():
    built = margin_objective(steps=5)
    built(Fixed(torch.zeros(2, 2)), in_scope_batch(), labels_B=LABELS)
    step = built(Fixed(gaussian=LOUD), in_scope_batch(), labels_B=LABELS)
    assert values(step.terms)["gaussian_energy_loss"] == pytest.approx(
        (-math.log(2) - LOUD_ENERGY) ** 2, rel=1e-5
    )
    assert "negative_energy_loss" not in step.terms


def test_corpus_negatives_have_a_pass_of_their_own_once_there_are_margins():
    module = Fixed()
    built = margin_objective(steps=5, negatives=negatives_of(), gaussian_negatives=False)
    built(module, in_scope_batch(), labels_B=LABELS)
    assert module.passes == ["in_scope"]
    step = built(module, in_scope_batch(), labels_B=LABELS)
    assert module.passes == ["in_scope", "in_scope", "negative"]
    assert "gaussian_energy_loss" not in step.terms


def logistic(energy: float) -> float:
    """The loss log(1 + exp(x)) of an in-scope energy that is x above the middle: two nats below -log 2 here."""
    return math.log(1 + math.exp(energy + math.log(2) + 2))


def test_logistic_loss_is_a_logistic_regressions_on_the_energy():
    built = LogisticEnergy(hyperparams(), negatives_of())
    step = built(Fixed(negative=LOUD, gaussian=QUIET), in_scope_batch(), labels_B=LABELS)
    in_scope = sum(logistic(energy) for energy in IN_SCOPE_ENERGIES) / 2
    # log(1 + exp(-x)) = log(1 + exp(x)) - x
    negative, gaussian = (
        logistic(energy) - (energy + math.log(2) + 2) for energy in (LOUD_ENERGY, QUIET_ENERGY)
    )
    energy = in_scope + negative + gaussian
    assert values(step.terms) == pytest.approx(
        {
            "loss": CROSS_ENTROPY + 0.1 * energy,
            "cross_entropy_loss": CROSS_ENTROPY,
            "energy_loss": energy,
            "in_scope_energy_loss": in_scope,
            "negative_energy_loss": negative,
            "gaussian_energy_loss": gaussian,
        },
        rel=1e-5,
    )
    assert step.loss.item() == pytest.approx(CROSS_ENTROPY + 0.1 * energy, rel=1e-5)
    assert torch.equal(step.logits_BC, IN_SCOPE)


def test_logistic_loss_asks_of_negatives_from_the_first_step():
    module = Fixed()
    LogisticEnergy(hyperparams(gaussian_negatives=False), negatives_of())(
        module, in_scope_batch(), labels_B=LABELS
    )
    assert module.passes == ["in_scope", "negative"]


class Members(torch.nn.Module):
    """Two members that disagree; the network's own logits are their mean."""

    members_BMC = torch.stack([IN_SCOPE, torch.tensor([[0.0, 1.0], [2.0, 2.0]])], dim=1)

    def forward(self, **_: Any) -> Any:
        return SimpleNamespace(logits=self.members_BMC.mean(dim=1), member_logits=self.members_BMC)


# Of the second member: -log softmax of [0, 1] at 0 and of [2, 2] at 1; its energies.
SECOND_CROSS_ENTROPY = (math.log(1 + math.e) + math.log(2)) / 2
SECOND_ENERGIES = [-math.log(1 + math.e), -2 - math.log(2)]


def test_every_member_has_a_cross_entropy_of_its_own_and_the_prediction_is_their_mean():
    step = CrossEntropy(0.0)(Members(), in_scope_batch(), labels_B=LABELS)
    assert step.loss.item() == pytest.approx((CROSS_ENTROPY + SECOND_CROSS_ENTROPY) / 2, rel=1e-6)
    assert torch.equal(step.logits_BC, Members.members_BMC.mean(dim=1))


def test_every_member_has_energies_of_its_own_in_the_notebooks_loss():
    step = NotebookEnergy(hyperparams(gaussian_negatives=False), None)(
        Members(), in_scope_batch(), labels_B=LABELS
    )
    energy = sum(IN_SCOPE_ENERGIES + SECOND_ENERGIES) / 4
    assert step.terms["energy_loss"].item() == pytest.approx(energy, rel=1e-6)
    assert step.loss.item() == pytest.approx(
        (CROSS_ENTROPY + SECOND_CROSS_ENTROPY) / 2 + 0.1 * energy + 10, rel=1e-6
    )


def test_every_member_has_hinges_of_its_own_in_the_margin_loss():
    built = margin_objective(steps=5, gaussian_negatives=False)
    built(Members(), in_scope_batch(), labels_B=LABELS)
    step = built(Members(), in_scope_batch(), labels_B=LABELS)
    energies = IN_SCOPE_ENERGIES + SECOND_ENERGIES
    margin = sum(energies) / 4
    hinges = [max(0.0, energy - margin) ** 2 for energy in energies]
    assert step.terms["in_scope_energy_loss"].item() == pytest.approx(sum(hinges) / 4, rel=1e-5)
    assert torch.equal(step.logits_BC, Members.members_BMC.mean(dim=1))


def character_tokenizer() -> Any:
    return encoders.character_tokenizer([*TEXTS, *NEGATIVES], max_length=16)


OBJECTIVES = {"logistic": LogisticEnergy, "margin": MarginEnergy, "notebook": NotebookEnergy}


@pytest.mark.parametrize("energy_objective", OBJECTIVES)
@pytest.mark.parametrize(
    ("corpus_negatives", "negatives", "has"),
    [(True, NEGATIVES, True), (False, NEGATIVES, False), (True, [], False)],
)
def test_corpus_negatives_are_used_where_there_are_any_and_they_are_wanted(
    energy_objective: str, corpus_negatives: bool, negatives: list[str], has: bool
):
    settled = hyperparams(energy_objective=energy_objective, corpus_negatives=corpus_negatives)
    module, tokenizer = tiny_textcnn()
    built = objectives.build(settled, tokenizer, negatives=tokens(tokenizer, negatives), rows=4, steps=10)
    assert type(built) is OBJECTIVES[energy_objective]
    passes: list[int] = []
    module.register_forward_pre_hook(lambda *_: passes.append(1))
    for _ in range(3):  # the third step of ten is behind the margins' warm-up
        passes.clear()
        built(module, encoded(tokenizer, TEXTS), labels_B=torch.tensor([0, 1, 2]))
    assert len(passes) == (3 if has else 2)  # in-scope, random embeddings, and negatives


def tokens(tokenizer: Any, texts: Sequence[str]) -> list[Tokens]:
    return tokens_of(tokenizer, texts, max_length=16)


def drawn(batches: Sequence[Batch], tokenizer: Any) -> list[str]:
    ids = [row[mask.bool()] for batch in batches for row, mask in zip(*batch.values(), strict=True)]
    return [tokenizer.decode(row, skip_special_tokens=True).replace(" ", "") for row in ids]


def test_negatives_are_all_read_before_one_is_read_again_and_shuffled_in_each_round():
    torch.manual_seed(0)
    tokenizer = character_tokenizer()
    cycle = without_end(
        tokenizer, tokens(tokenizer, NEGATIVES), hyperparams=hyperparams(negative_batch_size=2, max_length=16)
    )
    rounds = [list(itertools.islice(cycle, 3)) for _ in range(6)]
    assert [len(batch["input_ids"]) for batch in rounds[0]] == [2, 2, 1]
    read = [drawn(batches, tokenizer) for batches in rounds]
    assert all(sorted(texts) == sorted(NEGATIVES) for texts in read)
    assert len({tuple(texts) for texts in read}) > 1


@pytest.mark.parametrize(("padding", "width"), [("longest", 5), ("max_length", 8)])
def test_negatives_are_padded_as_the_hyperparams_have_it(padding: str, width: int):
    tokenizer = encoders.without_special_tokens(character_tokenizer())
    settled = hyperparams(max_length=8, padding=padding)
    batch = next(without_end(tokenizer, tokens(tokenizer, ["你好", "几点钟谢谢"]), hyperparams=settled))
    assert batch["input_ids"].shape == (2, width)
    assert sorted(batch["attention_mask"].sum(dim=1).tolist()) == [2, 5]


def tiny_textcnn(**changes: Any) -> tuple[Any, Any]:
    """A TextCNN with its tokenizer, in training mode."""
    torch.manual_seed(0)
    settled = hyperparams(**changes)
    encoder = encoders.load(settled, [*TEXTS, *NEAR_NEGATIVES], workspace=Path("nothing-is-kept-here"))
    module = families.build(settled, {"a": 0, "b": 1, "c": 2}, encoder=encoder).module
    return module.train(), encoder.tokenizer


def encoded(tokenizer: Any, texts: list[str]) -> Batch:
    return dict(tokenizer(texts, padding=True, return_tensors="pt"))


def test_the_quiet_gaussian_pass_leaves_no_trace_in_normalisation_and_the_module_in_training():
    module, tokenizer = tiny_textcnn(batch_normalisation=True)
    before = {name: buffer.clone() for name, buffer in module.named_buffers()}
    assert any(name.endswith("running_mean") for name in before)
    mask_BL = encoded(tokenizer, TEXTS)["attention_mask"]
    energies_BM = quiet_gaussian_energies(module, mask_BL)
    assert len(energies_BM) == 3
    assert energies_BM.requires_grad
    assert module.training
    assert all(torch.equal(buffer, before[name]) for name, buffer in module.named_buffers())
    # a pass in training mode does leave one, so the check above can fail
    gaussian_energies(module, mask_BL, mean=0.0, std=1.0)
    assert not all(torch.equal(buffer, before[name]) for name, buffer in module.named_buffers())


def test_the_quiet_gaussian_pass_is_spread_as_the_token_table_is():
    module = Fixed().train()
    with torch.no_grad():
        module.table.weight.normal_(5, 0.25)
    torch.manual_seed(0)
    quiet_gaussian_energies(module, torch.ones(4, 10000))
    table = module.table.weight
    assert module.noise.mean().item() == pytest.approx(table.mean().item(), abs=0.01)
    assert module.noise.std().item() == pytest.approx(table.std().item(), rel=0.02)
    assert module.trained_on_noise == [False]
    assert module.training


@pytest.mark.parametrize("energy_objective", OBJECTIVES)
@pytest.mark.parametrize("batch_normalisation", [False, True])
def test_training_on_negatives_raises_their_energy_above_that_of_in_scope_utterances(
    energy_objective: str, batch_normalisation: bool
):
    settings: dict[str, Any] = {
        "energy_objective": energy_objective,
        "batch_normalisation": batch_normalisation,
        "gaussian_negatives": False,
        "energy_weight": 1.0,
        "dropout": 0.0,
        "embedding_dropout": 0.0,
    }
    negatives, in_scope = energies_after_training(settings)
    untaught, _ = energies_after_training(settings | {"corpus_negatives": False})
    assert negatives > in_scope + 1
    # three seeds each, with and without normalisation: 0.7 and more
    assert negatives > untaught + 0.4


def energies_after_training(settings: dict[str, Any]) -> tuple[float, float]:
    """Mean energy of the negatives and of the in-scope utterances, after forty steps."""
    module, tokenizer = tiny_textcnn(**settings)
    built = objectives.build(
        hyperparams(**settings), tokenizer, negatives=tokens(tokenizer, NEAR_NEGATIVES), rows=3, steps=40
    )
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
    batch, labels_B = encoded(tokenizer, TEXTS), torch.tensor([0, 1, 2])
    for _ in range(40):
        optimizer.zero_grad()
        built(module, batch, labels_B=labels_B).loss.backward()
        optimizer.step()
    module.eval()
    with torch.no_grad():
        negatives, in_scope = (
            float(-torch.logsumexp(module(**encoded(tokenizer, texts)).logits, dim=-1).mean())
            for texts in (NEAR_NEGATIVES, TEXTS)
        )
    return negatives, in_scope


class Said(torch.nn.Module):
    """Says the same logits whatever it is asked, by a head that reads the same features; keeps what it was asked."""

    def __init__(self, logits: Tensor, *, features: Tensor | None = None) -> None:
        super().__init__()
        self.config = SimpleNamespace(num_labels=logits.shape[-1])
        self.features = logits if features is None else features
        self.head = torch.nn.Linear(self.features.shape[-1], logits.shape[-1])
        self.logits = logits
        self.asked: dict[str, Tensor] = {}

    def forward(self, **asked: Tensor) -> Any:
        self.asked = asked
        self.head(self.features)
        return type("Output", (), {"logits": self.logits, "member_logits": self.logits[:, None]})


BATCH_OF_TWO = {"input_ids": torch.tensor([[5, 6], [7, 8]]), "attention_mask": torch.ones(2, 2)}


def test_two_passes_add_the_mean_divergence_of_the_softmaxes_both_ways():
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.0, 1.0, 0.5], [1.5, 0.5, -1.0], [0.2, 0.1, 0.7]])
    module, labels = Said(logits), torch.tensor([0, 2])
    passes = objectives.TwoPasses(objectives.CrossEntropy(0.1), contrastive_weight=0)
    step = passes(module, BATCH_OF_TWO, labels_B=labels)
    assert module.asked["input_ids"].tolist() == [[5, 6], [7, 8], [5, 6], [7, 8]]
    p = torch.softmax(logits, dim=-1).numpy()
    divergences = [(entropy(p[i], p[i + 2]) + entropy(p[i + 2], p[i])) / 2 for i in (0, 1)]
    classification = cross_entropy(logits, labels.repeat(2), label_smoothing=0.1)
    assert step.terms["consistency_loss"].item() == pytest.approx(np.mean(divergences), rel=1e-5)
    assert step.loss.item() == pytest.approx(classification.item() + np.mean(divergences), rel=1e-5)
    assert step.terms["loss"] is step.loss
    assert "contrastive_loss" not in step.terms
    assert torch.equal(step.logits_BC, logits[:2])


def test_two_passes_add_the_contrastive_loss_of_what_the_head_reads():
    logits, labels = torch.zeros(4, 3), torch.tensor([0, 2])
    features = torch.randn(4, 5, generator=torch.Generator().manual_seed(3))
    passes = objectives.TwoPasses(objectives.CrossEntropy(0.0), contrastive_weight=0.5)
    step = passes(Said(logits, features=features), BATCH_OF_TWO, labels_B=labels)
    expected = objectives.contrastive_loss(features, torch.tensor([0, 2, 0, 2]))
    assert step.terms["contrastive_loss"].item() == pytest.approx(expected.item())
    assert step.loss.item() == pytest.approx(np.log(3) + 0.5 * expected.item())


def test_what_negatives_are_read_as_is_not_contrasted():
    class WithNegatives(objectives.CrossEntropy):
        def __call__(
            self, module: Said, batch: dict[str, Tensor], *, labels_B: Tensor
        ) -> objectives.StepLoss:
            step = super().__call__(module, batch, labels_B=labels_B)
            module.features = torch.ones_like(module.features)
            module(**batch)
            return step

    features, labels = torch.eye(4), torch.tensor([0, 2])
    passes = objectives.TwoPasses(WithNegatives(0.0), contrastive_weight=0.5)
    step = passes(Said(torch.zeros(4, 3), features=features), BATCH_OF_TWO, labels_B=labels)
    expected = objectives.contrastive_loss(features, torch.tensor([0, 2, 0, 2]))
    assert step.terms["contrastive_loss"].item() == pytest.approx(expected.item())


def test_the_contrastive_loss_is_equation_2_of_supervised_contrastive_learning():
    features = np.random.default_rng(0).normal(size=(6, 4))
    labels = [0, 1, 0, 0, 1, 0]
    losses = []
    for i in range(6):
        others = [j for j in range(6) if j != i]
        alike = {j: np.exp((1 - cosine(features[i], features[j])) / 0.05) for j in others}
        shares = [alike[j] / sum(alike.values()) for j in others if labels[j] == labels[i]]
        losses.append(-np.mean(np.log(shares)))
    found = objectives.contrastive_loss(torch.tensor(features), torch.tensor(labels))
    assert found.item() == pytest.approx(np.mean(losses), rel=1e-5)


def test_the_contrastive_loss_is_least_where_each_intent_points_its_own_way():
    apart = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0], [0.0, 3.0]], requires_grad=True)
    mixed = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    labels = torch.tensor([0, 1, 0, 1])
    best = objectives.contrastive_loss(apart, labels)
    assert best.item() == pytest.approx(0, abs=1e-6)
    assert objectives.contrastive_loss(mixed, labels).item() > 10
    best.backward()
    assert apart.grad is not None
    assert apart.grad.isfinite().all()


@pytest.mark.parametrize(("rows", "is_passed_twice"), [(7, True), (8, False)])
def test_a_corpus_of_few_rows_is_passed_twice_whatever_the_objective(rows: int, is_passed_twice: bool):
    for energy_weight in (0.0, 0.5):
        settled = hyperparams(consistency_rows=7, contrastive_weight=0.5, energy_weight=energy_weight)
        built = objectives.build(settled, tokenizer=None, negatives=[], rows=rows, steps=10)
        assert isinstance(built, objectives.TwoPasses) is is_passed_twice
        built.memory.append(1.0)
        if is_passed_twice:
            assert built.objective.memory == [1.0]
            assert built.contrastive_weight == 0.5
