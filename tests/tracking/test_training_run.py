"""What a run that went well leaves in MLflow, alone or under `mlflow run`."""

import html
import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

import mlflow
import pytest
from mlflow.artifacts import download_artifacts
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from intents.parameters import commands, declaration
from intents.report.training_page import REPORT
from intents.tracking import runs
from intents.tracking import store as stores
from intents.tracking.tags import FAILURE_TAG
from intents.tracking.training import training_run
from intents.tracking.training.logged import environment
from tests.conftest import Logged, run_tracked

SCORES = ("energy", "max_softmax", "max_logit", "mahalanobis", "nearest_neighbours")
FINAL_METRICS = {
    *("test_accuracy", "test_f1_weighted", "test_f1_macro", "test_ece", "test_brier", "test_nll"),
    *("test_osr_accuracy", "test_osr_precision", "test_osr_recall", "test_osr_f1"),
    *("test_auroc", "test_aupr_in", "test_aupr_out", "test_fpr95", "test_oos_recall"),
    *("test_accepted_accuracy", "test_accuracy_ci_low", "test_accuracy_ci_high"),
    *("test_f1_weighted_ci_low", "test_f1_weighted_ci_high", "unk_share"),
    *("train_samples_per_second", "train_seconds", "model_bytes", "parameters", "best_val_f1_weighted"),
    *(
        f"test_{name}_of_{kind}"
        for name in ("auroc", "oos_recall")
        for kind in ("given", "far", "gaussian_embeddings")
    ),
    *(f"test_{name}_by_{score}" for name in ("auroc", "fpr95") for score in SCORES),
}


@pytest.fixture
def run(logged: Logged, in_store: str) -> Run:
    """The session's finished run, as the store has it."""
    assert in_store == logged.uri
    return MlflowClient().get_run(logged.run_id)


def pre_logged(settings: Mapping[str, str]) -> str:
    """A run as `mlflow run` hands it over: every parameter logged as the shell would be given it."""
    texts = {p.name: str(p.default) for p in commands.entry_point_parameters("train_bert")}
    texts |= settings
    client = MlflowClient()
    run = client.create_run("0")
    for name, text in texts.items():
        client.log_param(run.info.run_id, name, shlex.quote(text))
    return run.info.run_id


def test_a_run_logs_every_parameter_defaults_included_as_it_took_effect(run: Run, logged: Logged):
    declared = {p.name for p in commands.entry_point_parameters("train_bert")}
    assert set(run.data.params) == declared
    effective = logged.config.as_parameters()
    assert run.data.params == {name: str(value) for name, value in effective.items()}
    assert float(run.data.params["learning_rate"]) == 5e-4
    assert run.data.params["patience"] == "10"  # nobody typed this one


@pytest.mark.usefixtures("logged")
def test_a_logged_models_own_code_is_not_what_later_processes_take():
    assert [folder for folder in sys.path if Path(folder).name == "code"] == []


def test_a_run_that_went_well_is_finished_and_has_no_failure(run: Run):
    assert (run.info.status, FAILURE_TAG in run.data.tags) == ("FINISHED", False)
    assert (run.data.tags["family"], run.data.tags["encoder"]) == ("bert", "char")
    assert (run.data.tags["recipe"], run.data.tags["selected_on"]) == ("default", "validation")
    assert (run.info.run_name, run.data.tags[runs.STAGE_TAG]) == ("train_bert rows", runs.DONE)


def test_the_end_of_a_training_says_where_to_look_how_to_try_and_last_how_to_publish(
    logged: Logged, in_store: str
):
    run = MlflowClient().get_run(logged.run_id)
    outcome = training_run.outcome(
        logged.run_id, model_of=logged.run_id, name="tiny", version=logged.version, verdict=logged.verdict
    )
    first, look, attempt, *last = str(outcome).splitlines()
    page = f"http://127.0.0.1:5000/#/experiments/0/runs/{logged.run_id}"
    assert first == f"run {logged.run_id}"
    assert look == (
        f"look: {run.info.artifact_uri}/report.html, or mlflow ui --backend-store-uri {in_store}, then {page}"
    )
    assert Path(run.info.artifact_uri, "report.html").is_file()
    assert attempt == "try: python -m intents.cli ask --model models:/tiny/1"
    assert last == logged.verdict.splitlines()
    assert last[-1] == "publish with: python -m registry.promote --name tiny --version 1"


