"""Parameters: declared once, typed, described, and refused when impossible."""

import dataclasses
import math
from pathlib import Path

import pytest

from intents.errors import ConfigError
from intents.parameters import commands as entry_points
from intents.parameters import declaration as parameters
from intents.parameters.ask import AskConfig
from intents.parameters.check_data import CheckConfig
from intents.parameters.compare import CompareConfig
from intents.parameters.data import DataConfig
from intents.parameters.declaration import AUTO
from intents.parameters.promote import PromoteConfig
from intents.parameters.reduce_embeddings import ReductionConfig
from intents.parameters.score import ScoreConfig
from intents.parameters.training import train
from intents.parameters.training.bert import BertHyperparams
from intents.parameters.training.evaluate_open_set import OpenSetConfig
from intents.parameters.training.families import FAMILIES
from intents.parameters.training.hyperparams import Hyperparams
from intents.parameters.training.learning_curve import LearningCurveConfig
from intents.parameters.training.textcnn import TextCNNHyperparams
from intents.parameters.training.train import RunConfig
from intents.parameters.tune import TuneConfig

BOTH_EXCLUDED = ("0", "1", "-0.1", "1.5", "nan", "inf")
ONE_EXCLUDED = ("1", "-0.1", "nan", "inf")
NO_BOOLEAN = ("", "yes", "0", "none")
NO_SIZE = ("0", "-1", "4097")
DECLARATIONS = (
    DataConfig,
    *FAMILIES.values(),
    RunConfig,
    PromoteConfig,
    CheckConfig,
    TuneConfig,
    CompareConfig,
    ScoreConfig,
    AskConfig,
    ReductionConfig,
    OpenSetConfig,
    LearningCurveConfig,
)
NEEDED = {ScoreConfig: {"input": "texts.csv", "output": "answers.csv"}}
"""What has no default that would do."""
EVERY_FAMILYS = {
    "recipe": ("paper", ""),
    "model_name": ("", " "),
    "max_length": ("2", "8193"),
    "batch_size": ("0", "65537"),
    "evaluation_batch_size": ("0", "65537"),
    "epochs": ("0", "10001"),
    "consistency_rows": ("-1", "1000000001"),
    "contrastive_weight": ("-0.1", "101", "nan", "inf"),
    "max_steps": ("-1", "1000000001"),
    "min_steps": ("-1", "1000000001"),
    "learning_rate": ("0", "-1e-5", "1.1", "nan", "inf"),
    "new_weights_factor": ("0", "1001", "nan", "inf"),
    "weight_decay": ONE_EXCLUDED,
    "warmup_ratio": ONE_EXCLUDED,
    "selection": ("", "first"),
    "schedule": ("cosine", ""),
    "label_smoothing": ONE_EXCLUDED,
    "validation": ("none", ""),
    "patience": ("-1", "10001"),
    "padding": ("shortest",),
    "vocabulary": ("small", ""),
    "intent_names": ("read", ""),
    "batching": ("sorted",),
    "precision": ("float16",),
    "special_tokens": NO_BOOLEAN,
    "extend_vocabulary": ("always",),
    "seed": ("-1", "4294967296"),
    "unknown_intent": ("", "  "),
    "energy_weight": ("-0.1", "100.1", "nan", "inf"),
    "energy_objective": ("mean", ""),
    "gaussian_negatives": NO_BOOLEAN,
    "corpus_negatives": NO_BOOLEAN,
    "negative_batch_size": ("0", "65537"),
    "calibration": ("platt",),
    "threshold_rule": ("f1", "Fixed"),
    "target_acceptance": BOTH_EXCLUDED,
    "fixed_threshold": ("nan", "inf", "-inf"),
}
IMPOSSIBLE = {
    **{(family, name): EVERY_FAMILYS[name] for family in FAMILIES.values() for name in EVERY_FAMILYS},
    (BertHyperparams, "pooling"): ("first", ""),
    (BertHyperparams, "head"): ("zero", ""),
    (DataConfig, "blacklist"): ("", " "),
    (DataConfig, "min_per_intent"): ("0", "-1", "301"),
    (DataConfig, "max_per_intent"): ("19", "0"),
    (DataConfig, "split"): ("by_intent", "", "Grouped"),
    (DataConfig, "test_size"): BOTH_EXCLUDED,
    (DataConfig, "validation_size"): BOTH_EXCLUDED,
    (DataConfig, "split_seed"): ("-1", "4294967296"),
    (DataConfig, "workspace"): ("", " "),
    (TextCNNHyperparams, "embeddings"): ("random", ""),
    (TextCNNHyperparams, "train_embeddings"): NO_BOOLEAN,
    (TextCNNHyperparams, "members"): ("0", "-1", "101"),
    (TextCNNHyperparams, "embedding_size"): NO_SIZE,
    (TextCNNHyperparams, "kernel_sizes"): ("", "0", "65", "-3", "3,,5", "3,4,", "3;4", "3.0", "three"),
    (TextCNNHyperparams, "channels"): NO_SIZE,
    (TextCNNHyperparams, "batch_normalisation"): NO_BOOLEAN,
    (TextCNNHyperparams, "embedding_dropout"): ONE_EXCLUDED,
    (TextCNNHyperparams, "dropout"): ONE_EXCLUDED,
    (RunConfig, "register"): ("a/b", "a:b", " ", "intents "),
    (RunConfig, "seeds"): ("0", "-1", "1001"),
    (PromoteConfig, "name"): ("", " "),
    (PromoteConfig, "version"): ("latest", "-1", "1.0", " 3"),
    (PromoteConfig, "target"): (" ", ".", "..", "/"),
    (PromoteConfig, "accept"): ("worse", "unclear;lost_intents", "all"),
    (PromoteConfig, "action"): ("", "roll back", "dry_run"),
    (PromoteConfig, "wait"): ("-1", "86401"),
    (PromoteConfig, "output"): ("", "xml"),
    (PromoteConfig, "min_f1_change"): ("-1.1", "1.1", "nan", "inf"),
    (PromoteConfig, "min_auroc_change"): ("-1.1", "1.1", "nan", "inf"),
    (PromoteConfig, "max_ece_change"): ("-1.1", "1.1", "nan", "inf"),
    (PromoteConfig, "max_latency_ratio"): ("0", "-1", "1001", "nan", "inf"),
    (RunConfig, "resume"): ("../x", "a b", "runs:/abc"),
    (RunConfig, "folds"): ("1", "-1", "101"),
    (RunConfig, "params"): ("best", "best:", "study", "latest:study"),
    (TuneConfig, "family"): ("", "cnn"),
    (TuneConfig, "n_trials"): ("0", "-1", "100001"),
    (TuneConfig, "timeout"): ("-1", "10000001"),
    (TuneConfig, "metric"): ("", "test_f1_weighted"),
    (TuneConfig, "sampler"): ("", "grid"),
    (TuneConfig, "pruner"): ("", "asha"),
    (TuneConfig, "n_jobs"): ("0", "-1", "257"),
    (TuneConfig, "study"): (" ", "a/b", "a b", "x" * 101, "it's"),
    (TuneConfig, "storage"): ("postgresql", "/a/file"),
    (TuneConfig, "seed"): ("-1", "4294967296"),
    (TuneConfig, "hyperparams"): ("epochs", "=3", "epoch=3", "seed=1", "recipe=notebook"),
    (CompareConfig, "runs"): ("", "production", "production,", "7,7", " , "),
    (CompareConfig, "name"): ("", " "),
    (CompareConfig, "resamples"): ("0", "199", "100001"),
    (CompareConfig, "seed"): ("-1", "4294967296"),
    (ScoreConfig, "input"): ("", "texts", "texts.xlsx", ".csv"),
    (ScoreConfig, "output"): ("", "answers", "answers.txt"),
    (ScoreConfig, "column"): ("",),
    (ScoreConfig, "model"): ("", " "),
    (ScoreConfig, "workers"): ("-1", "1025"),
    (AskConfig, "model"): ("", " "),
    (CheckConfig, "model_name"): ("", " "),
    (CheckConfig, "max_length"): ("2", "8193"),
    (CheckConfig, "findings"): ("findings", "findings.xlsx", " "),
    (ReductionConfig, "model_name"): ("", " "),
    (ReductionConfig, "embedding_size"): NO_SIZE,
    (ReductionConfig, "workspace"): ("", " "),
    (OpenSetConfig, "family"): ("", "cnn"),
    (OpenSetConfig, "known_shares"): (
        "",
        "0",
        "1",
        "-0.5",
        "nan",
        "inf",
        "0.5,",
        "0.5;0.6",
        "half",
        "0.5,.50",
    ),
    (OpenSetConfig, "seeds"): ("0", "-1", "1001"),
    (OpenSetConfig, "hyperparams"): ("epochs", "=3", "epoch=3", "test_size=0.3"),
    (LearningCurveConfig, "family"): ("", "cnn"),
    (LearningCurveConfig, "shares"): (
        "",
        "0",
        "1.5",
        "-0.5",
        "nan",
        "inf",
        "0.5,",
        "0.5;1",
        "abc",
        "1,0.5,1.0",
    ),
    (LearningCurveConfig, "seeds"): ("0", "-1", "1001"),
    (LearningCurveConfig, "hyperparams"): ("epochs", "=3", "epoch=3", "test_size=0.3"),
}
ANY_TEXT_WILL_DO = {"text", "keep", "force", "data", "noise", "corrections"}
EDGES = [
    (DataConfig, {"min_per_intent": "1", "max_per_intent": "1", "split_seed": "4294967295"}),
    (BertHyperparams, {"max_length": "3", "batch_size": "1", "epochs": "1", "learning_rate": "1"}),
    (BertHyperparams, {"max_length": "8192", "batch_size": "65536", "new_weights_factor": "1000"}),
    (BertHyperparams, {"weight_decay": "0", "warmup_ratio": "0", "label_smoothing": "0.99", "patience": "0"}),
    (BertHyperparams, {"energy_weight": "0", "negative_batch_size": "1", "fixed_threshold": "-1e9"}),
    (TextCNNHyperparams, {"energy_weight": "100", "negative_batch_size": "65536", "fixed_threshold": "0"}),
    (TextCNNHyperparams, {"embedding_size": "1", "channels": "1", "kernel_sizes": "1", "dropout": "0"}),
    (TextCNNHyperparams, {"embedding_size": "4096", "channels": "4096", "embedding_dropout": "0.99"}),
    (TextCNNHyperparams, {"kernel_sizes": "64", "members": "1"}),
    (TextCNNHyperparams, {"members": "100"}),
    (RunConfig, {"seeds": "1000"}),
    (ReductionConfig, {"embedding_size": "1"}),
    (TuneConfig, {"n_trials": "1", "timeout": "0", "n_jobs": "1", "seed": "0"}),
    (TuneConfig, {"n_trials": "100000", "n_jobs": "256", "seed": "4294967295"}),
    (OpenSetConfig, {"known_shares": "0.999", "seeds": "1"}),
    (LearningCurveConfig, {"shares": "1", "seeds": "1000"}),
    (LearningCurveConfig, {"shares": "0.001", "seeds": "1"}),
    (PromoteConfig, {"version": "12", "wait": "0"}),
    (PromoteConfig, {"wait": "86400"}),
]


