"""The chat service's five lines, in a process that has never heard of this project."""

import io
import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.artifacts import download_artifacts
from mlflow.pyfunc import PythonModelContext

from intents.serving.pyfunc import IntentModel
from tests.conftest import Logged, Trained
from tests.training.test_stages import train_textcnn

UTTERANCES = ["你好呀", "几点钟", "我还钱", "别打来，谢谢", "龘龘", "播放音乐"]

# `-I` keeps the checkout off the path; the first line keeps out a copy that pip installed.
CONSUMER = """
import sys; sys.modules["intents"] = sys.modules["registry"] = None
import json, torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
directory, texts = sys.argv[1], json.loads(sys.argv[2])
tokenizer = AutoTokenizer.from_pretrained(directory)
model = AutoModelForSequenceClassification.from_pretrained(directory)
id2intent = {int(i): intent for i, intent in json.load(open(directory + "/intent_mapping.json"))["id2intent"].items()}
rows = []
for text in texts:
    inputs = tokenizer(text, return_tensors="pt", truncation=True, max_length=128)
    confidence, label = torch.softmax(model(**inputs).logits, -1).max(-1)
    rows.append([id2intent[int(label)], float(confidence)])
try:
    import intents
except ImportError:
    print(json.dumps(rows))
"""


WITHOUT_THIS_PROJECT, REST = CONSUMER.strip().split("\n", maxsplit=1)
ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
KNOWING_CONSUMER = f"import sys; sys.path.insert(0, {str(SOURCE)!r}); import intents\n" + REST.replace(
    "import intents\nexcept ImportError:", "pass\nfinally:"
)
"""The same five lines after `import intents`."""


def run(script: str, directory: Path, elsewhere: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-c", script, str(directory), json.dumps(UTTERANCES)],
        cwd=elsewhere,
        env={"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def consume(directory: Path, elsewhere: Path, script: str = CONSUMER) -> list[tuple[str, float]]:
    process = run(script, directory, elsewhere)
    assert process.returncode == 0, process.stderr
    return [(intent, confidence) for intent, confidence in json.loads(process.stdout)]


@pytest.fixture(params=["fine-tuned", "char, from the registry"])
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A model directory of each encoder: as training leaves it, and as it comes out of MLflow."""
    if request.param == "fine-tuned":
        trained: Trained = request.getfixturevalue("trained")
        return trained.directory
    request.getfixturevalue("in_store")
    logged: Logged = request.getfixturevalue("logged")
    return (
        Path(download_artifacts(logged.model_uri, dst_path=str(tmp_path / "model"))) / "artifacts" / "model"
    )


def test_five_lines_without_this_project_say_what_the_pyfunc_says(directory: Path, tmp_path: Path):
    check_agreement(directory, consume(directory, tmp_path))


def test_a_textcnn_needs_this_project_and_then_says_what_the_pyfunc_says(
    tiny_settings: dict[str, str], tmp_path: Path
):
    made, _ = train_textcnn(tiny_settings, tmp_path)
    process = run(CONSUMER, made.directory, tmp_path)
    assert process.returncode != 0
    assert "text_cnn" in process.stderr
    check_agreement(made.directory, consume(made.directory, tmp_path, KNOWING_CONSUMER))


def check_agreement(directory: Path, theirs: list[tuple[str, float]]) -> None:
    model = IntentModel()
    model.load_context(PythonModelContext({"model": str(directory)}, model_config=None))
    ours = model.predict(None, UTTERANCES)
    assert [intent for intent, _ in theirs] == [row.best_intent for row in ours]
    assert [confidence for _, confidence in theirs] == pytest.approx(
        [row.confidence for row in ours], abs=1e-4
    )
    # not because the model says one thing of everything
    assert len({intent for intent, _ in theirs}) > 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "the following arguments are required: target"),
        (["nowhere"], "nowhere: no such directory; publish"),
    ],
)
def test_the_documented_reader_says_how_it_is_used(
    arguments: list[str], reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys, "argv", ["docs/consumer.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "docs" / "consumer.py"), run_name="__main__")
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith("usage: consumer.py [-h] target\n")
    assert reason in said


def test_the_documented_reader_refuses_a_blank_line_in_its_place(
    trained: Trained, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys, "argv", ["docs/consumer.py", str(trained.directory)])
    monkeypatch.setattr(sys, "stdin", io.StringIO("你好\n \n几点钟\n"))
    runpy.run_path(str(ROOT / "docs" / "consumer.py"), run_name="__main__")
    first, blank, last = capsys.readouterr().out.splitlines()
    assert blank == "can't be answered: text is blank"
    assert all(re.fullmatch(r".+ 0\.\d+", line) for line in (first, last))
