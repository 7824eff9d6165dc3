"""The gate: what is refused beside what is published, what passes, what is recorded. Tiny real models."""

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from intents.errors import ArtifactError
from intents.evaluation.comparison import paired
from intents.evaluation.comparison.sides import Side
from intents.models import directory
from intents.models.file_names import MAPPING
from intents.tracking import versions as registering
from registry import record
from registry.checks import gate
from registry.target import Target
from tests.conftest import Logged, run_tracked
from tests.registry.conftest import Promote, stored

UNCLEAR = ("--accept", "unclear")
"""The tiny corpus has fewer than a hundred test rows: nothing can be told from so few."""


@pytest.fixture
def gated(run: Promote, versions: tuple[Logged, Logged]) -> Promote:
    """The command with its real gate. A linear model learns the tiny corpus whole: its figure is taken away."""
    for made in versions:
        MlflowClient().log_metric(made.run_id, "baseline_f1_weighted", 0.0)
    return dataclasses.replace(run, gate=gate.gate)


def evidence(target: Path) -> dict[str, Any]:
    return dict(record.read(Target(target).live()).evidence["gate"])


def test_the_first_publication_is_compared_with_nothing(gated: Promote):
    code, said = gated("--version", "1")
    assert code == 0, said
    assert evidence(gated.target)["gate"] == gate.NOT_COMPARED


def test_an_equal_model_is_not_told_from_few_rows_and_passes_where_that_is_accepted(
    gated: Promote, versions: tuple[Logged, Logged]
):
    one = versions[0]
    assert gated("--version", "1")[0] == 0
    again = str(mlflow.register_model(source_of(one), one.config.run.register).version)
    try:
        code, said = gated("--version", again)
        assert code == 2
        assert re.search(r"- \d\d rows can't tell: at least 100 ", said)
        assert "add --accept unclear" in said
        assert "folds=5" in said
        code, said = gated("--version", again, *UNCLEAR)
        assert code == 0, said
        found = evidence(gated.target)
        assert (found["gate"], found["accepted"]) == (gate.ACCEPTED, ["unclear"])
        run = MlflowClient().get_run(one.run_id)
        assert run.data.tags["gate"] == gate.ACCEPTED
        files = {file.path for file in MlflowClient().list_artifacts(one.run_id, gate.FILES)}
        assert files == {f"gate/{name}" for name in ("verdict.json", "comparison.html", "comparison.json")}
        told = Target(gated.target).history()[-1]
        assert (told["gate"], told["accepted"]) == (gate.ACCEPTED, ["unclear"])
        assert told["reasons"] == found["reasons"]
        *_, line, reason = gated("--history")[1].splitlines()
        assert line.endswith("; accepted: unclear")
        assert re.match(r"  - \d\d rows can't tell: at least 100 ", reason)
    finally:
        MlflowClient().delete_model_version(one.config.run.register, again)


def test_a_worse_version_is_refused_with_the_reasons_and_forced_with_a_reason(
    gated: Promote, versions: tuple[Logged, Logged]
):
    assert gated("--version", "1")[0] == 0
    live = gated.target.resolve()
    strict = ["--max_latency_ratio", "0.001", *UNCLEAR]
    code, said = gated("--version", "2", *strict)
    assert code == 2
    assert "refused because" in said
    assert "times as long, tolerated are 0.00" in said
    assert '--force "<reason>"' in said
    assert gated.target.resolve() == live
    assert str(MlflowClient().get_model_version_by_alias("shop", "Production").version) == "1"
    assert MlflowClient().get_run(versions[1].run_id).data.tags["gate"] == gate.REFUSED
    code, said = gated("--version", "2", *strict, "--force", "a test")
    assert code == 0, said
    assert "forced (a test) though: " in said
    assert evidence(gated.target)["forced"] == "a test"
    entry = Target(gated.target).history()[-1]
    assert (entry["gate"], entry["forced"]) == (gate.FORCED, "a test")


def test_the_end_of_a_training_says_what_the_gate_says(gated: Promote):
    """One judgement, one wording: the reasons that training prints are those that the gate refuses for."""
    assert gated("--version", "1")[0] == 0
    printed = registering.verdict("shop", "2").splitlines()
    code, said = gated("--version", "2", "--max_latency_ratio", "1000")
    assert code == 2
    advised = next(line for line in printed if line.startswith("publish with: "))
    assert "--accept unclear" in advised
    reasons = [line for line in printed if line.startswith("  - ") and "times as long" not in line]
    assert reasons
    for line in reasons:
        assert line in said.splitlines()
    words = advised.removeprefix("publish with: python -m registry.promote ").split()
    code, said = gated(*words, "--max_latency_ratio", "1000")
    assert code == 0, said


def test_intents_that_would_be_lost_are_named_and_asked_about(
    gated: Promote, monkeypatch: pytest.MonkeyPatch
):
    assert gated("--version", "1")[0] == 0
    read: Callable[[Path], tuple[str, ...]] = directory.read_intents
    live = gated.target.resolve()
    monkeypatch.setattr(
        directory, "read_intents", lambda folder: (*read(folder), "退款") if folder == live else read(folder)
    )
    code, said = gated("--version", "2", *UNCLEAR, "--max_latency_ratio", "1000")
    assert code == 2
    assert "退款" in said
    assert "--accept unclear,lost_intents" in said
    assert gated.target.resolve() == live
    code, said = gated("--version", "2", "--accept", "unclear,lost_intents", "--max_latency_ratio", "1000")
    assert code == 0, said
    assert "lost_intents" in evidence(gated.target)["accepted"]


