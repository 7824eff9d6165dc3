"""Taking a version back, keeping it back, and being told what is live: all without a registry."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from bench.promotion import publishers
from bench.promotion.publishers import version_in
from intents.errors import PromotionError
from intents.system import lock
from registry import promote, record, transaction, upkeep
from registry.record import Identity
from registry.target import Target
from registry.transaction import Candidate
from tests.conftest import Logged
from tests.registry.conftest import SHOP, Promote, age, assert_sound, manifest, production, stored

Prepare = Callable[..., Path]
Say = Callable[..., tuple[int, str]]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """The command on a target; its exit code, and what it printed."""

    def command(target: Path, *flags: str) -> tuple[int, str]:
        code = promote.main(["--target", str(target), *flags])
        said = capsys.readouterr()
        return code, said.out + said.err

    return command


def test_a_rollback_brings_the_version_before_back_and_says_so(prepared: Prepare, say: Say):
    target = prepared(1, 2, 3)
    code, said = say(target, "--rollback")
    assert (code, version_in(target)) == (0, 2)
    assert said.startswith("rolled back to toy version 2 (published ")
    assert "toy version 3 was taken away" in said
    assert "held: toy version 3 and older ones come back only after --release" in said
    assert_sound(target)


def test_rolled_back_twice_it_goes_back_twice_and_then_says_that_there_is_no_more(
    prepared: Prepare, say: Say
):
    target = prepared(1, 2, 3)
    say(target, "--rollback")
    say(target, "--rollback")
    assert version_in(target) == 1
    code, said = say(target, "--rollback")
    assert (code, version_in(target)) == (2, 1)
    assert "keeps no version from before" in said
    assert "held: toy version 3" in say(target, "--status")[1]


def test_after_a_rollback_and_a_newer_version_a_rollback_does_not_bring_the_bad_one(
    toys: dict[int, Path], prepared: Prepare, say: Say
):
    target = prepared(1, 2)
    say(target, "--rollback")
    publishers.publish(target, toys[3], 3)
    assert say(target, "--rollback")[0] == 0
    assert version_in(target) == 1


def test_where_nothing_was_published_a_rollback_is_refused_and_nothing_is_made(tmp_path: Path, say: Say):
    target = tmp_path / "models" / "intent_predictor"
    for flag in ("--rollback", "--release", "--verify"):
        code, said = say(target, flag)
        assert code == 2
        assert "nothing was published here" in said
    assert say(target, "--status") == (0, f"{target}: nothing is published\n")
    assert say(target, "--history") == (0, f"nothing was ever published to {target}\n")
    assert not target.parent.exists()


@pytest.mark.parametrize(
    "damage",
    ["flipped bit", "missing file", "added file", "record", "other record", "file and record", "gone"],
)
def test_a_damaged_backup_is_refused_and_the_live_version_stays(damage: str, prepared: Prepare, say: Say):
    target = prepared(1, 2)
    backup = next(iter(Target(target).versions()))
    match damage:
        case "flipped bit":
            flip(backup / "model.safetensors")
        case "missing file":
            (backup / "tokenizer.json").unlink()
        case "added file":
            (backup / "modeling_evil.py").touch()
        case "record":
            flip(backup / "promotion.json")
        case "other record":
            content = json.loads((backup / "promotion.json").read_text())
            content["files"] = {}
            content["digest"] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
            (backup / "promotion.json").chmod(0o644)
            (backup / "promotion.json").write_text(json.dumps(content))
        case "file and record":
            flip(backup / "tokenizer.json")
            content = json.loads((backup / "promotion.json").read_text())
            content["files"] = record.inventory(backup)
            content["digest"] = record.digest(content["files"])
            (backup / "promotion.json").chmod(0o644)
            (backup / "promotion.json").write_text(json.dumps(content))
        case "gone":
            shutil.rmtree(backup)
    code, said = say(target, "--rollback")
    assert (code, version_in(target)) == (2, 2)
    assert backup.name in said or "nothing to roll back to" in said
    assert Target(target).refused() is None


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


def test_a_rollback_from_a_version_that_is_gone_brings_the_newest_good_one(prepared: Prepare, say: Say):
    target = prepared(1, 2, 3)
    shutil.rmtree(target.resolve())
    assert say(target, "--rollback")[0] == 0
    assert version_in(target) == 2


def test_a_rollback_from_what_a_rollback_brought_and_is_gone_does_not_bring_the_bad_version(
    prepared: Prepare, say: Say
):
    target = prepared(1, 2, 3)
    say(target, "--rollback")
    shutil.rmtree(target.resolve())
    assert say(target, "--rollback")[0] == 0
    assert version_in(target) == 1


def test_a_version_that_was_published_again_because_it_was_damaged_is_rolled_back_past(
    toys: dict[int, Path], prepared: Prepare
):
    target = prepared(1, 2)
    flip(target / "tokenizer.json")
    publishers.publish(target, toys[2], 2)
    publishers.roll_back(target)
    assert version_in(target) == 1


def test_a_directory_from_before_the_first_publication_is_not_rolled_back_to_unseen(
    toys: dict[int, Path], tmp_path: Path, say: Say
):
    target = tmp_path / "models" / "intent_predictor"
    shutil.copytree(toys[1], target)
    publishers.publish(target, toys[2], 2)
    code, said = say(target, "--rollback")
    assert (code, version_in(target)) == (2, 2)
    assert "a directory that no check ever passed. Bring it back by hand" in said


def roll_back_to_first(run: Promote) -> None:
    """Version 2 was published after version 1, and taken back."""
    for arguments in (("--version", "1"), ("--version", "2"), ("--rollback",)):
        assert run(*arguments)[0] == 0


def test_a_scheduled_promotion_does_not_bring_the_bad_version_back_until_released(
    run: Promote, versions: tuple[Logged, Logged]
):
    roll_back_to_first(run)
    code, said = run()
    assert (code, manifest(run.target)) == (0, manifest(stored(versions[0])))
    assert f"held: shop version 1 (run {versions[0].run_id}) stays live" in said
    assert f"though Production names shop version 2 (run {versions[1].run_id})" in said
    assert json.loads(run("--dry-run", "--json")[1])["action"] == "dry run: held"
    assert run("--release") == (
        0,
        "released: shop version 2 and older ones are held back no longer; whatever Production names is checked and "
        "compared before it is published\n",
    )
    assert run("--release")[1].startswith("nothing to do: nothing is held")  # and asking again is no error
    assert run()[1].startswith("published shop version 2")


def test_asked_for_by_its_number_a_version_is_published_in_spite_of_a_hold(run: Promote):
    roll_back_to_first(run)
    assert run("--version", "2")[1].startswith("published shop version 2")
    assert run()[1].startswith("nothing to do")


def test_asked_for_by_its_number_the_live_version_is_marked_and_the_hold_ends(run: Promote):
    roll_back_to_first(run)
    assert run("--version", "1")[1].startswith("nothing to do")
    assert production() == "1"
    assert "held" not in run("--status")[1]
    assert run()[1].startswith("nothing to do")


def test_a_newer_version_ends_the_hold(run: Promote):
    run("--version", "1")
    run("--version", "2")
    run("--rollback")
    model = MlflowClient().get_model_version(SHOP, "1")
    newer = MlflowClient().create_model_version(SHOP, model.source, run_id=model.run_id).version
    MlflowClient().set_registered_model_alias(SHOP, "Production", newer)
    try:
        assert run()[1].startswith(f"published shop version {newer}")
    finally:
        MlflowClient().delete_model_version(SHOP, newer)
    assert "held" not in run("--status")[1]


def test_what_a_hold_keeps_live_is_checked_too(run: Promote):
    run("--version", "1")
    run("--version", "2")
    run("--rollback")
    flip(run.target / "config.json")
    code, said = run()
    assert code == 2
    assert "is damaged, and a rollback holds it" in said


def test_status_history_and_verify_tell_what_is_live(toys: dict[int, Path], prepared: Prepare, say: Say):
    target = prepared(1, 2)
    publishers.publish(target, toys[1], 1)
    publishers.publish(target, toys[2], 2)
    said = say(target, "--status")[1]
    assert said.startswith("toy version 2 is live in ")
    assert said.count(f"published {datetime.now(UTC).year}") == 1
    assert said.splitlines()[-1] == f"versions kept in {Target(target).folder}: 2"  # of each two folders
    assert [line.split("  ")[1].split()[0] for line in say(target, "--history")[1].splitlines()] == [
        "published"
    ] * 4
    assert say(target, "--verify")[0] == 0
    facts = json.loads(say(target, "--status", "--json")[1])
    assert (facts["version"], facts["sequence"], len(facts["kept"])) == ("2", 4, 4)


def test_verify_refuses_a_damaged_live_version_and_names_a_damaged_backup(prepared: Prepare, say: Say):
    target = prepared(1, 2)
    flip(next(iter(Target(target).versions())) / "tokenizer.json")
    code, said = say(target, "--verify")
    assert code == 0
    assert "1 of them damaged" in said
    flip(target / "tokenizer.json")
    code, said = say(target, "--verify")
    assert code == 2
    assert "tokenizer.json: not the file that was published" in said


def test_a_history_line_that_was_cut_short_costs_no_other(toys: dict[int, Path], prepared: Prepare):
    target = prepared(1, 2)
    file = Target(target).history_file
    file.write_bytes(file.read_bytes()[:-20])
    publishers.publish(target, toys[3], 3)
    assert [entry["version"] for entry in Target(target).history()] == ["1", "2", "3"]
    assert_sound(target)


def test_old_versions_go_but_never_the_live_one_nor_what_a_rollback_needs_nor_the_last_five(
    toys: dict[int, Path], target: Path
):
    for number in range(1, 9):
        publishers.publish(target, toys[1], number)
    kept = Target(target)
    assert len(kept.versions()) == 8  # younger than a day
    age(kept, timedelta(days=2))
    upkeep.prune(kept)
    assert [p.identity.version for p in kept.versions().values()] == ["4", "5", "6", "7", "8"]
    assert_sound(target)


def test_what_a_rollback_took_away_is_kept_for_whoever_must_find_out_why(toys: dict[int, Path], target: Path):
    for number in (1, 9, 2, 3, 4, 5, 6, 7):
        publishers.publish(target, toys[1], number)
    for _ in range(7):
        publishers.roll_back(target)
    kept = Target(target)
    age(kept, timedelta(days=2))
    upkeep.prune(kept)
    assert [p.identity.version for p in kept.versions().values()] == ["1", "9", "5", "6", "7"]


def test_a_version_that_was_live_within_the_day_is_kept_however_old_it_is(
    toys: dict[int, Path], target: Path
):
    for number in range(1, 9):
        publishers.publish(target, toys[1], number)
    kept = Target(target)
    age(kept, timedelta(days=2), history=False)
    upkeep.prune(kept)
    assert len(kept.versions()) == 8


@pytest.mark.parametrize("flag", ["--rollback", "--status", "--verify", "--history", "--release", "--help"])
def test_what_needs_no_registry_imports_neither_mlflow_nor_torch(flag: str, prepared: Prepare):
    code = (
        "import sys; from registry import promote\n"
        "try: code = promote.main(sys.argv[1:])\n"
        "except SystemExit as end: code = end.code\n"
        "heavy = {'mlflow', 'torch', 'transformers', 'numpy', 'pandas'} & set(sys.modules)\n"
        "sys.exit(f'{code} {heavy}' if code or heavy else 0)"
    )
    command = [sys.executable, "-c", code, "--target", str(prepared(1, 2)), flag]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    began = time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 1 or os.getloadavg()[0] > len(os.sched_getaffinity(0))


def publish_meanwhile(target: Path, source: Path, number: int, meanwhile: Callable[[], object]) -> None:
    """A publication during whose download something else happens."""

    def fetch(folder: Path) -> Path:
        meanwhile()
        assert folder.is_dir(), "what a live publisher stages is left to it"
        return Path(shutil.copytree(source, folder / "model"))

    candidate = Candidate(Identity("toy", str(number), f"run{number}", f"m-{number}"), "models:/m", 0, fetch)
    with transaction.queueing(Target(target), wait=1):
        transaction.publish(Target(target), candidate, checks={}, before_commit=lambda: None)


def test_a_rollback_during_a_download_takes_place_and_what_was_fetched_is_not_published_over_it(
    toys: dict[int, Path], prepared: Prepare
):
    target = prepared(1, 2)
    with pytest.raises(
        PromotionError, match=r"somebody took it back meanwhile. Nothing was published"
    ) as caught:
        publish_meanwhile(target, toys[3], 3, lambda: publishers.roll_back(target))
    folders = list(Target(target).versions())
    assert f"led to {folders[1].name} when this began and leads to {folders[0].name} now" in str(caught.value)
    assert version_in(target) == 1
    assert_sound(target)
    assert len(folders) == 2


def test_what_a_dead_publisher_fetched_is_removed_by_a_rollback(toys: dict[int, Path], prepared: Prepare):
    target = prepared(1, 2)
    left = Target(target).folder / ".staging-v3_20260101T000000000000Z"
    shutil.copytree(toys[3], left / "model")
    publishers.roll_back(target)
    assert not left.exists()
    assert_sound(target)


def test_one_publisher_waits_for_another_but_not_the_one_who_rolls_back(prepared: Prepare, say: Say):
    target = prepared(1, 2)
    with transaction.queueing(Target(target), wait=1):
        again = transaction.queueing(Target(target), wait=0)
        with pytest.raises(lock.BusyError, match=r"\.publishing has been held for"):
            again.__enter__()
        assert say(target, "--rollback", "--wait", "0")[0] == 0
    assert version_in(target) == 1


def publish_judged(target: Path, source: Path, number: int, *, found: dict[str, object]) -> None:
    """A publication of which the gate found this."""
    candidate = Candidate(
        Identity("toy", str(number), f"run{number}", f"m-{number}"),
        "models:/m",
        0,
        lambda folder: Path(shutil.copytree(source, folder / "m")),
    )
    with transaction.queueing(Target(target), wait=1):
        checks = {"gate": lambda _: found}
        transaction.publish(Target(target), candidate, checks=checks, before_commit=lambda: None)


def test_the_history_tells_what_the_gate_found_once_and_a_rollback_and_a_release_without_it(
    toys: dict[int, Path], target: Path, say: Say
):
    for number in (1, 2):
        publish_judged(target, toys[number], number, found={"gate": "passed"})
    say(target, "--rollback")
    say(target, "--release")
    told = [(entry["action"], entry["version"], entry["gate"]) for entry in Target(target).history()]
    assert told == [
        ("published", "1", "passed"),
        ("published", "2", "passed"),
        ("rolled back", "1", None),
        ("released", "2", None),
    ]
    last = say(target, "--history")[1].splitlines()[-1]
    assert last.endswith(f"released     toy version 2 ({target.resolve().name} stays live)")
    assert_sound(target)


def test_a_history_of_before_is_still_read(prepared: Prepare, say: Say):
    target = prepared(1)
    new = ("accepted", "reasons")
    (entry,) = Target(target).history()
    old = {name: value for name, value in entry.items() if name not in new}
    Target(target).history_file.write_text(json.dumps(old) + "\n")
    assert say(target, "--rollback")[0] == 2
    assert "published    toy version 1 (nothing -> v1_" in say(target, "--history")[1]


def test_the_history_says_that_a_version_was_forced_and_why(
    toys: dict[int, Path], prepared: Prepare, say: Say
):
    target = prepared(1)
    publish_judged(target, toys[2], 2, found={"gate": "forced", "forced": "the boss\n said so"})
    first, second = say(target, "--history")[1].splitlines()
    assert "because" not in first
    assert second.endswith("; published though the gate refused it, because: the boss said so")


@pytest.fixture
def made_anew(in_store: str) -> Iterator[Callable[[Logged], None]]:
    """Deletes the registered model `anew` and makes it again, with this as its version 1, marked Production."""
    client = MlflowClient(in_store)

    def make(made: Logged) -> None:
        with contextlib.suppress(MlflowException):
            client.delete_registered_model("anew")
        model = client.get_model_version(SHOP, made.version)
        client.create_registered_model("anew")
        client.create_model_version("anew", model.source, run_id=model.run_id)
        client.set_registered_model_alias("anew", "Production", "1")

    yield make
    client.delete_registered_model("anew")


def publish_both_anew(
    run: Promote, versions: tuple[Logged, Logged], made_anew: Callable[[Logged], None]
) -> None:
    """Both versions are those of `anew`, published one after the other."""
    one, two = versions
    made_anew(one)
    client = MlflowClient()
    client.create_model_version("anew", client.get_model_version(SHOP, "2").source, run_id=two.run_id)
    for number in ("1", "2"):
        assert run("--version", number, name="anew")[0] == 0


def test_what_was_rolled_back_stays_held_though_its_model_was_made_anew_in_between(
    run: Promote, versions: tuple[Logged, Logged], made_anew: Callable[[Logged], None]
):
    """Its number is lower than that of the version before it, which is rolled back after it."""
    one, two = versions
    publish_both_anew(run, versions, made_anew)
    made_anew(two)
    assert run(name="anew")[1].startswith("published anew version 1")
    for _ in range(2):
        assert run("--rollback")[0] == 0
    code, said = run(name="anew")
    assert (code, manifest(run.target)) == (0, manifest(stored(one)))
    assert said.startswith("held: anew version 1")


def test_a_model_made_anew_after_a_rollback_is_not_held_back_by_the_old_ones_numbers(
    run: Promote, versions: tuple[Logged, Logged], made_anew: Callable[[Logged], None]
):
    _, two = versions
    publish_both_anew(run, versions, made_anew)
    assert run("--rollback")[0] == 0
    made_anew(two)
    code, said = run(name="anew")
    assert (code, manifest(run.target)) == (0, manifest(stored(two)))
    assert said.startswith("published anew version 1")
    assert (
        f"note: anew version 1 is of run {two.run_id}; what was published under that number before is of run "
        in said
    )
    assert "the registered model was made anew" in said