@pytest.mark.parametrize(
    ("declaration", "name", "text"),
    [(*where, text) for where, texts in IMPOSSIBLE.items() for text in texts],
)
def test_an_impossible_value_is_refused_with_its_name_and_the_way_to_mend_it(
    declaration: type, name: str, text: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parameters.build(declaration, NEEDED.get(declaration, {}) | {name: text})
    assert f"{name}=" in str(caught.value) or f"({text})" in str(caught.value)
    assert "expected" in str(caught.value)
    assert "-P " in str(caught.value)


def test_every_parameter_that_can_be_impossible_has_been_tried() -> None:
    declared = {
        (declaration, parameter.name)
        for declaration in DECLARATIONS
        for parameter in parameters.parameters(declaration)
    }
    assert {(d, name) for d, name in declared if name not in ANY_TEXT_WILL_DO} == IMPOSSIBLE.keys()


def test_every_declaration_of_a_command_is_among_those_tried() -> None:
    assert {d for declarations in entry_points.COMMANDS.values() for d in declarations} == set(DECLARATIONS)


@pytest.mark.parametrize(("declaration", "texts"), EDGES)
def test_values_at_the_edge_of_their_range_are_accepted(declaration: type, texts: dict[str, str]) -> None:
    built = parameters.build(declaration, texts)
    read = {name: float(getattr(built, name)) for name in texts}
    assert read == {name: float(text) for name, text in texts.items()}


@pytest.mark.parametrize("text", ["", "many", "3.5", "1e3", "9" * 5000])
def test_a_text_that_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(
        ConfigError, match=r"epochs=.*: expected a whole number or auto\. Pass --epochs <value>"
    ):
        parameters.build(BertHyperparams, {"epochs": text})


def test_a_text_that_is_no_number_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"learning_rate='fast': expected a number"):
        parameters.build(BertHyperparams, {"learning_rate": "fast"})


