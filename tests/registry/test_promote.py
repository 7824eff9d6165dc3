"""Publishing: the target holds one whole verified version at every moment, or the command says why not."""

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from transformers import AutoModelForSequenceClassification

from intents.errors import ArtifactError, PromotionError
from intents.models import directory as model_directory
from intents.models.file_names import PROMOTION, SANITY_PREDICTIONS, WEIGHTS
from intents.parameters.promote import PromoteConfig
from registry import disk, record, source, transaction
from registry.target import Target
from tests.conftest import Logged
from tests.registry.conftest import SHOP, Promote, logged_model, manifest, production, stored

ROOT = Path(__file__).parents[2]


@pytest.fixture
def damaged(versions: tuple[Logged, Logged]) -> Iterator[Path]:
    """Version 2 with one bit flipped in the store; mended afterwards."""
    weights = stored(versions[1]) / WEIGHTS
    before = weights.read_bytes()
    weights.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    yield weights
    weights.write_bytes(before)


def test_a_version_that_is_named_is_published_whole_and_marked(run: Promote, versions: tuple[Logged, Logged]):
    code, said = run("--version", "1")
    assert (code, production()) == (0, "1")
    assert said.startswith(f"published shop version 1 to {run.target} (run {versions[0].run_id})")
    assert AutoModelForSequenceClassification.from_pretrained(run.target).config.num_labels > 1
    assert manifest(run.target) == manifest(stored(versions[0]))


def test_what_was_published_is_a_model_directory_still(run: Promote):
    run("--version", "1")
    assert (run.target / PROMOTION).is_file()
    model_directory.verify(run.target)
    (run.target / "vocab.txt").touch()
    with pytest.raises(ArtifactError, match=r"vocab\.txt is not in the manifest"):
        model_directory.verify(run.target)


def test_the_record_that_publishing_writes_is_the_one_that_no_manifest_names():
    assert PROMOTION == PROMOTION


def test_the_target_is_a_link_that_still_holds_when_its_folder_is_moved(run: Promote, tmp_path: Path):
    run("--version", "1")
    assert run.target.is_symlink()
    assert run.kept == [run.target.resolve()]  # and nothing of the staging remains
    (tmp_path / "models").rename(tmp_path / "elsewhere")
    record.check((tmp_path / "elsewhere" / "intent_predictor").resolve())


def test_without_a_version_the_one_marked_production_is_published(
    run: Promote, versions: tuple[Logged, Logged]
):
    MlflowClient().set_registered_model_alias(SHOP, "Production", "2")
    code, said = run()
    assert (code, "version 2" in said) == (0, True)
    assert manifest(run.target) == manifest(stored(versions[1]))


def test_the_second_time_there_is_nothing_to_do(run: Promote):
    run("--version", "1")
    before, link = run.kept, run.target.readlink()
    code, said = run()
    assert (code, said) == (0, f"nothing to do: shop version 1 is live in {run.target}, intact\n")
    assert (run.kept, run.target.readlink()) == (before, link)


def test_the_version_before_is_kept_whole_and_named(run: Promote, versions: tuple[Logged, Logged]):
    run("--version", "1")
    before = run.target.resolve()
    code, said = run("--version", "2")
    assert (code, production()) == (0, "2")
    assert f"the version before it is kept in {before}" in said
    assert manifest(run.target) == manifest(stored(versions[1]))
    record.check(before)
    assert manifest(before) == manifest(stored(versions[0]))


def test_a_directory_that_was_there_before_this_command_is_moved_to_the_backups(
    run: Promote, versions: tuple[Logged, Logged]
):
    shutil.copytree(stored(versions[1]), run.target)
    code, said = run("--version", "1")
    assert (code, run.target.is_symlink()) == (0, True)
    (old,) = [folder for folder in run.kept if folder != run.target.resolve()]
    assert str(old) in said
    assert manifest(old) == manifest(stored(versions[1]))


def test_a_live_version_that_was_damaged_since_is_published_again(run: Promote):
    run("--version", "1")
    (run.target / SANITY_PREDICTIONS).chmod(0o644)
    (run.target / SANITY_PREDICTIONS).write_text("changed by hand")
    code, said = run()
    assert (code, said.startswith("published")) == (0, True)
    record.check(run.target.resolve())


