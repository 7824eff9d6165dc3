"""The logged model, loaded as MLflow loads it: strings in, typed rows out, the project not needed."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModelContext
from tokenizers import normalizers

from intents.models import directory as model_directory
from intents.models.network import predict_logits
from intents.serving.pyfunc import IntentModel
from tests.conftest import INTENTS, Logged, as_served

FIELDS = ["intent", "confidence", "energy", "in_scope", "best_intent", "alternatives"]
UTTERANCES = ["你好呀", "几点钟", "我还钱", "别打来，谢谢", "龘龘龘", "播放音乐的，今天"]

NO_COLUMN = "inputs: 2 columns, none named text; name the column of the texts so, or send no other"

BEFORE_PACKAGES = Path(__file__).parents[1] / "fixtures" / "logged_before_packages.tar.xz"
"""A TextCNN logged when the code's modules had other names, and answers that it gave then."""

SERVER = """
import sys; sys.modules["registry"] = None
from pathlib import Path
sys.path = [folder for folder in sys.path if not (Path(folder) / "intents").exists()]
import json, mlflow
rows = mlflow.pyfunc.load_model(sys.argv[1]).predict(json.loads(sys.argv[2]), params=json.loads(sys.argv[3]))
code = [module.__file__ for name, module in sys.modules.items() if name.split(".")[0] == "intents"]
print(json.dumps({"code": code, "rows": [row.model_dump() for row in rows]}))
"""


@pytest.fixture(scope="module")
def downloaded(store: str, logged: Logged, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The logged model's own folder, as a server downloads it."""
    mlflow.set_tracking_uri(store)
    return Path(download_artifacts(logged.model_uri, dst_path=str(tmp_path_factory.mktemp("model"))))


@pytest.fixture(scope="module")
def model(downloaded: Path) -> Any:
    return as_served(str(downloaded))


@pytest.fixture(scope="module")
def rows(model: Any) -> list[Any]:
    return model.predict(UTTERANCES)


def test_each_utterance_gives_one_row_with_the_agreed_fields_in_order(rows: list[Any]):
    assert len(rows) == len(UTTERANCES)
    assert all(list(row.model_dump()) == FIELDS for row in rows)
    assert {row.best_intent for row in rows} <= set(INTENTS)


def test_the_numbers_are_those_of_the_model_directory(downloaded: Path, rows: list[Any]):
    loaded = model_directory.load(downloaded / "artifacts" / "model")
    logits = predict_logits(loaded.module, loaded.tokenizer, texts=UTTERANCES, max_length=32).astype(float)
    sums = np.exp(logits).sum(axis=1)
    assert [row.energy for row in rows] == pytest.approx(list(-np.log(sums)), abs=1e-4)
    assert [row.confidence for row in rows] == pytest.approx(list(np.exp(logits.max(1)) / sums), abs=1e-4)


def test_an_utterance_is_unknown_exactly_when_its_energy_exceeds_the_threshold(model: Any, downloaded: Path):
    threshold = model_directory.load(downloaded / "artifacts" / "model").rejection.energy_threshold
    found = model.predict([*UTTERANCES, *(start for starts in INTENTS.values() for start in starts)])
    assert {row.in_scope for row in found} == {True, False}  # both kinds are here
    for row in found:
        assert row.in_scope == (row.energy <= threshold)
        assert row.intent == (row.best_intent if row.in_scope else "Unknown")


def test_top_k_adds_the_runners_up_the_likelier_first(model: Any, rows: list[Any]):
    for row, plain in zip(model.predict(UTTERANCES, params={"top_k": 2}), rows, strict=True):
        confidences = [row.confidence, *(other.confidence for other in row.alternatives)]
        assert len(row.alternatives) == 2
        assert confidences == sorted(confidences, reverse=True)
        assert len({row.best_intent, *(other.intent for other in row.alternatives)}) == 3
        assert plain.alternatives == []


def test_a_top_k_beyond_the_intents_gives_them_all(model: Any):
    (row,) = model.predict(["你好"], params={"top_k": 1000})
    confidences = [row.confidence, *(other.confidence for other in row.alternatives)]
    assert (len(confidences), sum(confidences)) == (len(INTENTS), pytest.approx(1, abs=1e-6))


@pytest.mark.parametrize("top_k", [-1, 1001])
def test_a_top_k_out_of_range_is_refused_with_the_range(model: Any, top_k: int):
    with pytest.raises(Exception, match=rf"top_k={top_k}, expected a whole number from 0 to 1000"):
        model.predict(["你好"], params={"top_k": top_k})


def test_no_utterance_gives_no_row(model: Any):
    assert model.predict([]) == []


OTHERS = ["a17"] * len(UTTERANCES)


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"text": UTTERANCES}),
        pd.DataFrame({"utterance": UTTERANCES}),
        pd.DataFrame(UTTERANCES),
        pd.DataFrame({"id": OTHERS, "text": UTTERANCES}),
        pd.DataFrame({"lang": OTHERS, "text": UTTERANCES, "n": range(len(UTTERANCES))}, index=list("abcdef")),
        pd.DataFrame({"id": OTHERS, "text": pd.Categorical(UTTERANCES)}),
        pd.Series(UTTERANCES, name="anything", index=list("abcdef")),
    ],
    ids=["text alone", "another name", "no name", "id before", "lang before", "categories", "one column"],
)
def test_of_a_table_the_column_text_is_answered_or_the_only_one(model: Any, rows: list[Any], table: Any):
    assert model.predict(table) == rows