def test_a_choice_is_refused_with_the_choices() -> None:
    with pytest.raises(ConfigError, match=r"split='by_intent'.*one of grouped, stratified, random, given"):
        parameters.build(DataConfig, {"split": "by_intent"})


def test_a_truth_value_is_read_in_any_case_and_refused_with_both_words() -> None:
    texts = ("true", "True", "TRUE", "false", "False")
    built = [parameters.build(TextCNNHyperparams, {"train_embeddings": text}) for text in texts]
    assert [hyperparams.train_embeddings for hyperparams in built] == [True, True, True, False, False]
    with pytest.raises(ConfigError, match=r"train_embeddings='no': expected true or false"):
        parameters.build(TextCNNHyperparams, {"train_embeddings": "no"})


def test_lists_in_one_text_are_read_as_numbers_spaces_or_not() -> None:
    built = parameters.build(TextCNNHyperparams, {"kernel_sizes": "3, 4 ,5,64"})
    assert built.kernel_widths == (3, 4, 5, 64)
    study = parameters.build(OpenSetConfig, {"known_shares": "0.25, .5"})
    assert study.drawn_shares == (0.25, 0.5)


def test_hyperparams_of_a_study_are_named_pairs_of_its_family() -> None:
    study = parameters.build(OpenSetConfig, {"hyperparams": "epochs=10, learning_rate = 1e-3,"})
    assert study.overrides == {"epochs": "10", "learning_rate": "1e-3"}
    assert parameters.build(OpenSetConfig, {}).overrides == {}
    assert parameters.build(OpenSetConfig, {"hyperparams": "channels=8"}).overrides == {"channels": "8"}
    with pytest.raises(ConfigError, match=r"hyperparams='channels=8': expected name=value,… of batch"):
        parameters.build(OpenSetConfig, {"family": "bert", "hyperparams": "channels=8"})


