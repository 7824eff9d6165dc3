"""The commands: exit codes, one line an error, and nothing done before the parameters are sound."""

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from intents import cli
from intents.data import corpus as corpora
from intents.parameters.data import DataConfig
from intents.parameters.declaration import build
from intents.parameters.training.families import FAMILIES
from intents.tracking import runs
from intents.tracking.tags import FAILURE_TAG
from registry import promote

TRAININGS = [hyperparams.ENTRY_POINT for hyperparams in FAMILIES.values()]


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
        *[("energy_weight", value) for value in ("-0.1", "101", "nan", "much")],
        *[("special_tokens", value) for value in ("yes", "1", "")],
        *[("fixed_threshold", value) for value in ("nan", "inf")],
        *[("seeds", value) for value in ("0", "1001")],
        *[("target_acceptance", value) for value in ("0", "1")],
        *[("split", value) for value in ("by_intent", "Grouped", "")],
        ("recipe", "paper"),
        ("precision", "float16"),
        ("model_name", " "),
        ("unknown_intent", ""),
        ("min_per_intent", "0"),
        ("max_per_intent", "19"),
    ],
)
@pytest.mark.parametrize("command", TRAININGS)
def test_an_impossible_value_ends_with_2_and_its_name_before_any_work(
    command: str, name: str, value: str, capsys: pytest.CaptureFixture[str], empty_folder: Path
):
    assert_refused(command, name, value, capsys, empty_folder)


@pytest.mark.parametrize(
    ("command", "name", "value"),
    [
        *[("train_cnn", "kernel_sizes", value) for value in ("0", "3,,4", "", "wide")],
        *[("train_cnn", "dropout", value) for value in ("1", "nan")],
        ("train_cnn", "embeddings", "pca"),
        ("train_cnn", "embedding_size", "0"),
        *[("evaluate_open_set", "known_shares", value) for value in ("1", "0.5,", "half")],
        *[("evaluate_open_set", "hyperparams", value) for value in ("epochs", "depth=3")],
        *[("learning_curve", "shares", value) for value in ("0", "1.5", "abc", "0.5,0.50")],
        ("learning_curve", "hyperparams", "depth=3"),
        ("evaluate_open_set", "family", "forest"),
        ("evaluate_open_set", "seeds", "0"),
        ("evaluate_open_set", "test_size", "1"),
        ("reduce_embeddings", "embedding_size", "4097"),
        ("reduce_embeddings", "model_name", ""),
        ("check_data", "min_per_intent", "0"),
    ],
)
def test_what_only_one_command_takes_is_refused_the_same_way(
    command: str, name: str, value: str, capsys: pytest.CaptureFixture[str], empty_folder: Path
):
    assert_refused(command, name, value, capsys, empty_folder)