@pytest.mark.parametrize(
    "empty", [pd.DataFrame(), pd.DataFrame({"text": []}), pd.DataFrame({"id": [], "text": []}), pd.Series([])]
)
def test_an_empty_table_gives_no_row(model: Any, empty: Any):
    assert model.predict(empty) == []


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ([None], "row 0: text is missing"),
        (["你好", 1], "row 1: text is not a string"),
        ([["你好"]], "row 0: text is not a string"),
        ([float("nan")], "row 0: text is not a string"),
        (["你好", " "], "row 1: text is blank"),
        ("你好", "inputs: expected a list of texts, found a string"),
        (np.array(["你好"]), "inputs: expected a list of texts, found a ndarray"),
        (pd.DataFrame({"text": [None, "你好"]}), "row 0: text is missing"),
        (pd.DataFrame({"text": [None, None]}), "row 0: text is missing"),
        (pd.DataFrame({"id": ["a"], "text": [float("nan")]}), "row 0: text is missing"),
        (pd.Series(["你好", None]), "row 1: text is missing"),
        (pd.DataFrame({"text": [7]}), "row 0: text is not a string"),
        (pd.DataFrame({"id": ["a"], "utterance": ["你好"]}), NO_COLUMN),
        (pd.DataFrame({"Text": ["a"], "lang": ["你好"]}), NO_COLUMN),
        (
            pd.DataFrame([["你好", "早"]], columns=["text", "text"]),
            "inputs: 2 columns are named text, expected one",
        ),
    ],
)
def test_what_is_no_list_of_texts_is_refused_with_its_row(model: Any, wrong: Any, reason: str):
    with pytest.raises(MlflowException) as refused:
        model.predict(wrong)
    assert (refused.value.message, refused.value.get_http_status_code()) == (reason, 400)


def test_texts_that_look_alike_have_one_answer(downloaded: Path):
    served = IntentModel()
    directory = str(downloaded / "artifacts" / "model")
    served.load_context(PythonModelContext({"model": directory}, model_config=None))
    # As a tokenizer that tells them apart; this one's own composes too.
    served._runtime._tokenizer.normalizer = normalizers.Sequence([])
    assert len({len(tokens) for tokens in served._runtime.tokens(["é", "e\u0301"])}) == 2
    composed, decomposed = served.predict(None, ["é老师", "e\u0301老师"])
    assert composed == decomposed


@pytest.mark.parametrize("threshold", [float("nan"), float("inf")])
def test_a_threshold_that_is_no_number_is_refused(model: Any, threshold: float):
    with pytest.raises(MlflowException, match=r"threshold=.*, expected an energy: any finite number"):
        model.predict(["你好"], params={"threshold": threshold})