def test_a_link_that_leads_nowhere_is_replaced_and_not_called_a_backup(run: Promote):
    run("--version", "1")
    shutil.rmtree(run.target.resolve())
    code, said = run()
    assert (code, "it is the first" in said) == (0, True)
    record.check(run.target.resolve())


def test_a_damaged_version_is_refused_and_the_live_one_and_the_alias_stay(
    run: Promote, versions: tuple[Logged, Logged], damaged: Path
):
    run("--version", "1")
    before = run.kept
    code, said = run("--version", "2")
    assert (code, production()) == (2, "1")
    assert "error: shop version 2 is refused" in said
    assert f"{damaged.name}: its sha256 is not the manifest's" in said
    assert manifest(run.target) == manifest(stored(versions[0]))
    record.check(run.target.resolve())
    assert run.kept == before


def test_a_version_whose_files_are_gone_is_refused(run: Promote, versions: tuple[Logged, Logged]):
    directory = stored(versions[1])
    directory.rename(directory.with_name("away"))
    try:
        code, said = run("--version", "2")
    finally:
        directory.with_name("away").rename(directory)
    assert (code, production(), run.target.exists()) == (2, None, False)
    assert said.startswith("error: shop version 2")
    assert run.kept == []


def test_a_file_at_the_target_is_refused_and_kept_and_nothing_is_marked(run: Promote):
    run.target.parent.mkdir()
    run.target.write_text("someone's notes")
    code, said = run("--version", "1")
    assert (code, production()) == (2, None)
    assert f"{run.target} is a file; expected a directory" in said
    assert run.target.read_text() == "someone's notes"


def test_a_model_that_is_not_registered_is_named_beside_those_that_are(run: Promote):
    code, said = run(name="shopp")
    assert code == 2
    assert "no registered model 'shopp'; there are [" in said
    assert "'shop'" in said
    assert not run.target.exists()


def test_a_version_that_does_not_exist_is_named_beside_those_that_do(run: Promote):
    assert run("--version", "99") == (2, "error: 'shop' has no version 99; its versions are [1, 2].\n")


def test_an_alias_in_other_letters_is_not_production_and_the_error_says_so(run: Promote):
    MlflowClient().set_registered_model_alias(SHOP, "production", "1")
    code, said = run()
    assert (code, run.target.exists()) == (2, False)
    assert "'shop' has no version with the alias 'Production'; its aliases are ['production']" in said
    assert "case matters" in said


@pytest.fixture
def registered(in_store: str) -> Iterator[Callable[[str, str | None], str]]:
    """Registers a version `1` of the model `odd`, with the source and run given."""

    def register(source: str, run_id: str | None) -> str:
        MlflowClient().create_registered_model("odd")
        return MlflowClient().create_model_version("odd", source, run_id=run_id).version

    yield register
    with contextlib.suppress(MlflowException):
        MlflowClient(in_store).delete_registered_model("odd")


def test_a_version_that_is_any_folder_on_the_disk_is_refused(
    run: Promote, registered: Callable[..., str], versions: tuple[Logged, Logged], tmp_path: Path
):
    shutil.copytree(stored(versions[0]), tmp_path / "folder" / "artifacts" / "model")
    version = registered(str(tmp_path / "folder"), None)
    code, said = run("--version", str(version), name="odd")
    assert (code, run.target.exists()) == (2, False)
    assert "names no logged model: it was not registered by a training run" in said


def test_a_version_that_claims_another_run_than_its_models_is_refused(
    run: Promote, registered: Callable[..., str], versions: tuple[Logged, Logged]
):
    version = registered(f"models:/{logged_model(versions[0]).model_id}", versions[1].run_id)
    code, said = run("--version", str(version), name="odd")
    assert (code, run.target.exists()) == (2, False)
    assert versions[0].run_id in said
    assert versions[1].run_id in said


def test_alias_and_stage_that_name_different_versions_are_refused_and_both_named(run: Promote):
    MlflowClient().set_registered_model_alias(SHOP, "Production", "2")
    in_stage("1", "Production")
    code, said = run()
    assert (code, run.target.exists()) == (2, False)
    assert "version 2 is what the alias 'Production' names" in said
    assert "version 1 is in the stage 'Production'" in said
    assert run("--version", "2")[0] == 2
    assert production() == "2"
    in_stage("1", "Archived")
    assert run()[0] == 0