def test_an_impossible_hyperparameter_of_a_study_ends_with_2_before_any_work(
    capsys: pytest.CaptureFixture[str], empty_folder: Path
):
    assert cli.main(["evaluate_open_set", "--hyperparams", "epochs=3,dropout=1"]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("error: dropout=1.0: expected 0 up to, but not including, 1")
    assert said.out == ""
    assert list(empty_folder.iterdir()) == []


def assert_refused(
    command: str, name: str, value: str, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    assert cli.main([command, f"--{name}={value}"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    quoted = re.match(rf"error: {name}=(.*?)(?: is out of range)?: expected ", said.err)
    assert quoted, said.err
    shown = quoted[1].strip("'")
    assert shown == value or float(shown) == float(value)
    assert f"-P {name}=" in said.err
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("command", TRAININGS)
@pytest.mark.parametrize("model_name", ["./no-such-encoder", "/no/such/encoder", "no-such-encoder"])
def test_an_encoder_that_is_not_there_ends_with_2_before_any_work(
    command: str, model_name: str, capsys: pytest.CaptureFixture[str], empty_folder: Path
):
    assert cli.main([command, "--model_name", model_name]) == 2
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


def test_check_data_counts_what_an_encoder_cannot_spell_and_what_is_cut(
    tiny_corpus: Path, tiny_bert: Path, capsys: pytest.CaptureFixture[str]
):
    texts = {"data": str(tiny_corpus / "rows"), "blacklist": str(tiny_corpus / "blacklist.txt")}
    flags = [word for name, text in texts.items() for word in (f"--{name}", text)]
    assert cli.main(["check_data", *flags, "--model_name", str(tiny_bert), "--max_length", "6"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("spelled by")]
    parts = [re.search(r"of (\S+) tokens", line).group(1) for line in lines]
    assert parts == ["train", "validation", "test", "out-of-scope"]
    train = list(corpora.load(build(DataConfig, texts)).part("train")["text"])
    spelled = set((tiny_bert / "vocab.txt").read_text("utf-8").split())
    unknown = sum(character not in spelled for text in train for character in text)
    share = unknown / sum(len(text) for text in train)  # this encoder has a token a character
    cut = sum(len(text) + 2 > 6 for text in train)  # and marks both ends
    assert share > 0.001
    assert f"{share:.1%} of train tokens unknown, {cut} of {len(train)} utterances over 6 tokens" in lines[0]


def test_reduce_embeddings_prints_the_file_it_made_its_size_and_what_it_kept(
    tiny_bert: Path, capsys: pytest.CaptureFixture[str], empty_folder: Path
):
    arguments = ["--model_name", str(tiny_bert), "--embedding_size", "4", "--workspace", "here"]
    assert cli.main(["reduce_embeddings", *arguments]) == 0
    (file,) = (empty_folder / "here").rglob("*.safetensors")
    tokens = len((tiny_bert / "vocab.txt").read_text("utf-8").splitlines())
    said = capsys.readouterr().out
    shown = rf"{re.escape(str(file.relative_to(empty_folder)))}: {tokens} tokens x 4, \d\d\.\d% of the variance kept\n"
    assert re.fullmatch(shown, said)


def test_reduce_embeddings_works_in_a_process_that_has_imported_nothing_yet(
    tiny_bert: Path, subprocess_environment: dict[str, str], empty_folder: Path
):
    """transformers' Auto classes bring the TextCNN with them, which needs the module that asked for them."""
    arguments = ["--model_name", str(tiny_bert), "--embedding_size", "4", "--workspace", "here"]
    process = subprocess.run(
        [sys.executable, "-m", "intents.cli", "reduce_embeddings", *arguments],
        env=subprocess_environment,
        cwd=empty_folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert "tokens x 4" in process.stdout


def test_reduce_embeddings_of_an_encoder_without_any_ends_with_2(
    capsys: pytest.CaptureFixture[str], empty_folder: Path
):
    assert cli.main(["reduce_embeddings", "--model_name", "char"]) == 2
    assert "model_name='char' has no pretrained embeddings to reduce" in capsys.readouterr().err
    assert list(empty_folder.iterdir()) == []


@pytest.mark.parametrize(
    "arguments", [[], ["train"], ["train_bert", "--epoch_count", "3"], ["train_bert", "x"]]
)
def test_a_command_or_flag_that_does_not_exist_ends_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
):
    assert cli.main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("usage: intents")
    assert said.splitlines()[-1].startswith("error: ")


def test_without_a_command_the_commands_are_listed(capsys: pytest.CaptureFixture[str]):
    assert cli.main([]) == 2
    assert {"train_bert", "ask", "score"} <= set(re.findall(r"\w+", capsys.readouterr().err))


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["train_bert", "--epoch", "1"], "epochs"),  # `mlflow run -P epoch=1` appends it so
        (["train_cnn", "--kernel_size=3"], "kernel_sizes"),
        (["check_data", "--blackList", "none"], "blacklist"),
        (["score", "--inputs", "a.csv"], "input"),
        (["evaluate_open_set", "--hyperparams", "epoch=3"], "epochs"),
        (["train_cn", "--epochs", "1"], "train_cnn"),
        (["train_bert", "--split", "Grouped"], "grouped"),
    ],
)
def test_a_misspelled_flag_command_or_value_is_never_guessed_but_named(
    arguments: list[str], meant: str, capsys: pytest.CaptureFixture[str], empty_folder: Path
):
    assert cli.main(arguments) == 2
    assert f"did you mean {meant}?" in capsys.readouterr().err
    assert list(empty_folder.iterdir()) == []


def test_promote_too_says_what_was_meant(capsys: pytest.CaptureFixture[str]):
    assert promote.main(["--verson", "3"]) == 2
    assert "did you mean version?" in capsys.readouterr().err


def begun_by_mlflow_run(monkeypatch: pytest.MonkeyPatch) -> str:
    """A run as `mlflow run` hands it over."""
    run_id = MlflowClient().create_run("0", run_name="bustling-sponge-479").info.run_id
    MlflowClient().set_tag(run_id, "handed_over", run_id)
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    return run_id


@pytest.mark.parametrize(
    ("arguments", "name", "reason"),
    [
        (
            ["train_bert", "--data", "my/mine.csv", "--epochs", "0"],
            "train_bert mine.csv",
            "ConfigError: epochs=0",
        ),
        (
            ["train_cnn", "--data=a.csv,b.csv", "--epoch", "3"],
            "train_cnn a.csv and 1 more",
            "ConfigError: unrecog",
        ),
        (["train_cnn", "--model_name", "no-such-encoder"], "train_cnn", "EncoderError: model_name='no-such"),
        (["check_data", "--data", "nowhere.jsonl"], "check_data nowhere.jsonl", "DataError: nowhere.jsonl"),
        (["score", "--input", "in.csv", "--output", "out.csv"], "score in.csv", "DataError: in.csv"),
    ],
)
def test_what_never_began_under_mlflow_run_says_so_and_why_in_tags_that_filter(
    arguments: list[str], name: str, reason: str, in_store: str, monkeypatch: pytest.MonkeyPatch
):
    run_id = begun_by_mlflow_run(monkeypatch)
    assert (cli.main(arguments), in_store) == (2, mlflow.get_tracking_uri())
    (run,) = MlflowClient().search_runs(
        ["0"], f"tags.stage = 'not started' and tags.handed_over = '{run_id}'"
    )
    assert run.info.run_name == name
    assert run.data.tags[FAILURE_TAG].startswith(reason)


def test_a_command_without_a_run_of_its_own_names_the_one_that_mlflow_run_began(
    tiny_corpus: Path, in_store: str, monkeypatch: pytest.MonkeyPatch
):
    run_id = begun_by_mlflow_run(monkeypatch)
    assert mlflow.get_tracking_uri() == in_store
    assert cli.main(["check_data", "--data", str(tiny_corpus / "nowhere.csv"), "--findings", ""]) == 2
    flags = ["--blacklist", str(tiny_corpus / "blacklist.txt"), "--findings", ""]
    second = begun_by_mlflow_run(monkeypatch)
    assert cli.main(["check_data", "--data", str(tiny_corpus / "rows"), *flags]) == 0
    ended = [MlflowClient().get_run(run) for run in (run_id, second)]
    assert [run.info.run_name for run in ended] == ["check_data nowhere.csv", "check_data rows"]
    assert [run.data.tags[runs.STAGE_TAG] for run in ended] == ["not started", "done"]
    assert FAILURE_TAG not in ended[1].data.tags


@pytest.mark.usefixtures("empty_folder")
def test_without_mlflow_run_a_command_that_needs_no_run_makes_none(tiny_corpus: Path):
    flags = ["--blacklist", str(tiny_corpus / "blacklist.txt"), "--findings", ""]
    assert cli.main(["check_data", "--data", str(tiny_corpus / "rows"), *flags]) == 0
    assert not Path("mlflow.db").exists()


def test_the_last_word_on_a_run_does_not_wait_for_a_store_that_hangs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and never answers
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
        monkeypatch.setattr(runs, "PATIENCE_SECONDS", 0.2)
        began = time.monotonic()
        assert cli.main(["train_bert", "--epochs", "0"]) == 2
        assert time.monotonic() - began < 5
    mlflow.set_tracking_uri("")
    assert "error: epochs=0" in capsys.readouterr().err


def test_what_a_console_cannot_print_is_printed_as_its_number(
    subprocess_environment: dict[str, str], empty_folder: Path
):
    rows = [
        f"{icon}很好{number},{label}" for icon, label in (("👍", "赞"), ("👎", "踩")) for number in range(30)
    ]
    (empty_folder / "emoji.csv").write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    (empty_folder / "none.txt").touch()
    process = subprocess.run(
        [
            sys.executable,
            "-m",
            "intents.cli",
            "check_data",
            "--data",
            "emoji.csv,👍.csv",
            "--blacklist",
            "none.txt",
        ],
        env=subprocess_environment | {"PYTHONIOENCODING": "gbk:strict", "PYTHONUTF8": "1"},
        cwd=empty_folder,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert process.returncode == 2
    assert r"error: \U0001f44d.csv: there is no such file" in process.stderr.decode("gbk")


@pytest.mark.parametrize(
    "words",
    [
        "intents.cli check_data --findings= --blacklist=none --data={}",
        "registry.promote --status",
        "registry.promote --history --json",
    ],
)
def test_a_reader_that_has_closed_the_pipe_is_no_error(
    words: str, tiny_corpus: Path, subprocess_environment: dict[str, str]
):
    theirs, ours = os.pipe()
    os.close(theirs)
    with os.fdopen(ours, "wb") as pipe:
        command = [sys.executable, "-m", *words.format(tiny_corpus / "rows").split()]
        process = subprocess.run(
            command, env=subprocess_environment, stdout=pipe, stderr=subprocess.PIPE, timeout=60, check=False
        )
    assert (process.returncode, process.stderr) == (1, b"")


def test_what_a_command_prints_shows_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def fail() -> None:
        raise ValueError("bad port: hunter2@host in postgresql://h/db?user=me&password=hunter2")

    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2")
    for traceback in ("", "1"):
        monkeypatch.setenv(cli.TRACEBACK_VARIABLE, traceback)
        assert cli.guarded(fail, run_name="") == 1
    assert cli.guarded(lambda: "token=hunter2", run_name="") == 0
    said = capsys.readouterr()
    assert "hunter2" not in said.out + said.err
    assert said.err.count("\nValueError: bad port: ***@host") == 1
    assert said.err.startswith("error: ValueError: bad port: ***@host")


def test_help_names_every_parameter_with_its_default(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        cli.main(["train_bert", "--help"])
    assert ended.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "--learning_rate float Peak learning rate of pretrained weights. (default: 'auto')" in said
    assert "--split grouped|stratified|random|given" in said


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
