"""`compare` on runs that were really trained: found by every name, their rows aligned, what was found logged."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from intents import cli
from intents.errors import ComparisonError, TrackingError
from intents.evaluation.comparison import answering, paired
from intents.models import directory
from intents.models.file_names import PREDICTIONS
from intents.parameters.compare import CompareConfig
from intents.tracking import compare, models, store
from intents.tracking.compare import ComparisonOutcome
from intents.tracking.models import find
from tests.conftest import Logged, run_tracked


@dataclass(frozen=True)
class Runs:
    """Three runs in a store of their own; `first`, in Production, and `seed` are versions 1 and 2 of `tiny`."""

    uri: str
    first: Logged
    seed: Logged
    """On the same rows as `first`, with another seed."""
    rows: Logged
    """Of another split: many of its test rows were trained on by the others."""


@pytest.fixture(scope="module")
def trained_runs(tmp_path_factory: pytest.TempPathFactory, tiny_settings: dict[str, str]) -> Iterator[Runs]:
    folder = tmp_path_factory.mktemp("store")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    settings = tiny_settings | {"model_name": "char", "register": "tiny", "learning_rate": "5e-4"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        patch.chdir(folder)  # artifacts of a SQLite store go below the folder it is first opened from
        store.connect()
    first, seed = run_tracked(uri, settings), run_tracked(uri, settings | {"seed": "7"})
    rows = run_tracked(uri, settings | {"register": "", "split_seed": "7"})
    MlflowClient().set_registered_model_alias("tiny", "Production", first.version)
    yield Runs(uri, first, seed, rows)
    mlflow.set_tracking_uri("")


@pytest.fixture
def made(trained_runs: Runs, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """The three runs, their store the one in use."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", trained_runs.uri)
    mlflow.set_tracking_uri(trained_runs.uri)
    return trained_runs


def compared(*words: str) -> tuple[ComparisonOutcome, list[str]]:
    """What the command finds, and what it says meanwhile."""
    said: list[str] = []
    config = CompareConfig(runs=",".join(words), name="tiny", resamples=200)
    return compare.compare_runs(config, say=said.append), said


def logged_predictions(run_id: str) -> pd.DataFrame:
    return pd.read_parquet(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=PREDICTIONS))


def test_two_runs_on_the_same_rows_differ_by_what_they_logged(made: Runs):
    outcome, said = compared(made.first.run_id, made.seed.run_id)
    (found,) = outcome.comparisons
    assert said == []
    before, after = (mlflow.get_run(run.run_id).data.metrics for run in (made.first, made.seed))
    for name in ("accuracy", "f1_weighted", "f1_macro", "auroc", "fpr95", "ece"):
        change = found.changes[name]
        assert change.reference == pytest.approx(before[f"test_{name}"], abs=1e-6)
        assert change.candidate == pytest.approx(after[f"test_{name}"], abs=1e-6)
    assert found.left_out.seen == 0
    assert found.left_out.silent == ()
    assert found.reference_bytes == before["model_bytes"]
    assert found.latency_ratio is not None


def test_the_comparisons_run_holds_the_page_the_numbers_and_the_verdict(made: Runs):
    outcome, _ = compared(made.first.run_id, made.seed.run_id)
    run = mlflow.get_run(outcome.run_id)
    (found,) = outcome.comparisons
    assert run.info.status == "FINISHED"
    assert run.data.params["runs"] == f"{made.first.run_id},{made.seed.run_id}"
    assert run.data.metrics["change_f1_weighted"] == found.changes["f1_weighted"].change
    assert run.data.metrics["change_auroc_ci_low"] == found.changes["auroc"].low
    assert found.verdict in run.data.tags["verdict"]
    folder = Path(mlflow.artifacts.download_artifacts(run_id=outcome.run_id, artifact_path=""))
    assert (folder / compare.PAGE).read_text("utf-8").startswith("<!doctype html>")
    (content,) = json.loads((folder / compare.JSON).read_text("utf-8"))["comparisons"]
    assert content["mcnemar_p"] == found.mcnemar_p
    assert str(outcome).endswith(run.data.tags["verdict"])
    _, look = str(outcome).splitlines()[:2]
    page = Path(look.removeprefix("look: ").split(", or mlflow ui")[0])
    assert page.read_text("utf-8") == (folder / compare.PAGE).read_text("utf-8")


def test_versions_and_production_name_the_runs_they_were_registered_by(made: Runs):
    (found,) = compared("production", made.seed.version)[0].comparisons
    assert (found.reference, found.candidate) == (f"tiny/{made.first.version}", f"tiny/{made.seed.version}")
    (same,) = compared(made.first.run_id, f"tiny/{made.seed.version}")[0].comparisons
    assert {k: (v.low, v.high) for k, v in found.changes.items()} == {
        k: (v.low, v.high) for k, v in same.changes.items()
    }


def test_other_rows_are_predicted_and_those_a_model_was_trained_on_left_out(made: Runs):
    outcome, said = compared(made.first.run_id, made.rows.run_id)
    (found,) = outcome.comparisons
    rows = logged_predictions(made.rows.run_id)
    in_scope = rows[rows["true_intent"] != ""]
    # The corpus repeats no utterance, so what was no test row of the first run was seen by it, and nothing else.
    own = set(logged_predictions(made.first.run_id)["text"])
    kept = in_scope[in_scope["text"].isin(own)]
    assert 0 < len(kept) < len(in_scope)
    assert found.rows == len(kept)
    assert found.left_out.seen == len(in_scope) - len(kept)
    assert "tested on other rows; predicting" in said[0]
    # On the rows kept, the first run's own predictions say what was predicted anew.
    said_before = logged_predictions(made.first.run_id).set_index("text")["pred_intent"]
    right = (said_before[kept["text"]].to_numpy() == kept["true_intent"].to_numpy()).mean()
    assert found.changes["accuracy"].reference == pytest.approx(right)