def test_alias_and_stage_that_name_one_version_are_no_contradiction(run: Promote):
    in_stage("2", "Production")
    code, _ = run("--version", "2")
    in_stage("2", "None")
    assert (code, production()) == (0, "2")


def in_stage(version: str, stage: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        MlflowClient().transition_model_version_stage(SHOP, version, stage)


def test_a_version_made_again_under_the_same_number_is_not_taken_for_the_live_one(
    run: Promote, registered: Callable[..., str], versions: tuple[Logged, Logged]
):
    for made in versions:
        version = registered(f"models:/{logged_model(made).model_id}", made.run_id)
        code, said = run("--version", str(version), name="odd")
        assert (code, str(version), said.startswith("published")) == (0, "1", True)
        assert manifest(run.target) == manifest(stored(made))
        MlflowClient().delete_registered_model("odd")


def test_a_version_without_a_run_is_refused_even_if_its_model_has_none_either(
    run: Promote, registered: Callable[..., str]
):
    bare = mlflow.initialize_logged_model(name="bare")
    version = registered(f"models:/{bare.model_id}", None)
    code, said = run("--version", str(version), name="odd")
    assert (code, run.target.exists()) == (2, False)
    assert "says it comes from run None" in said


@pytest.mark.parametrize(
    ("source_uri", "model_id", "said"),
    [
        ("models:/m-1", "m-2", "has the model_id m-2 but the source m-1"),
        ("/tmp/anything", "m-1", "names no logged model"),
        ("models:/m-1/../m-2", None, "names no logged model"),
        (None, "m-1", "names no logged model"),
    ],
)
def test_a_version_whose_source_is_not_the_logged_model_it_names_is_refused(
    source_uri: str | None, model_id: str | None, said: str
):
    """A SQL store leaves model_id empty; a server need not."""
    found = ModelVersion("odd", "1", 0, source=source_uri, model_id=model_id)
    with pytest.raises(PromotionError, match=said):
        source._model_id(found)
    assert source._model_id(ModelVersion("odd", "1", 0, source="models:/m-1", model_id="m-1")) == "m-1"


def test_a_version_that_is_still_being_made_is_refused():
    found = ModelVersion("odd", "1", 0, source="models:/m-1", status="PENDING_REGISTRATION")
    with pytest.raises(PromotionError, match="has the status PENDING_REGISTRATION, expected READY"):
        source._require_ready(found)


def test_a_link_in_the_store_is_refused_though_what_it_leads_to_is_the_file_itself(
    run: Promote, versions: tuple[Logged, Logged], tmp_path: Path
):
    weights = stored(versions[1]) / WEIGHTS
    shutil.move(weights, tmp_path / "weights")
    weights.symlink_to(tmp_path / "weights")
    try:
        code, said = run("--version", "2")
    finally:
        weights.unlink()
        shutil.move(tmp_path / "weights", weights)
    assert (code, production(), run.target.exists()) == (2, None, False)
    assert "model.safetensors is a link; a model directory has regular files only" in said


@pytest.mark.parametrize("leads_to", ["/tmp", "../elsewhere", "intent_predictor_backups/../x", "a/b/c"])
def test_a_link_that_someone_else_made_is_refused_and_stays(run: Promote, leads_to: str):
    run.target.parent.mkdir()
    run.target.symlink_to(leads_to)
    code, said = run("--version", "1")
    assert (code, production(), str(run.target.readlink())) == (2, None, leads_to)
    assert f"{run.target} is a link to {leads_to}" in said


def test_a_directory_that_holds_no_model_is_refused_and_stays(run: Promote):
    run.target.mkdir(parents=True)
    (run.target / "holiday.jpg").touch()
    code, said = run("--version", "1")
    assert (code, production(), run.target.is_dir()) == (2, None, True)
    assert "is a directory that holds no model, but ['holiday.jpg']" in said
    assert os.listdir(run.target) == ["holiday.jpg"]


def test_a_folder_that_cannot_be_made_is_named(run: Promote, tmp_path: Path):
    (tmp_path / "models").write_text("a file where a folder is needed")
    code, said = run("--version", "1")
    assert code in (1, 2)
    assert str(tmp_path / "models") in said
    assert "Traceback" not in said


def test_a_disk_without_enough_space_is_named_before_anything_is_fetched(
    run: Promote, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 99, 1))
    code, said = run("--version", "1")
    assert (code, production(), run.kept) == (2, None, [])
    assert "0 MB are free" in said


