"""Who reads what is published: the consumer of docs/consumer.py while versions come and go, and a TextCNN's."""

import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.promotion import consuming
from bench.promotion.promoter import smoke_in_this_process
from intents.serving.pyfunc import IntentModel
from registry import commands, record, transaction
from registry.checks import smoke_child
from registry.record import Identity, Promotion
from registry.target import Target
from registry.transaction import Candidate
from tests.conftest import Logged
from tests.registry.conftest import Promote, stored
from tests.training.test_stages import train_textcnn

ROOT = Path(__file__).parents[2]
PROMOTIONS = 100
WAIT_SECONDS = 60


def offer(target: Path, directory: Path, number: int) -> Promotion:
    """Publishes the directory as version `number`."""
    candidate = Candidate(
        identity=Identity("real", str(number), f"run{number}", f"m-{number}"),
        source=f"models:/m-{number}",
        size=0,
        fetch=lambda folder: Path(shutil.copytree(directory, folder / "model")),
    )
    with transaction.queueing(Target(target), wait=1):
        return transaction.publish(Target(target), candidate, checks={}, before_commit=lambda: None)


def expected(directory: Path, text: str) -> tuple[str, float]:
    """What the pyfunc says, which is another reader."""
    model = IntentModel()
    model.load_context(type("Context", (), {"artifacts": {"model": str(directory)}}))
    (row,) = model.predict(None, [text])
    return row.intent, row.confidence


def wait_until_live_is_loaded(consumer: "subprocess.Popen[bytes]", target: Path, folder: Path) -> None:
    """Returns once the consumer's last answer is the live version's."""
    deadline = time.monotonic() + WAIT_SECONDS
    while [answer.folder for answer in consuming.answers(folder)[-1:]] != [str(target.resolve())]:
        assert consumer.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_the_documented_consumer_says_what_one_version_says_through_a_hundred_promotions(
    versions: tuple[Logged, Logged], in_store: str, tmp_path: Path, figures: Counter[str]
):
    """It loads and answers in a loop; every other promotion comes while it loads the one before."""
    assert in_store
    target = tmp_path / "models" / "intent_predictor"
    directories = [stored(made) for made in versions]
    expectations = [expected(directory, consuming.UTTERANCE) for directory in directories]
    # otherwise nobody could tell the versions apart
    assert abs(expectations[0][1] - expectations[1][1]) > 1e-3
    offer(target, directories[0], 1)
    with consuming.looping(target, tmp_path) as consumer:
        for number in range(2, PROMOTIONS + 2):
            if number % 2 == 0:
                wait_until_live_is_loaded(consumer, target, tmp_path)
            offer(target, directories[(number - 1) % 2], number)
        wait_until_live_is_loaded(consumer, target, tmp_path)
    assert consumer.returncode == 0
    answers = consuming.answers(tmp_path)
    seen = [int(record.read(Path(answer.folder)).identity.version) for answer in answers]
    assert seen == sorted(seen)
    for version, answer in zip(seen, answers, strict=True):
        intent, confidence = expectations[(version - 1) % 2]
        assert (answer.intent, answer.confidence) == (intent, pytest.approx(confidence))
    loaded = sum(answer.was_loaded for answer in answers)
    overtaken = sum(answer.was_overtaken for answer in answers)
    assert loaded > PROMOTIONS / 2
    assert overtaken > 0
    figures["consumer: promotions"] += PROMOTIONS
    figures["consumer: models loaded meanwhile"] += loaded
    figures["consumer: overtaken by a promotion while loading"] += overtaken
    figures["consumer: answers, each of one version"] += answers[-1].number


def test_a_textcnn_is_published_and_whoever_publishes_it_is_told_what_its_reader_must_do(
    tiny_settings: dict[str, str], tmp_path: Path
):
    made, _ = train_textcnn(tiny_settings, tmp_path)
    target = Target(tmp_path / "models" / "intent_predictor")
    candidate = Candidate(
        identity=Identity("cnn", "1", "run", "m-1"),
        source="models:/m-1",
        size=0,
        fetch=lambda folder: Path(shutil.copytree(made.directory, folder / "model")),
    )
    with transaction.queueing(target, wait=1), smoke_in_this_process() as check:
        promotion = transaction.publish(
            target, candidate, checks={"smoke": check}, before_commit=lambda: None
        )
    said = commands.published(target, promotion).as_text()
    assert "whoever reads it must `import intents` first" in said
    assert smoke_child.judge(made.directory)["needs_import_intents"]


def test_a_bert_is_published_without_that_sentence(run: Promote):
    assert "import intents" not in run("--version", "1")[1]


@pytest.mark.parametrize("only", ["kills", "random_kills", "readers,rivals"])
def test_the_bench_finds_every_promise_kept_and_fault_with_naive_publishers(only: str, tmp_path: Path):
    """With processes of its own, really killed. `make prove-promotion` runs it with its full numbers."""
    command = [
        sys.executable,
        "-m",
        "bench.promotion.promotion",
        "--quick",
        "--only",
        only,
        "--folder",
        str(tmp_path),
    ]
    environment = {"PYTHONPATH": f"src:{ROOT}", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every promise was kept" in done.stdout


@pytest.mark.parametrize(
    ("figures", "broken"),
    [
        ({"torn (must be 0)": 0, "found (must not be 0)": 3, "kills": 7}, 0),
        ({"torn (must be 0)": 1}, 1),
        ({"found (must not be 0)": 0}, 1),
    ],
)
def test_the_bench_itself_can_fail(
    figures: dict[str, int], broken: int, broken_promises: Callable[..., list[str]]
):
    assert len(broken_promises(figures)) == broken


@pytest.fixture
def broken_promises() -> Callable[..., list[str]]:
    from bench.promotion import promotion

    return promotion.broken_promises
