"""The gate: what is refused beside what is published, what passes, what is recorded. Tiny real models."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from intents.comparison import paired
from intents.comparison.sides import Latency, Side
from intents.entry_points import PromoteConfig
from registry import gate, record
from registry.store import Store
from tests.conftest import Logged
from tests.registry.conftest import Promote

INTENTS = ("a", "b", "c")
ROWS, OUT_OF_SCOPE_ROWS = 3000, 600


def answers(
    seed: int, *, accuracy: float = 0.95, energy_gap: float = 6.0, overconfidence: float = 0.0
) -> pd.DataFrame:
    """Simulated predictions of the same rows: so accurate, so well calibrated, so good at refusing."""
    rows = np.random.default_rng(0)
    labels = rows.choice(INTENTS, size=ROWS)
    generator = np.random.default_rng(seed)
    is_right = generator.random(ROWS) < accuracy
    others = np.array([INTENTS[(INTENTS.index(label) + 1) % 3] for label in labels])
    energies = generator.normal(0.0, 1.0, ROWS)
    out_energies = generator.normal(energy_gap, 1.0, OUT_OF_SCOPE_ROWS)
    confidence = np.full(ROWS, min(1.0, accuracy + overconfidence))
    return pd.DataFrame(
        {
            "text": [f"utterance {i}" for i in range(ROWS + OUT_OF_SCOPE_ROWS)],
            "true_intent": [*labels, *[""] * OUT_OF_SCOPE_ROWS],
            "pred_intent": [*np.where(is_right, labels, others), *["a"] * OUT_OF_SCOPE_ROWS],
            "confidence": [*confidence, *[0.5] * OUT_OF_SCOPE_ROWS],
            "energy": [*energies, *out_energies],
            "kind": [*[""] * ROWS, *["other"] * OUT_OF_SCOPE_ROWS],
        }
    )


def compared(candidate: pd.DataFrame, *, latency: float = 1.0) -> paired.Comparison:
    sides = [
        Side("published", INTENTS, answers(1), latency=Latency(1.0, 2.0)),
        Side("candidate", INTENTS, candidate, latency=Latency(latency, 2.0)),
    ]
    return paired.compare(*sides, resamples=500)


def test_an_equal_model_of_another_seed_passes():
    assert gate.failures(compared(answers(2)), PromoteConfig()) == []


@pytest.mark.parametrize(
    ("candidate", "latency", "reason"),
    [
        (answers(2, accuracy=0.93), 1.0, "weighted F1 may have changed by"),
        (answers(2, energy_gap=1.5), 1.0, "AUROC may have changed by"),
        (answers(2, overconfidence=0.04), 1.0, "the calibration error has changed by"),
        (answers(2), 1.51, "takes 1.51 times as long, tolerated are 1.50"),
    ],
    ids=["less accurate", "worse at refusing", "overconfident", "slow"],
)
def test_a_worse_model_is_refused_for_what_is_worse(candidate: pd.DataFrame, latency: float, reason: str):
    reasons = gate.failures(compared(candidate, latency=latency), PromoteConfig())
    assert any(reason in line for line in reasons), reasons


def test_an_intent_that_got_worse_is_named_though_the_whole_did_not():
    candidate = answers(1)
    of_a = candidate.index[candidate["true_intent"] == "a"][:60]
    wrong = candidate.index[(candidate["true_intent"] == "b") & (candidate["pred_intent"] != "b")]
    candidate.loc[of_a, "pred_intent"] = "b"
    candidate.loc[wrong, "pred_intent"] = "b"
    reasons = gate.failures(compared(candidate), PromoteConfig(min_f1_change=-0.5))
    (line,) = [line for line in reasons if "intent(s) got worse by more than chance" in line]
    assert "a (F1" in line


def test_what_is_tolerated_can_be_named():
    slow = compared(answers(2), latency=1.51)
    assert gate.failures(slow, PromoteConfig(max_latency_ratio=2.0)) == []
    worse = compared(answers(2, accuracy=0.93))
    tolerant = PromoteConfig(min_f1_change=-0.1)
    assert not any("weighted F1" in line for line in gate.failures(worse, tolerant))


@pytest.fixture
def gated(run: Promote) -> Promote:
    return dataclasses.replace(run, gate=gate.gate)


def evidence(target: Path) -> dict[str, Any]:
    return dict(record.read(Store(target).live()).evidence["gate"])


def test_the_first_publication_is_compared_with_nothing(gated: Promote):
    code, said = gated("--version", "1")
    assert code == 0, said
    assert evidence(gated.target)["gate"] == gate.NOT_COMPARED


def test_the_same_model_again_passes_and_what_was_found_is_in_its_run(
    gated: Promote, versions: tuple[Logged, Logged], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(gate, "_metrics", lambda _: {})  # a linear model learns the tiny corpus whole
    one = versions[0]
    assert gated("--version", "1")[0] == 0
    again = mlflow.register_model(source_of(one), one.config.run.register)
    try:
        code, said = gated("--version", str(again.version))
        assert code == 0, said
        found = evidence(gated.target)
        assert (found["gate"], found["reasons"]) == (gate.PASSED, [])
        run = MlflowClient().get_run(one.run_id)
        assert run.data.tags["gate"] == gate.PASSED
        files = {file.path for file in MlflowClient().list_artifacts(one.run_id, gate.FILES)}
        assert files == {f"gate/{name}" for name in ("verdict.json", "comparison.html", "comparison.json")}
        assert Store(gated.target).history()[-1]["gate"] == gate.PASSED
    finally:
        MlflowClient().delete_model_version(one.config.run.register, again.version)


def test_a_worse_version_is_refused_with_the_reasons_and_forced_with_a_reason(
    gated: Promote, versions: tuple[Logged, Logged]
):
    assert gated("--version", "1")[0] == 0
    live = gated.target.resolve()
    strict = ["--min_f1_change", "0.9", "--max_latency_ratio", "100"]
    code, said = gated("--version", "2", *strict)
    assert code == 2
    assert "refused because" in said
    assert "weighted F1 may have changed by" in said
    assert "does not beat TF-IDF" in said
    assert '--force "<reason>"' in said
    assert gated.target.resolve() == live
    assert str(MlflowClient().get_model_version_by_alias("shop", "Production").version) == "1"
    assert MlflowClient().get_run(versions[1].run_id).data.tags["gate"] == gate.REFUSED
    code, said = gated("--version", "2", *strict, "--force", "a test")
    assert code == 0, said
    assert "forced (a test) though: weighted F1" in said
    assert evidence(gated.target)["forced"] == "a test"
    entry = Store(gated.target).history()[-1]
    assert (entry["gate"], entry["forced"]) == (gate.FORCED, "a test")


def test_rows_that_what_is_published_was_trained_on_are_left_out(
    gated: Promote, monkeypatch: pytest.MonkeyPatch
):
    assert gated("--version", "1")[0] == 0
    seen: list[paired.Comparison] = []
    compare: Callable[..., paired.Comparison] = paired.compare

    def remembered(*sides: Side, **arguments: Any) -> paired.Comparison:
        sides[0].is_seen_B[:5] = True
        seen.append(compare(*sides, **arguments))
        return seen[-1]

    monkeypatch.setattr(paired, "compare", remembered)
    gated("--version", "2", "--force", "a test")
    assert seen[0].left_out.seen == 5
    assert seen[0].left_out.silent == ()


def test_a_model_that_does_not_beat_the_linear_one_is_refused():
    metrics = {"test_f1_weighted": 0.80, "baseline_f1_weighted": 0.81}
    assert "does not beat TF-IDF" in gate._baseline_failures(metrics)[0]
    assert gate._baseline_failures({**metrics, "test_f1_weighted": 0.82}) == []
    assert gate._baseline_failures({"test_f1_weighted": 0.5}) == []


def source_of(made: Logged) -> str:
    version = MlflowClient().get_model_version(made.config.run.register, made.version)
    return str(version.source)


def test_the_verdict_is_json(gated: Promote):
    gated("--version", "1")
    assert json.loads((gated.target / "promotion.json").read_text())["evidence"]["gate"]


def test_a_dry_run_is_judged_as_a_publication_would_be_and_writes_to_no_run(
    gated: Promote, versions: tuple[Logged, Logged]
):
    assert gated("--version", "1")[0] == 0
    strict = ("--min_f1_change", "0.9", "--max_latency_ratio", "100")
    before = [MlflowClient().get_run(made.run_id).data.tags for made in versions], gated.kept
    code, said = gated("--dry-run", "--version", "2", *strict)
    assert code == 2
    assert said.startswith("error: shop version 2 is refused: the gate compared it with what is published")
    code, said = gated("--dry-run", "--version", "2", *strict, "--force", "a test")
    assert code == 0
    assert said.startswith("would publish shop version 2 (")
    assert "the gate says 'forced'" in said
    assert "forced (a test) though: weighted F1" in said
    assert ([MlflowClient().get_run(made.run_id).data.tags for made in versions], gated.kept) == before