def test_the_record_says_what_was_published_and_what_was_checked(
    run: Promote, versions: tuple[Logged, Logged]
):
    run("--version", "1")
    content = json.loads((run.target / PROMOTION).read_text(encoding="utf-8"))
    model_id = logged_model(versions[0]).model_id
    assert content["identity"] == {
        "name": SHOP, "version": "1", "run_id": versions[0].run_id, "model_id": model_id,
    }  # fmt: skip
    assert (content["sequence"], content["source"]) == (1, f"models:/{model_id}")
    assert set(content["files"]) == set(os.listdir(run.target)) - {PROMOTION}
    assert content["evidence"]["smoke"]["compared_with_training"] == 3
    assert not content["evidence"]["smoke"]["needs_import_intents"]
    assert str(Path.home()) not in json.dumps(content)


def test_what_was_published_can_be_read_by_others_and_written_by_nobody(run: Promote):
    before = os.umask(0o077)
    try:
        run("--version", "1")
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in run.target.iterdir()} == {0o444}
    assert run.target.resolve().stat().st_mode & 0o777 == 0o755


def test_the_answer_for_scripts_is_one_json_object(run: Promote, versions: tuple[Logged, Logged]):
    code, said = run("--version", "1", "--json")
    answer = json.loads(said)
    assert (code, answer["action"], answer["version"]) == (0, "published", "1")
    assert answer["run_id"] == versions[0].run_id
    assert json.loads(run("--json")[1])["action"] == "nothing to do"


def test_a_dry_run_says_what_would_be_published_and_touches_nothing(run: Promote):
    code, said = run("--dry-run", "--version", "1")
    assert (code, production(), run.target.parent.exists()) == (0, None, False)
    assert said.startswith("would publish shop version 1 (")
    assert "where nothing is published" in said
    run("--version", "1")
    assert run("--dry-run") == (0, f"nothing to do: shop version 1 is live in {run.target}, intact\n")
    assert "where shop version 1 is live" in run("--dry-run", "--version", "2")[1]


