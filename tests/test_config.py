"""Parameters: declared once, typed, described, and refused when impossible."""

import dataclasses
import math

import pytest

from intents import config, parameters
from intents.config import BertHyperparams, DataConfig, Hyperparams, PromoteConfig, RunConfig
from intents.errors import ConfigError

BOTH_EXCLUDED = ("0", "1", "-0.1", "1.5", "nan", "inf")
ONE_EXCLUDED = ("1", "-0.1", "nan", "inf")
IMPOSSIBLE = {
    (DataConfig, "min_per_intent"): ("0", "-1", "301"),
    (DataConfig, "max_per_intent"): ("19", "0"),
    (DataConfig, "split"): ("random", "", "Grouped"),
    (DataConfig, "test_size"): BOTH_EXCLUDED,
    (DataConfig, "validation_size"): BOTH_EXCLUDED,
    (DataConfig, "split_seed"): ("-1", "4294967296"),
    (BertHyperparams, "recipe"): ("paper",),
    (BertHyperparams, "model_name"): ("", " "),
    (BertHyperparams, "max_length"): ("2", "8193"),
    (BertHyperparams, "batch_size"): ("0", "65537"),
    (BertHyperparams, "evaluation_batch_size"): ("0", "65537"),
    (BertHyperparams, "epochs"): ("0", "10001"),
    (BertHyperparams, "learning_rate"): ("0", "-1e-5", "1.1", "nan", "inf"),
    (BertHyperparams, "new_weights_factor"): ("0", "1001", "nan", "inf"),
    (BertHyperparams, "weight_decay"): ONE_EXCLUDED,
    (BertHyperparams, "warmup_ratio"): ONE_EXCLUDED,
    (BertHyperparams, "label_smoothing"): ONE_EXCLUDED,
    (BertHyperparams, "token_dropout"): ONE_EXCLUDED,
    (BertHyperparams, "patience"): ("-1", "10001"),
    (BertHyperparams, "padding"): ("shortest",),
    (BertHyperparams, "batching"): ("sorted",),
    (BertHyperparams, "precision"): ("float16",),
    (BertHyperparams, "extend_vocabulary"): ("always",),
    (BertHyperparams, "seed"): ("-1", "4294967296"),
    (BertHyperparams, "unknown_intent"): ("", "  "),
    (BertHyperparams, "target_acceptance"): BOTH_EXCLUDED,
    (DataConfig, "workspace"): ("", " "),
    (PromoteConfig, "name"): ("", " "),
    (PromoteConfig, "version"): ("latest", "-1", "1.0", " 3"),
    (PromoteConfig, "target"): ("", " "),
}
ANY_TEXT_WILL_DO = {"data", "noise", "blacklist", "register"}
EDGES = [
    (DataConfig, {"min_per_intent": "1", "max_per_intent": "1", "split_seed": "4294967295"}),
    (BertHyperparams, {"max_length": "3", "batch_size": "1", "epochs": "1", "learning_rate": "1"}),
    (BertHyperparams, {"max_length": "8192", "batch_size": "65536", "new_weights_factor": "1000"}),
    (BertHyperparams, {"weight_decay": "0", "warmup_ratio": "0", "token_dropout": "0.99", "patience": "0"}),
    (PromoteConfig, {"version": "12"}),
]


@pytest.mark.parametrize(
    ("declaration", "name", "text"),
    [(*where, text) for where, texts in IMPOSSIBLE.items() for text in texts],
)
def test_an_impossible_value_is_refused_with_its_name_and_the_way_to_mend_it(
    declaration: type, name: str, text: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parameters.build(declaration, {name: text})
    assert f"{name}=" in str(caught.value) or f"({text})" in str(caught.value)
    assert "expected" in str(caught.value)
    assert "-P " in str(caught.value)


def test_every_parameter_that_can_be_impossible_has_been_tried() -> None:
    declared = {
        (declaration, parameter.name)
        for declaration in (DataConfig, *config.FAMILIES.values(), RunConfig, PromoteConfig)
        for parameter in parameters.parameters(declaration)
    }
    assert {(d, name) for d, name in declared if name not in ANY_TEXT_WILL_DO} == IMPOSSIBLE.keys()


@pytest.mark.parametrize(("declaration", "texts"), EDGES)
def test_values_at_the_edge_of_their_range_are_accepted(declaration: type, texts: dict[str, str]) -> None:
    built = parameters.build(declaration, texts)
    assert {name: float(getattr(built, name)) for name in texts} == {n: float(t) for n, t in texts.items()}


@pytest.mark.parametrize("text", ["", "many", "3.5", "1e3", "9" * 5000])
def test_a_text_that_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"epochs=.*: expected a whole number\. Pass --epochs <value>"):
        parameters.build(BertHyperparams, {"epochs": text})