def test_of_three_runs_two_are_compared_with_the_first_at_half_the_false_alarms(made: Runs):
    outcome, _ = compared("production", made.seed.run_id, made.rows.run_id)
    assert [found.reference for found in outcome.comparisons] == ["tiny/1", "tiny/1"]
    assert [found.alpha for found in outcome.comparisons] == [0.025, 0.025]
    history = MlflowClient().get_metric_history(outcome.run_id, "change_accuracy")
    assert [metric.step for metric in history] == [1, 2]


def test_predicting_a_runs_own_rows_anew_gives_what_it_logged(made: Runs, tmp_path: Path):
    loaded = compare.load(find(made.first.run_id, registered="tiny"), tmp_path)
    rows = loaded.predictions
    assert rows is not None
    assert (rows["kind"] != "").any()
    without = answering.Loaded(loaded.name, loaded.directory, loaded.model, None)
    anew = answering._answers(without, rows)
    assert anew["pred_intent"].tolist() == rows["pred_intent"].tolist()
    assert (
        anew[["text", "true_intent", "kind"]].to_numpy().tolist()
        == rows[["text", "true_intent", "kind"]].to_numpy().tolist()
    )
    assert anew["energy"].to_numpy() == pytest.approx(rows["energy"].to_numpy(), abs=1e-4)
    assert directory.training_rows(loaded.directory) is not None


def test_out_of_fold_predictions_of_two_runs_are_pooled_by_row(
    made: Runs, tiny_settings: dict[str, str], tmp_path: Path
):
    settings = tiny_settings | {"model_name": "char", "register": "", "folds": "2", "epochs": "1"}
    pair = []
    for seed in ("1", "2"):
        run = run_tracked(made.uri, settings | {"seed": seed})
        assert any(line.startswith("fold 2 of 2") for line in run.said)
        assert "out_of_fold_accuracy" in MlflowClient().get_run(run.run_id).data.metrics
        (tmp_path / seed).mkdir()
        pair.append(compare.load(find(run.run_id, registered="tiny"), tmp_path / seed))
    rows = pair[0].out_of_fold
    assert rows is not None
    corpus = MlflowClient().get_run(run.run_id).inputs.dataset_inputs
    assert len(rows) == sum(json.loads(part.dataset.profile)["num_rows"] for part in corpus)
    assert set(rows["fold"]) == {1, 2}
    sides = answering.pooled_sides(pair)
    assert sides is not None
    assert len(sides[0].predictions) == len(rows.drop_duplicates(["text", "true_intent"]))
    found = paired.compare(*sides)
    assert found.left_out.seen == 0
    assert found.rows > len(pair[0].predictions)
    first = compare.load(find(made.first.run_id, registered="tiny"), tmp_path)
    assert answering.pooled_sides([first, pair[0]]) is None


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("0" * 32, "is not in this tracking store"),
        ("99", "is not in this tracking store"),
        ("nothing/1", "is not in this tracking store"),
        ("latest", "names nothing of 'tiny'"),
    ],
)
def test_a_name_that_means_nothing_is_refused_with_what_is_expected(made: Runs, word: str, message: str):
    with pytest.raises(ComparisonError, match=message) as caught:
        find(word, registered=made.first.config.run.register)
    assert "expected a training run's id, a registered version" in str(caught.value)


def test_what_is_compared_and_what_is_asked_are_the_same_files_by_whatever_name(made: Runs, tmp_path: Path):
    found = find("production", registered="tiny")
    words = made.first.run_id, made.first.version, f"tiny/{made.first.version}"
    assert {find(word, registered="tiny").model_id for word in words} == {found.model_id}
    uris = "models:/tiny@Production", f"models:/tiny/{made.first.version}", f"runs:/{made.first.run_id}"
    expected = sorted(path.read_bytes() for path in models.fetch(found, tmp_path).iterdir())
    for number, uri in enumerate((*uris, f"models:/{found.model_id}")):
        (tmp_path / str(number)).mkdir()
        fetched = models.directory(uri, tmp_path / str(number))
        assert sorted(path.read_bytes() for path in fetched.iterdir()) == expected


@pytest.mark.usefixtures("made")
def test_a_model_whose_files_are_gone_is_named(tmp_path: Path):
    gone = models.Named("tiny/7", "", f"m-{'0' * 32}")
    with pytest.raises(TrackingError, match="tiny/7: its model can't be fetched: "):
        models.fetch(gone, tmp_path)


def test_one_model_under_two_names_is_refused(made: Runs):
    with pytest.raises(ComparisonError, match="production and 1 are one model, tiny/1"):
        compared("production", made.seed.run_id, made.first.version)


def test_a_run_that_trained_nothing_is_refused(made: Runs):
    outcome, _ = compared(made.first.run_id, made.seed.run_id)
    with pytest.raises(ComparisonError, match="logged 0 models; expected one"):
        find(outcome.run_id, registered="tiny")


def test_the_command_prints_the_verdict_last(made: Runs, capsys: pytest.CaptureFixture[str]):
    flags = ["--runs", f"{made.first.version},{made.seed.version}", "--name", "tiny", "--resamples", "200"]
    assert cli.main(["compare", *flags]) == 0
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert last.startswith(f"tiny/{made.seed.version} against tiny/{made.first.version}: ")
    assert cli.main(["compare", "--runs", "production"]) == 2
    assert "two or more different runs" in capsys.readouterr().err