@pytest.fixture
def mlflow_run(run: Promote, subprocess_environment: dict[str, str]) -> Callable[..., str]:
    """`mlflow run . -e promote` with these parameters; what it printed."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = subprocess_environment | {"PATH": path, "MLFLOW_TRACKING_URI": mlflow.get_tracking_uri()}
    command = [
        "mlflow",
        "run",
        ".",
        "-e",
        "promote",
        "--env-manager",
        "local",
        "--experiment-name",
        "promotions",
    ]

    def said(**parameters: str) -> str:
        given = {"name": SHOP, "target": str(run.target)} | parameters
        flags = [word for name, text in given.items() for word in ("-P", f"{name}={text}")]
        done = subprocess.run(
            [*command, *flags],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return said


@pytest.mark.slow
def test_mlflow_run_publishes_tells_and_rolls_back_as_the_command_does(
    run: Promote, mlflow_run: Callable[..., str], versions: tuple[Logged, Logged]
):
    assert f"published shop version 1 to {run.target} (run {versions[0].run_id})" in mlflow_run(version="1")
    assert (production(), manifest(run.target)) == ("1", manifest(stored(versions[0])))
    run("--version", "2")
    assert f"is live in {run.target}, as v2_" in mlflow_run(action="status")
    assert "rolled back to shop version 1 (published " in mlflow_run(action="rollback")
    assert manifest(run.target) == manifest(stored(versions[0]))


@pytest.mark.parametrize("flag", ["rollback", "release", "verify", "status", "history"])
def test_a_version_is_no_matter_of_commands_that_ask_no_registry(flag: str, run: Promote):
    code, said = run(f"--{flag}", "--version", "1")
    assert (code, said.startswith("error: version='1'")) == (2, True)


@pytest.mark.parametrize(
    ("flag", "value"),
    [("version", "latest"), ("version", "-1"), ("target", " "), ("target", "."), ("wait", "-1")],
)
def test_an_impossible_parameter_is_refused_by_name(flag: str, value: str, run: Promote):
    code, said = run(f"--{flag}={value}")
    assert (code, said.startswith((f"error: {flag}={value!r}", f"error: {flag}={value}"))) == (2, True)


@pytest.fixture
def of_a_run(registered: Callable[..., str]) -> Callable[..., str]:
    """Registers a version of `odd` whose run ended so (None: it didn't) and whose logged model came so far."""

    def register(status: str | None, model_status: str = "READY") -> str:
        client = MlflowClient()
        run_id = client.create_run("0").info.run_id
        model = mlflow.initialize_logged_model(name="odd", source_run_id=run_id, experiment_id="0")
        if model_status != "PENDING":
            client.finalize_logged_model(model.model_id, model_status)
        if status:
            client.set_terminated(run_id, status)
        registered(f"models:/{model.model_id}", run_id)
        return str(run_id)

    return register


@pytest.mark.parametrize("status", [None, "FAILED", "KILLED"])
def test_a_version_whose_run_did_not_finish_is_refused(
    status: str | None, run: Promote, of_a_run: Callable[..., str]
):
    run_id = of_a_run(status)
    code, said = run("--version", "1", name="odd")
    assert (code, run.target.exists()) == (2, False)
    assert f"odd version 1: its run {run_id} is {status or 'RUNNING'}, expected FINISHED" in said


@pytest.mark.parametrize("status", ["PENDING", "FAILED"])
def test_a_version_whose_logged_model_was_not_logged_to_the_end_is_refused(
    status: str, run: Promote, of_a_run: Callable[..., str]
):
    of_a_run("FINISHED", status)
    code, said = run("--version", "1", name="odd")
    assert (code, run.target.exists()) == (2, False)
    assert f"has the status {status}, expected READY: it was not logged to the end" in said


def test_a_version_whose_run_was_deleted_is_refused_in_words(run: Promote, of_a_run: Callable[..., str]):
    run_id = of_a_run("FINISHED")
    MlflowClient().delete_run(run_id)
    for flags in ((), ("--dry-run",)):
        code, said = run("--version", "1", *flags, name="odd")
        assert (code, run.target.exists()) == (2, False)
        assert said.startswith(
            f"error: odd version 1: its run {run_id} was deleted. Bring it back: mlflow runs"
        )


def meanwhile(run: Promote, happens: Callable[[], object]) -> Promote:
    """Something happens to the registry while the version is checked."""

    def check(_: Path) -> dict[str, Any]:
        happens()
        return {}

    return dataclasses.replace(run, gate=lambda *_, **__: check)


def test_an_alias_that_moves_while_its_version_is_checked_is_noticed_before_it_goes_live(run: Promote):
    client = MlflowClient()
    client.set_registered_model_alias(SHOP, "Production", "2")
    moves = lambda: client.set_registered_model_alias(SHOP, "Production", "1")  # noqa: E731
    code, said = meanwhile(run, moves)()
    assert (code, run.target.exists(), run.kept) == (2, False, [])
    assert (
        "Production moved to version 1 while shop version 2 was being published. Nothing was published"
        in said
    )


def test_an_alias_that_is_removed_while_its_version_is_checked_is_noticed_before_it_goes_live(run: Promote):
    client = MlflowClient()
    client.set_registered_model_alias(SHOP, "Production", "2")
    code, said = meanwhile(run, lambda: client.delete_registered_model_alias(SHOP, "Production"))()
    assert (code, run.target.exists(), run.kept) == (2, False, [])
    assert (
        "shop version 2 was to be published, and meanwhile the registry changed: 'shop' has no version"
        in said
    )


def test_a_version_that_is_deleted_while_it_is_checked_does_not_go_live_nor_is_one_made_anew(
    run: Promote, registered: Callable[..., str], versions: tuple[Logged, Logged]
):
    client = MlflowClient()
    registered(f"models:/{logged_model(versions[0]).model_id}", versions[0].run_id)
    code, said = meanwhile(run, lambda: client.delete_model_version("odd", "1"))("--version", "1", name="odd")
    assert (code, run.target.exists(), run.kept) == (2, False, [])
    assert "odd version 1 was to be published, and meanwhile the registry changed" in said
    client.delete_registered_model("odd")
    registered(f"models:/{logged_model(versions[0]).model_id}", versions[0].run_id)

    def make_anew() -> None:
        client.delete_registered_model("odd")
        registered(f"models:/{logged_model(versions[1]).model_id}", versions[1].run_id)

    code, said = meanwhile(run, make_anew)("--version", "1", name="odd")
    assert (code, run.target.exists(), run.kept) == (2, False, [])
    assert "it was made anew while it was being published" in said


@pytest.mark.parametrize(
    ("flags", "action", "code", "said"),
    [
        (("--version", "99"), "refused", 2, "has no version 99"),
        (("--version", "latest"), "refused", 2, "version='latest'"),
        (("--nonsense",), "refused", 2, "unrecognized arguments: --nonsense"),
        (("--rollback", "--status"), "refused", 2, "not allowed with argument"),
        (("--wait", "x"), "refused", 2, "wait='x'"),
        (("--rollback",), "refused", 2, "nothing was published here"),
        (("--force", ""), "refused", 2, "force=''"),
    ],
)
def test_scripts_get_one_object_whatever_is_refused(
    flags: tuple[str, ...], action: str, code: int, said: str, run: Promote
):
    for wanted in (("--json",), ("--output", "json"), ("--output=json",)):
        ended, printed, told = run.apart(*flags, *wanted)
        answer = json.loads(printed)
        assert (ended, answer["action"]) == (code, action)
        assert said in answer["error"]
        assert answer["reasons"] == [answer["error"]]
        assert answer["error"] in told
    assert run.apart(*flags)[1] == ""


def test_scripts_get_one_object_when_something_breaks_or_another_promotion_is_under_way(
    run: Promote, tmp_path: Path
):
    (tmp_path / "models").write_text("a file where a folder is needed")
    code, printed, _ = run.apart("--version", "1", "--json")
    assert (code, json.loads(printed)["action"]) == (1, "failed")
    (tmp_path / "models").unlink()
    with transaction.queueing(Target(run.target), wait=0):
        code, printed, _ = run.apart("--version", "1", "--wait", "0", "--json")
    assert (code, json.loads(printed)["action"]) == (75, "busy")


def test_scripts_get_the_gates_reasons_one_by_one(run: Promote):
    def refuse(_: Path) -> Any:
        raise PromotionError("the table, and\n- this\n- that", reasons=["this", "that"])

    code, printed, _ = dataclasses.replace(run, gate=lambda *_, **__: refuse).apart(
        "--version", "1", "--json"
    )
    answer = json.loads(printed)
    assert (code, answer["action"], answer["reasons"]) == (2, "refused", ["this", "that"])
    assert answer["error"].startswith("shop version 1 is refused: the table")


def test_an_empty_reason_to_force_is_refused_and_none_means_that_nothing_is_forced(run: Promote):
    for reason in ("", "  "):
        code, said = run("--version", "1", "--force", reason)
        assert (code, run.target.exists()) == (2, False)
        assert said.startswith(f"error: force={reason!r}: expected a reason, or none")
    assert PromoteConfig(force="none").force == PromoteConfig().force == ""
    assert PromoteConfig(force="we know why").force == "we know why"


def test_a_mount_point_is_refused_before_anything_is_fetched(run: Promote):
    code, said = dataclasses.replace(run, target=Path("/proc"))("--version", "1")
    assert code == 2
    assert said.startswith(
        "error: /proc is a mount point, which no link can take the place of. Mount the folder"
    )


def test_a_folder_of_the_same_disk_that_is_mounted_is_a_mount_point_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Only the table of mounts tells; here it is one that was written for the test."""
    table = tmp_path / "mountinfo"
    named = str(tmp_path / "a b").replace(" ", "\\040")
    table.write_text(f"36 35 98:0 /mnt1 {named} rw,noatime - ext3 /dev/root rw\n")
    monkeypatch.setattr(disk, "MOUNTS", table)
    assert disk.is_mount_point(tmp_path / "a b")
    assert not disk.is_mount_point(tmp_path)


def test_a_registry_that_cannot_be_written_is_one_line(run: Promote, in_store: str, tmp_path: Path):
    """Publishing by number marks the version; where it may not, nothing goes live."""
    database = tmp_path / "mlflow.db"
    shutil.copy(in_store.removeprefix("sqlite:///"), database)
    read_only = f"sqlite:///file:{database}?mode=ro&uri=true"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", read_only)
        code, said = run("--version", "1")
    mlflow.set_tracking_uri(in_store)
    assert (code, run.target.exists()) == (2, False)
    assert said.startswith("error: ")
    assert len(said.splitlines()) == 1
