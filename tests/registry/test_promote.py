"""Publishing: the target holds one whole verified version at every moment, or the command says why not."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from intents import artifact
from registry import promote
from tests.conftest import Logged, run_tracked

SHOP = "shop"


@dataclass(frozen=True)
class Promote:
    """The command, its target below a folder of the test's own, and what it printed last."""

    target: Path
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str, name: str = SHOP) -> tuple[int, str]:
        code = promote.main(["--name", name, "--target", str(self.target), *arguments])
        said = self.capsys.readouterr()
        return code, said.out + said.err

    @property
    def kept(self) -> list[Path]:
        folder = self.target.with_name(f"{self.target.name}_backups")
        return sorted(folder.iterdir()) if folder.exists() else []


@pytest.fixture(scope="module")
def versions(store: str, tiny_settings: dict[str, str]) -> tuple[Logged, Logged]:
    """Versions 1 and 2 of the registered model `shop`, of different content."""
    one, two = (run_tracked(store, tiny_settings | {"register": SHOP, "seed": seed}) for seed in ("1", "2"))
    assert (one.version, two.version) == ("1", "2")
    assert manifest(stored(one)) != manifest(stored(two))
    return one, two


@pytest.fixture
def run(
    versions: tuple[Logged, Logged], in_store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Promote]:
    assert versions[0].uri == in_store
    yield Promote(tmp_path / "models" / "intent_predictor", capsys)
    if SHOP in [model.name for model in MlflowClient().search_registered_models()]:
        for alias in MlflowClient().get_registered_model(SHOP).aliases:
            MlflowClient().delete_registered_model_alias(SHOP, alias)


def logged_model(made: Logged) -> mlflow.entities.LoggedModel:
    source = MlflowClient().get_model_version(made.config.run.register, made.version).source
    return MlflowClient().get_logged_model(source.removeprefix("models:/"))


def stored(made: Logged) -> Path:
    """Where the store keeps the version's model directory."""
    return Path(logged_model(made).artifact_location.removeprefix("file://")) / "artifacts" / "model"


def manifest(directory: Path) -> bytes:
    return (directory / artifact.MANIFEST).read_bytes()


def production() -> str | None:
    """The version that the alias Production names."""
    try:
        return str(MlflowClient().get_model_version_by_alias(SHOP, "Production").version)
    except MlflowException:
        return None


@pytest.fixture
def damaged(versions: tuple[Logged, Logged]) -> Iterator[Path]:
    """Version 2 with one bit flipped in the store; mended afterwards."""
    weights = stored(versions[1]) / artifact.WEIGHTS
    before = weights.read_bytes()
    weights.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    yield weights
    weights.write_bytes(before)


def test_a_version_that_is_named_is_published_whole_and_marked(run: Promote, versions: tuple[Logged, Logged]):
    code, said = run("--version", "1")
    assert (code, production()) == (0, "1")
    assert said.startswith(f"published shop version 1 to {run.target} (run {versions[0].run_id})")
    assert artifact.load(run.target).intents
    assert manifest(run.target) == manifest(stored(versions[0]))


def test_the_target_is_a_link_that_still_holds_when_its_folder_is_moved(run: Promote, tmp_path: Path):
    run("--version", "1")
    assert run.target.is_symlink()
    assert run.kept == [run.target.resolve()]  # and nothing of the staging remains
    (tmp_path / "models").rename(tmp_path / "elsewhere")
    artifact.verify(tmp_path / "elsewhere" / "intent_predictor")


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
    artifact.verify(before)
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
    (run.target / artifact.SANITY_PREDICTIONS).write_text("changed by hand")
    code, said = run()
    assert (code, said.startswith("published")) == (0, True)
    artifact.verify(run.target)


def test_a_link_that_leads_nowhere_is_replaced_and_not_called_a_backup(run: Promote):
    run("--version", "1")
    shutil.rmtree(run.target.resolve())
    code, said = run()
    assert (code, "it is the first" in said) == (0, True)
    artifact.verify(run.target)


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
    artifact.verify(run.target)
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


@pytest.mark.parametrize(("flag", "value"), [("version", "latest"), ("version", "-1"), ("target", " ")])
def test_an_impossible_parameter_is_refused_by_name(flag: str, value: str, run: Promote):
    code, said = run(f"--{flag}={value}")
    assert (code, said.startswith(f"error: {flag}={value!r}")) == (2, True)
