"""`mlflow models serve`, for real: what it answers, what it refuses, and when it won't start."""

import asyncio
import contextlib
import gzip
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.serving import load, mutations
from bench.serving.load import Client, Reply
from tests.conftest import as_served
from tests.serving.conftest import MOST_ROWS
from tests.serving.test_pyfunc import UTTERANCES

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
NO_PARAMS = "params: expected an object with top_k, threshold or both, and nothing else"
NO_TYPE = "Content-Type: expected one of application/json, text/csv, application/vnd.apache.parquet"


def post(port: int, content: Any) -> Reply:
    return load.post(port, json.dumps(content).encode())


@pytest.mark.slow
def test_a_server_says_what_predict_says_in_process(port: int, downloaded: Path):
    params = {"top_k": 2, "threshold": 0.0}
    reply = post(port, {"inputs": UTTERANCES, "params": params})
    expected = as_served(str(downloaded)).predict(UTTERANCES, params=params)
    assert reply.status == 200
    for found, row in zip(json.loads(reply.body)["predictions"], expected, strict=True):
        assert found["intent"] == row.intent
        assert found["energy"] == pytest.approx(row.energy, abs=1e-4)
        assert len(found["alternatives"]) == 2
    assert post(port, {"inputs": []}).body == b'{"predictions": []}'


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"inputs": ["你好", None]}, "row 1: text is missing"),
        ({"inputs": ["你好", "好", 7]}, "row 2: text is not a string"),
        ({"inputs": [["你好"]]}, "row 0: text is not a string"),
        ({"inputs": [float("nan")]}, "row 0: text is not a string"),
        ({"inputs": ["\u200b \u3000"]}, "row 0: text is blank"),
        ({"inputs": ["秘密\0"]}, "row 0: text holds a NUL character"),
        ({"inputs": ["秘密\ud83d"]}, "row 0: text holds a lone surrogate"),
        ({"inputs": ["密" * 10_001]}, "row 0: text is too long: 10,001 characters, at most 10,000"),
        ({"inputs": ["你"] * (MOST_ROWS + 1)}, f"inputs: 41 rows, at most {MOST_ROWS}"),
        ({"inputs": "秘密"}, "inputs: expected a list of texts, found a string"),
        ({"inputs": {"text": "秘密"}}, "inputs: expected a list of texts, found an object"),
        ({"inputs": None}, "inputs: expected a list of texts, found null"),
        (
            {"inputs": ["你"], "params": {"top_k": -1}},
            "params: top_k=-1, expected a whole number from 0 to 1000.",
        ),
        (
            {"inputs": ["你"], "params": {"threshold": float("nan")}},
            "params: threshold=nan, expected an energy: any finite number.",
        ),
    ],
)
def test_what_can_not_be_answered_is_refused_in_one_line(port: int, content: Any, message: str):
    reply = post(port, content)
    said = json.loads(reply.body)
    assert (reply.status, said["error_code"], said["message"]) == (400, "BAD_REQUEST", message)
    assert set(said) <= {"error_code", "message", "sqlstate", "error_class"}


CSV, JSON = "text/csv", "application/json"
NO_HEADER = "the body's first line: expected the columns' names, one of them text"
OTHER_KEYS = "the body: expected inputs, and params if wanted, and nothing else; found "