def test_typed_texts_become_typed_values_and_the_rest_keep_their_defaults() -> None:
    built = train.train_config("bert", {"epochs": "3", "test_size": "0.25", "register": "", "name": "x"})
    assert built.hyperparams == BertHyperparams(epochs=3)
    assert built.data == DataConfig(test_size=0.25)
    assert built.run == RunConfig(register="")


def test_the_notebook_recipe_applies_where_a_parameter_was_left_alone() -> None:
    built = train.train_config("bert", {"recipe": "notebook", "epochs": "2"}).hyperparams
    # The source notebook: batches of 16 at 2e-5, padded to 128, no smoothing; four epochs, but here two were asked.
    assert (built.batch_size, built.learning_rate, built.padding) == (16, 2e-5, "max_length")
    assert (built.label_smoothing, built.precision, built.patience) == (0.0, "float32", 0)
    assert built.model_name == "hfl/chinese-bert-wwm-ext"
    assert built.epochs == 2
    assert built.selects_on_test


def test_the_cnn_notebooks_recipe_is_its_loss_its_loop_and_its_split() -> None:
    built = train.train_config("textcnn", {"recipe": "notebook", "dropout": "0.4"})
    hyperparams = built.hyperparams
    assert isinstance(hyperparams, TextCNNHyperparams)
    # The source notebook: an unstratified 80/20 split with seed 42; Phi-3's table by PCA to 128, frozen.
    assert (built.data.split, built.data.test_size, built.data.split_seed) == ("random", 0.2, 42)
    assert (hyperparams.model_name, hyperparams.embeddings) == (
        "microsoft/Phi-3-mini-4k-instruct",
        "reduced",
    )
    assert (hyperparams.embedding_size, hyperparams.train_embeddings) == (128, False)
    # 64 tokens without marks, batches of 24, plain Adam at 8e-4 throughout, 50 epochs.
    assert (hyperparams.max_length, hyperparams.special_tokens, hyperparams.padding) == (
        64,
        False,
        "max_length",
    )
    assert (hyperparams.batch_size, hyperparams.negative_batch_size, hyperparams.epochs) == (24, 24, 50)
    assert (hyperparams.learning_rate, hyperparams.weight_decay) == (8e-4, 0.0)
    assert (hyperparams.schedule, hyperparams.warmup_ratio, hyperparams.patience) == ("constant", 0.0, 0)
    # 128 channels of widths 3, 4 and 5 under BatchNorm; CE + 0.1 energy; threshold -3, softmax as trained.
    assert (hyperparams.kernel_widths, hyperparams.channels) == ((3, 4, 5), 128)
    assert hyperparams.batch_normalisation
    assert hyperparams.members == 1
    assert (hyperparams.energy_weight, hyperparams.energy_objective) == (0.1, "notebook")
    assert hyperparams.gaussian_negatives
    assert hyperparams.corpus_negatives
    assert (hyperparams.threshold_rule, hyperparams.fixed_threshold) == ("fixed", -3.0)
    assert (hyperparams.calibration, hyperparams.label_smoothing) == ("none", 0.0)
    assert hyperparams.selects_on_test
    # asked for, so kept
    assert hyperparams.dropout == 0.4