def test_a_model_of_other_intents_is_told_to_be_another_and_no_command_publishes_it_ready_made(
    gated: Promote, in_store: str, tiny_settings: dict[str, str], write: Callable[..., Path]
):
    assert gated("--version", "1")[0] == 0
    rows = [
        {"text": f"{word}{n}", "label": label}
        for label in ("weather", "music")
        for word in label
        for n in range(9)
    ]
    settings = tiny_settings | {"data": str(write("other.jsonl", rows)), "register": "shop"}
    other = run_tracked(in_store, settings)
    try:
        *said, last = other.verdict.splitlines()
        assert last == "keep what is published"
        code, refusal = gated("--version", other.version)
        assert code == 2
        for words in ("\n".join(said), refusal):
            assert "register=<name>" in words
            assert "folds=5" not in words
            assert "cleaning_ledger" not in words
    finally:
        MlflowClient().delete_model_version("shop", other.version)


def test_another_registered_model_is_asked_about_by_its_name(gated: Promote, versions: tuple[Logged, Logged]):
    assert gated("--version", "1")[0] == 0
    mlflow.register_model(source_of(versions[1]), "mine")
    try:
        code, said = gated("--version", "1", *UNCLEAR, "--max_latency_ratio", "1000", name="mine")
        assert code == 2
        assert "'shop' is published there, this is 'mine'" in said
        assert "--accept unclear,other_model" in said
    finally:
        MlflowClient().delete_registered_model("mine")


def test_a_directory_of_another_hand_is_judged_by_its_intents(
    gated: Promote, versions: tuple[Logged, Logged]
):
    """The first version takes the place of a model that something else put there."""
    shutil.copytree(stored(versions[0]), gated.target)
    mapping = gated.target / MAPPING
    names = [*json.loads(mapping.read_text())["intent2id"], "退款"]
    mapping.write_text(json.dumps({"id2intent": {str(i): name for i, name in enumerate(names)}}))
    code, said = gated("--version", "1")
    assert code == 2
    assert "1 of the 5 intents" in said
    assert not gated.target.is_symlink()
    assert gated("--version", "1", "--accept", "lost_intents")[0] == 0
    assert evidence(gated.target)["accepted"] == ["lost_intents"]


def test_a_version_below_the_linear_model_is_asked_about(gated: Promote, versions: tuple[Logged, Logged]):
    assert gated("--version", "1")[0] == 0
    MlflowClient().log_metric(versions[1].run_id, "baseline_f1_weighted", 1.0)
    code, said = gated("--version", "2", *UNCLEAR, "--max_latency_ratio", "1000")
    assert code == 2
    assert "is below the linear baseline, TF-IDF and logistic regression (1.0000)" in said
    assert "add --accept unclear,below_baseline" in said
    assert "can't tell: weighted F1" in said


def test_a_damaged_version_is_not_called_as_good_and_what_it_is_still_counts(
    gated: Promote, versions: tuple[Logged, Logged]
):
    assert gated("--version", "1")[0] == 0
    (gated.target / "model.safetensors").chmod(0o644)
    (gated.target / "model.safetensors").write_bytes(b"damaged")
    mlflow.register_model(source_of(versions[1]), "mine")
    try:
        code, said = gated("--version", "1", name="mine")
        assert code == 2
        assert "'shop' is published there, this is 'mine'" in said
    finally:
        MlflowClient().delete_registered_model("mine")
    code, said = gated("--version", "2")
    assert code == 0, said
    assert "note: not compared: what is published is damaged" in said
    assert evidence(gated.target)["gate"] == gate.NOT_COMPARED


def test_a_live_model_that_cannot_be_loaded_is_a_reason_that_can_be_accepted(
    gated: Promote, monkeypatch: pytest.MonkeyPatch
):
    assert gated("--version", "1")[0] == 0
    load, live = directory.load, gated.target.resolve()

    def unloadable(folder: Path) -> directory.Artifact:
        if folder == live:
            raise ArtifactError("it is of another format_version.")
        return load(folder)

    monkeypatch.setattr(directory, "load", unloadable)
    code, said = gated("--version", "2")
    assert code == 2
    assert "it can't be compared: it is of another format_version." in said
    assert gated("--version", "2", *UNCLEAR)[0] == 0


def test_a_reason_to_force_that_was_not_needed_is_not_recorded_as_one(gated: Promote):
    assert gated("--version", "1")[0] == 0
    assert gated("--version", "2", *UNCLEAR, "--max_latency_ratio", "1000", "--force", "in case")[0] == 0
    assert evidence(gated.target)["forced"] is None
    assert "published though" not in gated("--history")[1]


def test_a_directory_without_readable_intents_is_told_not_passed_over(
    gated: Promote, versions: tuple[Logged, Logged]
):
    shutil.copytree(stored(versions[0]), gated.target)
    (gated.target / "intent_mapping.json").unlink()
    code, said = gated("--version", "1")
    assert code == 0, said
    assert "note: not compared: what is published is damaged, or not by this command" in said


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
    strict = ("--max_latency_ratio", "0.001")
    before = [MlflowClient().get_run(made.run_id).data.tags for made in versions], gated.kept
    code, said = gated("--dry-run", "--version", "2", *strict)
    assert code == 2
    assert said.startswith("error: shop version 2 is refused: the gate compared it with what is published")
    code, said = gated("--dry-run", "--version", "2", *strict, "--force", "a test")
    assert code == 0
    assert said.startswith("would publish shop version 2 (")
    assert "the gate says 'forced'" in said
    assert "forced (a test) though: an utterance takes" in said
    assert ([MlflowClient().get_run(made.run_id).data.tags for made in versions], gated.kept) == before