def test_a_text_that_is_no_number_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"learning_rate='fast': expected a number"):
        parameters.build(BertHyperparams, {"learning_rate": "fast"})


def test_a_choice_is_refused_with_the_choices() -> None:
    with pytest.raises(ConfigError, match=r"split='random'.*one of grouped, stratified, given"):
        parameters.build(DataConfig, {"split": "random"})


def test_typed_texts_become_typed_values_and_the_rest_keep_their_defaults() -> None:
    built = config.train_config("bert", {"epochs": "3", "test_size": "0.25", "register": "", "name": "x"})
    assert built.hyperparams == BertHyperparams(epochs=3)
    assert built.data == DataConfig(test_size=0.25)
    assert built.run == RunConfig(register="")


def test_the_notebook_recipe_applies_where_a_parameter_was_left_alone() -> None:
    built = config.train_config("bert", {"recipe": "notebook", "epochs": "2"}).hyperparams
    # The source notebook: batches of 16 at 2e-5, padded to 128, no smoothing; four epochs, but here two were asked.
    assert (built.batch_size, built.learning_rate, built.padding) == (16, 2e-5, "max_length")
    assert (built.label_smoothing, built.precision, built.patience) == (0.0, "float32", 0)
    assert built.model_name == "hfl/chinese-bert-wwm-ext"
    assert built.epochs == 2
    assert built.selects_on_test


def test_the_default_recipe_changes_nothing_and_never_selects_on_test() -> None:
    built = config.train_config("bert", {}).hyperparams
    assert built == BertHyperparams()
    assert not built.selects_on_test


@pytest.mark.parametrize("family", config.FAMILIES)
def test_a_recipe_names_declared_parameters_with_possible_values(family: str) -> None:
    hyperparams = config.FAMILIES[family]
    declared = {p.name for d in (DataConfig, hyperparams) for p in parameters.parameters(d)}
    for recipe, values in hyperparams.RECIPES.items():
        assert values.keys() <= declared
        effective = config.train_config(family, {"recipe": recipe}).as_parameters()
        assert {name: effective[name] for name in values} == values


@pytest.mark.parametrize("entry_point", config.ENTRY_POINTS)
def test_an_entry_points_parameters_are_distinct_have_defaults_and_say_what_they_mean(
    entry_point: str,
) -> None:
    parameters = config.entry_point_parameters(entry_point)
    names = [parameter.name for parameter in parameters]
    assert len(names) == len(set(names))
    for parameter in parameters:
        assert type(parameter.default) is parameter.type
        assert parameter.meaning.endswith("."), parameter.name
        assert parameter.parse(str(parameter.default)) == parameter.default


def test_the_line_beneath_a_field_is_its_meaning_in_a_subclass_too() -> None:
    meanings = {parameter.name: parameter.meaning for parameter in parameters.parameters(BertHyperparams)}
    assert meanings["patience"].startswith("Stop after this many epochs")
    assert meanings["epochs"] == "Most passes over the training part."


def test_every_entry_point_has_a_meaning_and_every_family_a_command() -> None:
    assert config.ENTRY_POINT_MEANINGS.keys() == config.ENTRY_POINTS.keys()
    assert {f"train_{family}" for family in config.FAMILIES} <= config.ENTRY_POINTS.keys()
    assert all(issubclass(hyperparams, Hyperparams) for hyperparams in config.FAMILIES.values())


def test_a_logged_run_has_every_parameter_of_its_entry_point_as_it_takes_effect() -> None:
    logged = config.train_config("bert", {"recipe": "notebook"}).as_parameters()
    assert list(logged) == [parameter.name for parameter in config.entry_point_parameters("train_bert")]
    assert math.isclose(logged["learning_rate"], 0.00002)
    assert logged["split_seed"] == 42


def test_a_configuration_can_not_be_changed_after_it_was_checked() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        DataConfig().test_size = 7  # type: ignore[misc]