@pytest.mark.parametrize("family", FAMILIES)
def test_the_default_recipe_changes_nothing_and_never_selects_on_test(family: str) -> None:
    built = train.train_config(family, {}).hyperparams
    assert built == FAMILIES[family]()
    assert not built.selects_on_test


@pytest.mark.parametrize("family", FAMILIES)
def test_a_recipe_names_declared_parameters_with_possible_values(family: str) -> None:
    hyperparams = FAMILIES[family]
    declared = {p.name for d in (DataConfig, hyperparams) for p in parameters.parameters(d)}
    for recipe, values in hyperparams.RECIPES.items():
        assert values.keys() <= declared
        effective = train.train_config(family, {"recipe": recipe}).as_parameters()
        assert {name: effective[name] for name in values} == values


@pytest.mark.parametrize("entry_point", entry_points.COMMANDS)
def test_a_commands_parameters_are_distinct_have_defaults_and_say_what_they_mean(
    entry_point: str,
) -> None:
    parameters = entry_points.entry_point_parameters(entry_point)
    names = [parameter.name for parameter in parameters]
    assert len(names) == len(set(names))
    for parameter in parameters:
        assert type(parameter.default) is (str if parameter.default == AUTO else parameter.type)
        assert parameter.meaning.endswith("."), parameter.name
        assert parameter.parse(str(parameter.default)) == parameter.default


def test_the_line_beneath_a_field_is_its_meaning_in_a_subclass_too() -> None:
    meanings = {parameter.name: parameter.meaning for parameter in parameters.parameters(BertHyperparams)}
    assert meanings["patience"].startswith("Stop after this many epochs")
    assert meanings["epochs"].startswith("Most epochs: passes over the training part")


def test_every_command_has_a_meaning_and_every_family_a_command() -> None:
    assert entry_points.ENTRY_POINT_MEANINGS.keys() == entry_points.COMMANDS.keys()
    commands = [hyperparams.ENTRY_POINT for hyperparams in FAMILIES.values()]
    assert set(commands) <= entry_points.ENTRY_POINTS.keys()
    assert len(commands) == len(set(commands))
    assert all(issubclass(hyperparams, Hyperparams) for hyperparams in FAMILIES.values())


@pytest.mark.parametrize(("family", "learning_rate"), [("bert", 0.00002), ("textcnn", 0.0008)])
def test_a_logged_run_has_every_parameter_of_its_entry_point_as_it_takes_effect(
    family: str, learning_rate: float
) -> None:
    logged = train.train_config(family, {"recipe": "notebook"}).as_parameters()
    entry_point = FAMILIES[family].ENTRY_POINT
    assert list(logged) == [parameter.name for parameter in entry_points.entry_point_parameters(entry_point)]
    assert math.isclose(logged["learning_rate"], learning_rate)
    assert logged["split_seed"] == 42