@pytest.mark.slow
def test_a_table_is_answered_by_its_column_of_texts(port: int):
    expected = post(port, {"inputs": ["多少钱", "你好"]}).body
    table = io.BytesIO()
    pd.DataFrame({"id": ["a17", "a18"], "text": ["多少钱", "你好"]}).to_parquet(table)
    for body, kind in (
        ("id,text\na17,多少钱\na18,你好\n".encode(), CSV),
        (
            json.dumps({"dataframe_records": [{"lang": "zh", "text": "多少钱"}, {"text": "你好"}]}).encode(),
            JSON,
        ),
        (json.dumps({"dataframe_split": {"columns": ["0"], "data": [["多少钱"], ["你好"]]}}).encode(), JSON),
        (table.getvalue(), "application/vnd.apache.parquet"),
    ):
        assert load.post(port, body, kind)[:2] == (200, expected), body


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "kind", "status", "message"),
    [
        ('{"inputs": ["秘密"], "instances": ["密码"]}', JSON, 400, f"{OTHER_KEYS}inputs, instances"),
        ('{"inputs": ["秘密"], "inputs": ["密码"]}', JSON, 400, "the body: an object has a key twice"),
        ('{"inputs": ["秘密"], "params": {"秘密": 1}}', JSON, 400, NO_PARAMS),
        ('{"inputs": [1' + "0" * 5000 + "]}", JSON, 400, "the body holds a number of thousands of digits"),
        ("[" * 100_000, JSON, 400, "the body is nested too deeply"),
        ("id,lang\na17,zh\n", CSV, 400, NO_HEADER),
        ("秘密\n密码\n", CSV, 400, NO_HEADER),
        ("id,text\na17,秘密\na18,密码,多\n", CSV, 400, "row 1: 3 values, expected 2, one for each column"),
        ("text\n秘密\n\n密码\n", CSV, 400, "row 1: the line is blank"),
        ("no parquet", "application/vnd.apache.parquet", 400, "the body can't be read as Parquet"),
        ('{"inputs": ["秘密"]}', None, 415, NO_TYPE),
    ],
)
def test_a_body_of_two_meanings_or_none_is_refused_in_one_line(
    port: int, body: str, kind: str | None, status: int, message: str
):
    reply = load.post(port, body.encode(), kind)
    assert (reply.status, json.loads(reply.body)["message"]) == (status, message)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("head", "answer"),
    [
        ("GET /nowhere HTTP/1.1", '{"detail":"Not Found"}'),
        ("GET /invocations HTTP/1.1", '{"detail":"Method Not Allowed"}'),
        ("GET /docs HTTP/1.1", "swagger"),
        ("GET /redoc HTTP/1.1", "redoc"),
        ("GET /openapi.json HTTP/1.1", '"openapi":'),
        ("nothing of the kind", "Invalid HTTP request received."),
        (f"POST /invocations HTTP/1.1\r\nContent-Type: {CSV}\r\nContent-Type: {JSON}", NO_HEADER),
        (
            f"POST /invocations HTTP/1.1\r\nContent-Type: {JSON}\r\nContent-Encoding: gzip",
            "the body is not UTF-8: byte 1",
        ),
    ],
)
def test_what_the_guide_says_is_left_to_mlflow_is(port: int, head: str, answer: str):
    body = gzip.compress(b'{"inputs": ["a"]}') if "gzip" in head else b""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        rest = f"\r\nHost: test\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(f"{head}{rest}".encode() + body)
        said = connection.makefile("rb").read().decode()
    assert answer in said


def problems(reply: Reply) -> list[str]:
    """What is wrong with an answer to a mutated request."""
    text = reply.body.decode()
    found = [word for word in ("Traceback", "stack_trace", 'File "', str(ROOT)) if word in text]
    if reply.status >= 500:
        found.append(f"status {reply.status}")
    if reply.status == 200 and re.search(r"NaN|Infinity", text):
        found.append("not finite")
    if reply.status >= 400 and ("\n" in (said := json.loads(text)["message"]) or len(said) > 200):
        found.append("more than one line")
    return found


@pytest.mark.slow
def test_mutated_requests_get_no_stack_trace_no_path_and_no_server_error(port: int):
    async def run() -> dict[int, list[str]]:
        wrong = {}
        async with Client(port) as client:
            for number in range(300):
                request = mutations.mutated(UTTERANCES, number)
                if found := problems(await client.post(request.body, request.content_type)):
                    wrong[number] = found
            assert (await client.post(json.dumps({"inputs": ["你好"]}).encode())).status == 200
        return wrong

    assert asyncio.run(run()) == {}


@pytest.mark.slow
def test_the_clients_of_the_guide_run_as_they_stand(port: int, tmp_path: Path):
    blocks = dict(re.findall(r"<!-- test: (\w+) -->\n```\w+\n(.*?)```", GUIDE, re.S))
    assert set(blocks) == {"curl", "python"}
    for language, command in (("curl", ["bash", "-euc"]), ("python", [sys.executable, "-c"])):
        script = blocks[language].replace("localhost:5001", f"127.0.0.1:{port}")
        assert str(port) in script
        process = subprocess.run(
            [*command, script], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
        )
        assert process.returncode == 0, process.stderr
        assert '"intent"' in process.stdout or "intent=" in process.stdout, process.stdout


def serve_in_vain(model: Path, environment: Mapping[str, str], *words: str) -> tuple[int, str]:
    """The exit code of a server that can't start, and what it said."""
    command = ["mlflow", "models", "serve", "-m", str(model), "-p", "0", "--env-manager", "local", *words]
    log = model.parent / "server.log"
    with log.open("w") as file:
        server = subprocess.Popen(
            command, env=dict(environment), stdout=file, stderr=file, start_new_session=True
        )
        try:
            code = server.wait(60)
        except subprocess.TimeoutExpired:
            pytest.fail(f"it did not stop:\n{log.read_text()}")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
    return code, log.read_text()


@pytest.mark.services
def test_a_damaged_model_or_a_wrong_setting_stops_the_server_with_a_line_that_says_why(
    downloaded: Path, environment: dict[str, str], tmp_path: Path
):
    damaged = Path(shutil.copytree(downloaded, tmp_path / "damaged"))
    weights = damaged / "artifacts" / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    # Two workers: were they started again and again, it would never end.
    _, said = serve_in_vain(damaged, environment, "-w", "2")
    assert "error: the model can't be served: " in said
    assert "model.safetensors: its sha256 is not the manifest's" in said
    assert "Traceback" not in said

    wrong = environment | {"INTENTS_QUEUE": "many"}
    code, said = serve_in_vain(downloaded, wrong)
    assert code != 0
    assert "INTENTS_QUEUE='many': expected a whole number" in said
