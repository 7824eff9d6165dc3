"""The commands: exit codes, one line an error, and nothing done before the parameters are sound."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from intents import cli


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands run here; whatever they leave shows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("epochs", value) for value in ("0", "-1", "1.5", "many", "")],
        *[("learning_rate", value) for value in ("nan", "inf", "-inf", "0", "-1e-5", "fast")],
        *[("batch_size", value) for value in ("0", "-8")],
        *[("seed", value) for value in ("-1", "4294967296")],
        *[("test_size", value) for value in ("0", "1", "nan", "20%")],
        *[("validation_size", value) for value in ("0", "1")],
        *[("max_length", value) for value in ("2", "0")],
        *[("token_dropout", value) for value in ("1", "-0.1", "nan")],
        *[("target_acceptance", value) for value in ("0", "1")],
        *[("split", value) for value in ("random", "Grouped", "")],
        ("recipe", "paper"),
        ("precision", "float16"),
        ("model_name", " "),
        ("unknown_intent", ""),
        ("min_per_intent", "0"),
        ("max_per_intent", "19"),
    ],
)
def test_an_impossible_value_ends_with_2_and_its_name_before_any_work(
    name: str, value: str, capsys: pytest.CaptureFixture[str], empty_folder: Path
):
    assert cli.main(["train_bert", f"--{name}={value}"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    quoted = re.match(rf"error: {name}=(.*?)(?: is out of range)?: expected ", said.err)
    assert quoted, said.err
    shown = quoted[1].strip("'")
    assert shown == value or float(shown) == float(value)
    assert f"-P {name}=" in said.err
    assert list(empty_folder.iterdir()) == []


@pytest.mark.parametrize("model_name", ["./no-such-encoder", "/no/such/encoder", "no-such-encoder"])
def test_an_encoder_that_is_not_there_ends_with_2_before_any_work(
    model_name: str, capsys: pytest.CaptureFixture[str], empty_folder: Path
):
    assert cli.main(["train_bert", "--model_name", model_name]) == 2
    assert f"error: model_name={model_name!r}: expected an encoder, found nothing" in capsys.readouterr().err
    assert list(empty_folder.iterdir()) == []


def test_a_corpus_that_is_not_there_ends_with_2_and_its_path(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["check_data", "--data", "nowhere.jsonl"]) == 2
    assert capsys.readouterr().err.startswith("error: nowhere.jsonl: there is no such file")


def test_check_data_prints_what_was_kept_dropped_and_why(
    tiny_corpus: Path, capsys: pytest.CaptureFixture[str]
):
    arguments = ["--data", str(tiny_corpus / "rows"), "--blacklist", str(tiny_corpus / "blacklist.txt")]
    assert cli.main(["check_data", *arguments]) == 0
    said = capsys.readouterr().out
    assert "139 rows read, 128 kept in 4 intents" in said
    assert "dropped 8: intent is blacklisted" in said
    assert "dropped 3: intent has too few rows" in said


@pytest.mark.parametrize(
    "arguments", [[], ["train"], ["train_bert", "--epoch_count", "3"], ["train_bert", "x"]]
)
def test_a_command_or_flag_that_does_not_exist_ends_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert "usage: intents" in capsys.readouterr().err


@pytest.mark.parametrize("shortened", ["--epoch", "--learning"])
def test_a_flag_is_never_guessed_from_its_beginning(shortened: str, capsys: pytest.CaptureFixture[str]):
    """`mlflow run -P epoch=3` appends `--epoch 3`: a misspelled parameter must not quietly become another."""
    with pytest.raises(SystemExit):
        cli.main(["train_bert", shortened, "1"])
    assert "unrecognized arguments" in capsys.readouterr().err


def test_help_names_every_parameter_with_its_default(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        cli.main(["train_bert", "--help"])
    assert ended.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "--learning_rate float Peak learning rate of pretrained weights. (default: 5e-05)" in said
    assert "--split grouped|stratified|given" in said


@pytest.mark.parametrize("module", ["intents.cli", "registry.promote"])
def test_help_answers_without_loading_a_heavy_library(module: str, subprocess_environment: dict[str, str]):
    script = (
        "import sys, importlib\n"
        f"main = importlib.import_module({module!r}).main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit as ended:\n"
        "    heavy = {'torch', 'mlflow', 'transformers', 'pandas', 'matplotlib'} & set(sys.modules)\n"
        "    print('HEAVY', ended.code, sorted(heavy))\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", script],
        env=subprocess_environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert process.stdout.endswith("HEAVY 0 []\n")