def test_a_configuration_can_not_be_changed_after_it_was_checked() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        DataConfig().test_size = 7  # type: ignore[misc]


@pytest.mark.parametrize(("rows", "passes"), [(1000, 1), (191, 1), (190, 2), (95, 3), (21, 10), (1, 191)])
def test_an_epoch_of_a_small_corpus_makes_the_passes_that_the_least_number_of_steps_takes(
    rows: int, passes: int
) -> None:
    hyperparams = BertHyperparams(epochs=5, min_steps=100, batch_size=10)
    assert hyperparams.passes(rows) == passes
    steps = [5 * math.ceil(rows * tried / 10) for tried in (passes, passes - 1)]
    assert steps[0] >= 100  # 20 steps an epoch, and no pass too many
    assert steps[1] < 100 or passes == 1


def test_without_a_least_number_of_steps_an_epoch_is_one_pass() -> None:
    assert BertHyperparams(epochs=5, min_steps=0, batch_size=10).passes(1) == 1


@pytest.mark.parametrize(("rows", "epochs"), [(1000, 6), (3330, 6), (3340, 5), (10000, 2), (99999, 1)])
def test_a_large_corpus_makes_as_many_epochs_as_the_most_steps_allow(rows: int, epochs: int) -> None:
    hyperparams = BertHyperparams(model_name="e5", batch_size=10)
    assert hyperparams.max_steps == 2000
    assert dataclasses.replace(hyperparams, max_steps=2000).epochs_over(rows) == epochs


def test_epochs_that_were_given_are_not_cut_unless_the_most_steps_are_given_too() -> None:
    assert BertHyperparams(epochs=10).epochs_over(10**6) == 10
    assert BertHyperparams(epochs=10, batch_size=10, max_steps=500).epochs_over(1000) == 5
    assert TextCNNHyperparams().epochs_over(10**6) == 20


def test_the_target_follows_the_registered_models_name_unless_given() -> None:
    assert PromoteConfig(name="shop").directory == Path("assets/models/shop")
    assert PromoteConfig(name="shop", target="live").directory == Path("live")


def test_a_recipe_leaves_what_was_typed_though_it_is_what_auto_would_be() -> None:
    typed = {"recipe": "notebook", "learning_rate": "5e-05", "epochs": "6", "batch_size": "auto"}
    built = train.train_config("bert", typed).hyperparams
    assert (built.learning_rate, built.epochs, built.batch_size) == (5e-5, 6, 16)
    again = train.train_config("bert", parameters.as_texts(built))
    assert again.hyperparams == built


@pytest.mark.parametrize(
    ("family", "name", "asked", "instead"),
    [
        ("bert", "pooling", "mean", "own"),
        ("bert", "head", "fitted", "random"),
        ("bert", "vocabulary", "trimmed", "full"),
        ("textcnn", "vocabulary", "trimmed", "full"),
    ],
)
def test_what_only_a_pretrained_encoder_can_do_is_refused_of_char(
    family: str, name: str, asked: str, instead: str
) -> None:
    expected = (
        rf"{name}='{asked}': expected {instead} or auto with model_name='char', which .* Pass --{name} "
    )
    with pytest.raises(ConfigError, match=expected):
        train.train_config(family, {"model_name": "char", name: asked})
    for allowed in (instead, "auto"):
        built = train.train_config(family, {"model_name": "char", name: allowed})
        assert getattr(built.hyperparams, name) == instead
    pretrained = train.train_config(family, {"model_name": "e5", name: asked})
    assert getattr(pretrained.hyperparams, name) == asked


def test_char_is_refused_by_the_encoder_that_is_meant_in_the_end() -> None:
    notebooks = {"recipe": "notebook", "vocabulary": "trimmed"}
    assert train.train_config("textcnn", notebooks).hyperparams.model_name != "char"
    goes_on = {"resume": "abc", "vocabulary": "trimmed"}  # the run that abc names may have another encoder
    assert train.train_config("textcnn", goes_on).hyperparams.model_name == "char"
