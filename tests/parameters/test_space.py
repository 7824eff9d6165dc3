"""The search spaces: what a study may choose from, beside each family's hyperparameters."""

import optuna
import pytest

from intents.parameters.training.families import FAMILIES
from intents.parameters.training.hyperparams import Hyperparams
from intents.parameters.training.space import Between, OneOf
from intents.tuning import worker

PREPARED_FROM = {
    "recipe",
    "model_name",
    "max_length",
    "special_tokens",
    "extend_vocabulary",
    "intent_names",
    "vocabulary",
}
"""What `training.prepare.Prepared` depends on, which all trials share."""
BY_FAMILY = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)


@BY_FAMILY
def test_every_range_is_of_a_hyperparameter_and_holds_its_default(family: type[Hyperparams]):
    defaults = vars(family())
    assert family.SEARCH_SPACE
    for name, choice in family.SEARCH_SPACE.items():
        assert defaults[name] in choice, name


@BY_FAMILY
def test_no_trial_changes_what_is_prepared_once_for_all(family: type[Hyperparams]):
    assert not family.SEARCH_SPACE.keys() & (PREPARED_FROM | {"epochs", "seed"})


@BY_FAMILY
@pytest.mark.parametrize("end", [0, -1], ids=["lowest", "highest"])
def test_both_ends_of_every_range_make_hyperparams(family: type[Hyperparams], end: int):
    values = {
        name: (choice.low, choice.high)[end] if isinstance(choice, Between) else choice.choices[end]
        for name, choice in family.SEARCH_SPACE.items()
    }
    suggested = worker.suggested(optuna.trial.FixedTrial(values), family.SEARCH_SPACE)
    assert suggested == values
    built = family(**suggested)
    assert {name: getattr(built, name) for name in values} == values


@BY_FAMILY
def test_a_study_is_asked_for_every_value_once_and_keeps_to_the_ranges(family: type[Hyperparams]):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(50):
        trial = study.ask()
        suggested = worker.suggested(trial, family.SEARCH_SPACE)
        assert suggested == trial.params
        for name, choice in family.SEARCH_SPACE.items():
            assert suggested[name] in choice


def test_a_logarithmic_range_draws_each_order_of_magnitude_alike():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    space = {"rate": Between(1e-4, 1.0, is_log=True)}
    drawn = [worker.suggested(study.ask(), space)["rate"] for _ in range(400)]
    assert 0.4 < sum(rate < 1e-2 for rate in drawn) / len(drawn) < 0.6


def test_what_lies_outside_is_not_in_a_range():
    assert 0.5 in Between(0.5, 1.0)
    assert 0.4999 not in Between(0.5, 1.0)
    assert 1.0001 not in Between(0.5, 1.0)
    assert "1,2" in OneOf(("1,2", "3"))
    assert "1" not in OneOf(("1,2", "3"))