def test_a_model_that_is_not_registered_is_tried_by_its_run(logged: Logged, in_store: str):
    outcome = training_run.outcome(logged.run_id, model_of=logged.run_id, name="", version="", verdict="none")
    assert in_store
    assert outcome.attempt == f"python -m intents.cli ask --model runs:/{logged.run_id}"


def test_a_page_of_the_default_store_needs_no_flag_and_a_servers_no_command(
    logged: Logged, in_store: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(Path(stores.database_file(in_store)).parent)
    assert stores.page(logged.run_id).startswith("mlflow ui, then http://127.0.0.1:5000/#/")
    run = MlflowClient().get_run(logged.run_id)
    monkeypatch.setattr(mlflow, "get_run", lambda _: run)
    mlflow.set_tracking_uri("http://me:s3cret@host:5000/")
    assert stores.page(logged.run_id) == f"http://me:***@host:5000/#/experiments/0/runs/{logged.run_id}"


def test_a_corpus_of_many_files_is_logged_under_a_name_that_mlflow_takes(
    in_store: str, tiny_settings: dict[str, str], tmp_path: Path
):
    rows = Path(tiny_settings["data"], "tiny.jsonl").read_text(encoding="utf-8").splitlines()
    files = [tmp_path / f"customer_service_intent_number_{number:03}.jsonl" for number in range(20)]
    for number, file in enumerate(files):
        file.write_text("\n".join(rows[number::20]), encoding="utf-8")
    data = ",".join(map(str, files))
    ended = run_tracked(in_store, tiny_settings | {"data": data, "epochs": "1", "register": ""})
    run = MlflowClient().get_run(ended.run_id)
    assert run.info.run_name == "train_bert customer_service_intent_number_000.jsonl and 19 more"
    names = {entry.dataset.name for entry in run.inputs.dataset_inputs} | {run.data.tags["dataset"]}
    assert len(names) == 1
    assert len(names.pop()) <= 250
    assert run.data.params["data"] == data


def test_what_is_shortened_is_told_from_all_that_begins_like_it():
    one, other = (declaration.shortened("a" * 300 + end, 250) for end in "xy")
    assert one != other
    assert (len(one), len(other)) == (250, 250)
    assert declaration.shortened("a" * 250, 250) == "a" * 250


@pytest.mark.parametrize("name", ["train_loss", "val_accuracy", "val_f1_weighted", "val_f1_macro", "val_nll"])
def test_each_epoch_has_its_metrics_at_its_own_step(name: str, run: Run):
    history = MlflowClient().get_metric_history(run.info.run_id, name)
    assert [metric.step for metric in history] == [1, 2]


def test_the_loss_of_one_step_in_fifty_is_logged_at_its_step(run: Run):
    history = MlflowClient().get_metric_history(run.info.run_id, "loss")
    assert [metric.step for metric in history] == [0]  # a run of fewer than 50 steps
    assert history[0].value > 0


def test_the_final_metrics_have_the_agreed_names_and_belong_to_the_model_too(run: Run, logged: Logged):
    assert set(run.data.metrics) >= FINAL_METRICS
    version = MlflowClient().get_model_version("tiny", logged.version)
    model = mlflow.get_logged_model(version.source.removeprefix("models:/"))
    assert {metric.key for metric in model.metrics} >= FINAL_METRICS


def test_an_interval_holds_its_figure(run: Run):
    for name in ("test_accuracy", "test_f1_weighted", "test_f1_macro"):
        low, high = run.data.metrics[f"{name}_ci_low"], run.data.metrics[f"{name}_ci_high"]
        assert 0 <= low <= run.data.metrics[name] <= high <= 1
        assert low < high


def test_each_part_is_a_dataset_of_the_run_with_a_digest_of_its_own(run: Run):
    inputs = {entry.tags[0].value: entry.dataset for entry in run.inputs.dataset_inputs}
    assert set(inputs) == {"train", "validation", "test"}
    assert len({dataset.digest for dataset in inputs.values()}) == 3
    rows = {context: json.loads(dataset.profile)["num_rows"] for context, dataset in inputs.items()}
    assert sum(rows.values()) == 128


def test_the_run_keeps_the_report_the_data_and_what_it_ran_on(run: Run, tmp_path: Path):
    root = Path(download_artifacts(run_id=run.info.run_id, dst_path=str(tmp_path)))
    found = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert found >= {
        "data/cleaning_ledger.csv",
        "data/training_dataset_snapshot.parquet",
        "data/clean_wechat_intents.parquet",
        "data/summary.json",
        "predictions.parquet",
        "environment.json",
        "report/confusion_matrix.png",
        "report/hardest_samples.csv",
        "report/energies.png",
        "report/reliability.png",
        "report/open_set_kinds.csv",
        "report/open_set_scores.csv",
        "report/classification_report.csv",
        "report/evaluation_metrics.json",
    }
    summary = json.loads((root / "data/summary.json").read_text("utf-8"))
    # 8 blacklisted and 3 rare rows of 139; both become out-of-scope beside the 48 of the noise file
    assert (summary["rows_read"], summary["rows_kept"], sum(summary["dropped"].values())) == (139, 128, 11)
    assert sum(summary["out_of_scope"].values()) == 48 + 11
    page = html.unescape((root / REPORT).read_text("utf-8"))
    blacklisted, rare = summary["notes"][:2]
    assert ("on the blacklist" in blacklisted, "fewer than 20 rows" in rare) == (True, True)
    assert (blacklisted in page, rare in page) == (True, True)


def test_the_model_is_registered_and_the_run_says_how_to_publish_it(logged: Logged, in_store: str):
    version = MlflowClient().get_model_version("tiny", "1")
    assert (logged.version, version.run_id, in_store) == ("1", logged.run_id, logged.uri)
    assert "python -m registry.promote --name tiny --version 1" in logged.verdict


def test_a_finished_run_leaves_nothing_in_the_workspace_but_the_cleaned_corpus(logged: Logged):
    workspace = Path(logged.config.data.workspace)
    assert list((workspace / "clean").iterdir()) != []
    assert not (workspace / "runs" / logged.run_id).exists()


@pytest.fixture(scope="module")
def continued(store: str, tiny_settings: dict[str, str]) -> tuple[str, Logged]:
    """A run that `mlflow run` began: its id, and what became of it. Register nothing."""
    mlflow.set_tracking_uri(store)
    settings = tiny_settings | {"epochs": "1", "learning_rate": "5e-05", "register": "", "noise": ""}
    run_id = pre_logged(settings)
    assert MlflowClient().get_run(run_id).data.params["noise"] == "''"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_RUN_ID", run_id)
        return run_id, run_tracked(store, settings)


def test_a_run_that_mlflow_run_began_is_continued_not_nested(continued: tuple[str, Logged], in_store: str):
    begun, outcome = continued
    assert outcome.run_id == begun
    run = MlflowClient().get_run(begun)
    assert (run.info.status, in_store) == ("FINISHED", outcome.uri)
    assert run.data.params["learning_rate"] == "5e-05"
    assert run.data.metrics["test_accuracy"] >= 0
    assert children(begun) == []


def test_a_model_nobody_asked_to_register_is_logged_but_not_registered(continued: tuple[str, Logged]):
    _, outcome = continued
    assert outcome.version == ""
    assert "not registered" in outcome.verdict


def children(run_id: str) -> list[Run]:
    return MlflowClient().search_runs(["0"], f"tags.`mlflow.parentRunId` = '{run_id}'")


def test_where_the_recipe_changes_logged_defaults_a_nested_run_holds_the_true_values(
    in_store: str, tiny_settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    begun = pre_logged(tiny_settings | {"recipe": "notebook", "register": ""})
    monkeypatch.setenv("MLFLOW_RUN_ID", begun)
    outcome = run_tracked(in_store, tiny_settings | {"recipe": "notebook", "register": ""})
    (child,) = children(begun)
    assert child.info.run_id == outcome.run_id
    parent = MlflowClient().get_run(begun)
    assert (parent.data.params["label_smoothing"], child.data.params["label_smoothing"]) == ("0.1", "0.0")
    assert child.data.params == {n: str(v) for n, v in outcome.config.as_parameters().items()}
    assert (child.data.tags["recipe"], child.data.tags["selected_on"]) == ("notebook", "test")
    assert (parent.info.status, child.info.status) == ("FINISHED", "FINISHED")
    assert child.data.metrics["test_accuracy"] >= 0


def test_what_the_environment_record_says_names_the_packages_that_decide_a_result():
    packages = environment()["packages"]
    assert {"torch", "transformers", "mlflow", "scikit-learn"} <= set(packages)
    assert all(packages.values())
