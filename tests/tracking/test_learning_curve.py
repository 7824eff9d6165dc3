"""A learning curve: what is trained on which rows, what is logged of it, and what is said of more rows."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from mlflow.artifacts import download_artifacts
from mlflow.tracking import MlflowClient
from PIL import Image

from intents.data import corpus as corpora
from intents.data.leave_out import leave_rows_out
from intents.evaluation import baseline
from intents.parameters.data import DataConfig
from intents.parameters.training import train as declarations
from intents.parameters.training.learning_curve import LearningCurveConfig
from intents.tracking.learning_curve import LearningCurveOutcome, learning_curve, what_rows_brought
from tests.tracking.conftest import TINY, children, run_of

COUNTED = ["train_rows", "validation_rows", "rows_per_intent"]
OF_BASELINE = ["baseline_accuracy", "baseline_f1_weighted"]
MEASURED = ["accuracy", "f1_weighted", "f1_macro", "ece", "auroc", "fpr95", *OF_BASELINE]
OVERRIDES = ",".join(f"{name}={value}" for name, value in TINY.items())


@dataclass(frozen=True)
class Studied:
    """A learning curve of two shares with two seeds each."""

    outcome: LearningCurveOutcome
    said: tuple[str, ...]

    def artifact(self, name: str, folder: Path) -> str:
        return str(download_artifacts(run_id=self.outcome.run_id, artifact_path=name, dst_path=str(folder)))


@pytest.fixture(scope="module")
def data(cnn_settings: dict[str, str]) -> DataConfig:
    return declarations.train_config("textcnn", cnn_settings).data


@pytest.fixture(scope="module")
def studied(store: str, data: DataConfig) -> Studied:
    study = LearningCurveConfig(shares="0.25,1", seeds=2, hyperparams=OVERRIDES)
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", store)
        return Studied(learning_curve(data, study, say=said.append), tuple(said))


def test_each_share_and_seed_is_a_nested_run_and_none_is_registered(studied: Studied, in_store: str):
    assert in_store
    nested = children(studied.outcome.run_id)
    drawn = [(child.data.params["share"], child.data.params["seed"]) for child in nested]
    assert drawn == [("0.25", "0"), ("0.25", "1"), ("1.0", "0"), ("1.0", "1")]
    assert [run.info.status for run in (run_of(studied.outcome.run_id), *nested)] == ["FINISHED"] * 5
    assert [line.split(": accuracy")[0] for line in studied.said[1:]] == [
        f"{share}% of the rows, seed {seed}" for share in (25, 100) for seed in (0, 1)
    ]
    for child in nested:
        assert child.data.params["channels"] == "4"
        assert child.data.metrics.keys() >= {*COUNTED, *MEASURED, "train_loss", "val_f1_weighted"}
    ids = {child.info.run_id for child in nested}
    assert ids.isdisjoint(version.run_id for version in MlflowClient().search_model_versions())


def test_the_table_has_the_rows_and_the_metrics_of_each_training(
    studied: Studied, in_store: str, tmp_path: Path
):
    assert in_store
    table = pd.read_csv(studied.artifact("learning_curve.csv", tmp_path))
    assert list(table) == ["share", "seed", *COUNTED, *MEASURED]
    for row, child in zip(table.to_dict("records"), children(studied.outcome.run_id), strict=True):
        params = child.data.params
        assert (row["share"], row["seed"]) == (float(params["share"]), int(params["seed"]))
        for name in (*COUNTED, *MEASURED):
            assert row[name] == pytest.approx(child.data.metrics[name]), name


def test_a_share_is_of_the_training_and_validation_rows_and_the_baseline_sees_the_same(
    studied: Studied, data: DataConfig
):
    corpus = corpora.load(data)
    for row in studied.outcome.table.to_dict("records"):
        part = leave_rows_out(corpus, share=row["share"], seed=int(row["seed"]))
        assert row["train_rows"] == len(part.part("train"))
        assert row["validation_rows"] == len(part.part("validation"))
        assert row["rows_per_intent"] == statistics.median(part.part("train")["label"].value_counts())
        measured = baseline.measure(part)
        assert {name: row[name] for name in OF_BASELINE} == pytest.approx(measured)
    quarter, whole = (drawn["train_rows"].mean() for _, drawn in studied.outcome.table.groupby("share"))
    assert quarter / whole == pytest.approx(0.25, abs=0.03)


def test_the_run_holds_the_mean_and_the_standard_deviation_of_each_share(studied: Studied, in_store: str):
    assert in_store
    run = run_of(studied.outcome.run_id)
    nested = children(studied.outcome.run_id)
    expected = {}
    for share, drawn in (("25", nested[:2]), ("100", nested[2:])):
        for name in (*COUNTED, *MEASURED):
            values = [child.data.metrics[name] for child in drawn]
            expected[f"{name}_{share}_percent"] = statistics.mean(values)
            expected[f"{name}_std_{share}_percent"] = statistics.stdev(values)
    assert run.data.metrics == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert (run.data.params["shares"], run.data.params["family"]) == ("0.25,1", "textcnn")
    assert run.info.run_name == "learning_curve rows"


def test_the_picture_is_among_the_runs_files(studied: Studied, in_store: str, tmp_path: Path):
    assert in_store
    with Image.open(studied.artifact("learning_curve.png", tmp_path)) as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 400


def test_what_is_said_is_a_line_a_share_and_what_more_rows_brought(studied: Studied):
    lines = str(studied.outcome).splitlines()
    assert lines[0] == f"run {studied.outcome.run_id}"
    means = studied.outcome.table.groupby("share").mean()
    for line, share in zip(lines[1:3], (0.25, 1.0), strict=True):
        assert line.startswith(
            f"{share * 100:g}% of the rows, {means.loc[share, 'rows_per_intent']:g} an intent, 2 seed"
        )
        for name in ("accuracy", "f1_weighted", "auroc", "baseline_accuracy"):
            assert f" {means.loc[share, name]:.4f} ± " in line
    assert lines[3:] == [what_rows_brought(studied.outcome.table)]


def test_without_out_of_scope_rows_none_are_measured(in_store: str, data: DataConfig, tmp_path: Path):
    assert in_store
    rows = [
        row for row in (Path(data.data) / "tiny.jsonl").read_text("utf-8").splitlines() if "投诉" not in row
    ]
    (tmp_path / "alone.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    alone = DataConfig(
        data=str(tmp_path / "alone.jsonl"), blacklist="none", workspace=data.workspace, min_per_intent=5
    )
    outcome = learning_curve(
        alone, LearningCurveConfig(shares="0.5", seeds=1, hyperparams=OVERRIDES), say=lambda _: None
    )
    assert list(outcome.table) == [
        "share",
        "seed",
        *COUNTED,
        *(n for n in MEASURED if n not in ("auroc", "fpr95")),
    ]
    assert "AUROC" not in str(outcome)
    assert "nan" not in str(outcome)


def table(
    accuracies: Mapping[float, Sequence[float]],
    rows: Mapping[float, float],
    *,
    train: Mapping[float, int] | None = None,
) -> pd.DataFrame:
    """A row a training, the seeds of the largest share in reverse order."""
    found = [
        {
            "share": share,
            "seed": seed,
            "train_rows": (train or {}).get(share, 10 * rows[share]),
            "rows_per_intent": rows[share],
            "accuracy": value,
        }
        for share, values in accuracies.items()
        for seed, value in sorted(enumerate(values), reverse=share == max(accuracies))
    ]
    return pd.DataFrame(found)


HALVES = {0.25: 9, 0.5: 18, 1.0: 36}


@pytest.mark.parametrize(
    ("drawn", "said"),
    [
        (
            # Gains of 4, 6 and 8 points: 6 ± 4.303 * 2 / sqrt(3).
            table({0.25: [0.1] * 3, 0.5: [0.70, 0.71, 0.72], 1.0: [0.74, 0.77, 0.80]}, HALVES),
            "from 18 to 36 rows an intent accuracy rose by 6.0 points [1.0, 11.0]; expect less from the next doubling",
        ),
        (
            table({1.0: [0.74, 0.77, 0.80], 0.8: [0.70, 0.71, 0.72]}, {0.8: 20, 1.0: 25}),
            "from 20 to 25 rows an intent accuracy rose by 6.0 points [1.0, 11.0]; "
            "expect less from 1.25 times as many again",
        ),
        (
            table({0.5: [0.74, 0.77, 0.80], 1.0: [0.70, 0.71, 0.72]}, HALVES),
            "from 18 to 36 rows an intent accuracy fell by 6.0 points [1.0, 11.0]; "
            "the rows that were added did harm: check_data names the doubtful ones",
        ),
        (
            # Gains of 0, 2 and 4 points: 2 ± 4.97.
            table({0.5: [0.70, 0.70, 0.70], 1.0: [0.70, 0.72, 0.74]}, {0.5: 2.5, 1.0: 5}),
            "from 2.5 to 5 rows an intent accuracy changed by +2.0 points [-3.0, 7.0]; "
            "these 3 seeds can't tell whether more rows help: pass more seeds, or shares further apart",
        ),
        (
            # Gains of 3, 5 and 7 points: 5 ± 4.97, of which 0.03 is written as 0.0.
            table({0.5: [0.70, 0.71, 0.72], 1.0: [0.73, 0.76, 0.79]}, HALVES),
            "from 18 to 36 rows an intent accuracy changed by +5.0 points [0.0, 10.0]; "
            "these 3 seeds can't tell whether more rows help: pass more seeds, or shares further apart",
        ),
        (
            table({0.5: [0.70, 0.71], 1.0: [0.70, 0.71]}, HALVES),
            "from 18 to 36 rows an intent accuracy changed by +0.0 points [0.0, 0.0]; "
            "these 2 seeds can't tell whether more rows help: pass more seeds, or shares further apart",
        ),
        (
            table({0.5: [0.71], 1.0: [0.70]}, HALVES),
            "from 18 to 36 rows an intent accuracy changed by -1.0 points; "
            "one seed can't tell whether more rows help: pass seeds=3 or more",
        ),
        (
            table({0.5: [0.71], 1.0: [0.70]}, {0.5: 1, 1.0: 1}, train={0.5: 1000, 1.0: 1100}),
            "from 1,000 to 1,100 training rows accuracy changed by -1.0 points; "
            "one seed can't tell whether more rows help: pass seeds=3 or more",
        ),
        (
            table({0.5: [0.71, 0.8, 0.9]}, HALVES),
            "one share can't tell what more rows bring: pass two or more, such as shares=0.5,1",
        ),
    ],
    ids=[
        "doubled",
        "a quarter more",
        "worse",
        "can't tell",
        "barely",
        "nothing",
        "one seed",
        "equal medians",
        "one share",
    ],
)
def test_what_the_last_step_brought_is_said_with_its_doubt(drawn: pd.DataFrame, said: str):
    assert what_rows_brought(drawn) == said