def test_a_threshold_takes_the_place_of_the_models_own(model: Any, rows: list[Any]):
    assert {row.intent for row in model.predict(UTTERANCES, params={"threshold": -1e9})} == {"Unknown"}
    accepted = model.predict(UTTERANCES, params={"threshold": 1e9})
    assert [row.intent for row in accepted] == [row.best_intent for row in rows]


def test_in_process_there_is_no_limit_on_rows(model: Any):
    assert len(model.predict(["你好"] * 3_000)) == 3_000


def test_a_model_whose_numbers_are_not_finite_answers_nothing(downloaded: Path, tmp_path: Path):
    loaded = model_directory.load(downloaded / "artifacts" / "model")
    with torch.no_grad():
        next(loaded.module.parameters()).fill_(torch.nan)
    broken = tmp_path / "model"
    model_directory.save(
        broken,
        loaded.module,
        tokenizer=loaded.tokenizer,
        intents=loaded.intents,
        rejection=loaded.rejection,
    )
    model_directory.seal(broken)
    served = IntentModel()
    served.load_context(PythonModelContext({"model": str(broken)}, model_config=None))
    with pytest.raises(MlflowException) as refused:
        served.predict(None, ["你好"])
    assert refused.value.get_http_status_code() == 500
    assert refused.value.message.startswith("row 0: the model's logits are not finite numbers")


def test_the_signature_names_every_field_and_parameter_and_the_models_own_threshold(
    model: Any, downloaded: Path
):
    signature = model.metadata.signature
    fields = {field.name for field in signature.outputs.inputs[0].type.properties}
    assert fields == set(FIELDS)
    threshold = model_directory.load(downloaded / "artifacts" / "model").rejection.energy_threshold
    assert {param.name: param.default for param in signature.params} == {"top_k": 0, "threshold": threshold}


def test_the_logged_model_holds_no_pickle(downloaded: Path):
    names = [path.name for path in downloaded.rglob("*")]
    assert "model.safetensors" in names
    assert [name for name in names if name.endswith((".pkl", ".pickle", ".bin", ".pt", ".pth"))] == []


def test_the_logged_model_tells_nothing_of_the_machine_it_was_trained_on(downloaded: Path):
    here = str(Path(__file__).parents[2])
    texts = {path.name: path.read_bytes() for path in downloaded.rglob("*") if path.is_file()}
    assert "MLmodel" in texts
    assert [name for name, text in texts.items() if here.encode() in text] == []


def answers_where_no_checkout_is(model: Path, texts: list[str], **params: Any) -> list[dict[str, Any]]:
    """What a process of its own answers, all of whose code of this project is the model's copy."""
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "MLFLOW_TRACKING_URI"}}
    process = subprocess.run(
        [sys.executable, "-I", "-c", SERVER, str(model), json.dumps(texts), json.dumps(params)],
        cwd=model.parent,
        env=environment | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    found = json.loads(process.stdout)
    assert len(found["code"]) > 10
    assert [file for file in found["code"] if not Path(file).is_relative_to(model)] == []
    rows: list[dict[str, Any]] = found["rows"]
    return rows


def test_the_logged_model_brings_its_code_and_runs_it_where_no_checkout_is(downloaded: Path, rows: list[Any]):
    found = answers_where_no_checkout_is(downloaded, UTTERANCES, top_k=1)
    assert [row["intent"] for row in found] == [row.intent for row in rows]
    assert [row["energy"] for row in found] == pytest.approx([row.energy for row in rows], abs=1e-4)


def test_a_model_logged_before_the_code_was_moved_answers_as_it_did(tmp_path: Path):
    with tarfile.open(BEFORE_PACKAGES) as archive:
        archive.extractall(tmp_path)  # its filter came with 3.11.4
    logged = tmp_path / "logged_before_packages"
    expected = json.loads((logged / "answers.json").read_text(encoding="utf-8"))
    found = answers_where_no_checkout_is(logged, expected["texts"])
    numbers = ("confidence", "energy")
    for row, then in zip(found, expected["answers"], strict=True):
        assert [row.pop(name) for name in numbers] == pytest.approx(
            [then.pop(name) for name in numbers], abs=1e-4
        )
        assert row == then
