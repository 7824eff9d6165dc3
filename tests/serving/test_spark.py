"""The logged model on a real local Spark: 100,000 rows, and the answers of a server, a batch and this process."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest

from intents import cli
from tests.conftest import Logged, as_served
from tests.serving.files.conftest import TEXTS, read
from tests.serving.files.test_score import ODD, lines

pytestmark = [
    pytest.mark.services,
    pytest.mark.usefixtures("in_store"),
    pytest.mark.filterwarnings("ignore::FutureWarning:pyspark.*"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # py4j's sockets
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
ROWS = 100_000
COLUMNS = ("intent", "confidence", "energy", "in_scope", "best_intent")
CASES = [text + tail for text in (*ODD, *TEXTS) for tail in ("", *map(str, range(20)))]
CASES = [text for text in CASES if len(text) <= 10_000][:1000]


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    """Spark in this machine, with two Python workers."""
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("Spark needs Java: apt-get install --no-install-recommends default-jre-headless")
    sql = pytest.importorskip("pyspark.sql", reason="pip install -c constraints.txt '.[spark]'")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        settings = {
            "spark.ui.enabled": "false",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.memory": "1g",
            "spark.sql.execution.arrow.maxRecordsPerBatch": "2000",
        }
        builder = sql.SparkSession.builder.master("local[2]").config(map=settings)
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        yield session
        session.stop()


def answered_by_spark(spark: Any, uri: str, texts: list[str]) -> list[Any]:
    """The rows of Spark's answers, in order."""
    answer = mlflow.pyfunc.spark_udf(spark, uri, env_manager="local")
    table = spark.createDataFrame(list(enumerate(texts)), "id long, text string").repartition(4)
    return table.withColumn("answer", answer("text")).select("id", "answer.*").orderBy("id").collect()


def test_a_hundred_thousand_rows_have_an_answer_each(spark: Any, logged: Logged):
    texts = [f"{TEXTS[number % len(TEXTS)]}{number}" for number in range(ROWS)]
    found = answered_by_spark(spark, logged.model_uri, texts)
    assert [row["id"] for row in found] == list(range(ROWS))
    sample = range(0, ROWS, 997)
    expected = as_served(logged.model_uri).predict([texts[number] for number in sample])
    assert_same([found[number] for number in sample], [row.model_dump() for row in expected])


def test_of_a_struct_the_column_text_is_answered(spark: Any, logged: Logged):
    answer = mlflow.pyfunc.spark_udf(spark, logged.model_uri, env_manager="local")
    rows = [(str(number), text) for number, text in enumerate(TEXTS)]
    table = spark.createDataFrame(rows, "id string, text string")
    struct = pytest.importorskip("pyspark.sql.functions").struct
    found = table.withColumn("answer", answer(struct("id", "text"))).select("answer.*").collect()
    expected = as_served(logged.model_uri).predict(list(TEXTS))
    assert_same(found, [row.model_dump() for row in expected])

    for wrong, reason in (
        (
            table.select(answer(struct("id", table["text"].alias("utterance")))),
            "inputs: 2 columns, none named",
        ),
        (spark.createDataFrame([(None,)], "text string").select(answer("text")), "row 0: text is missing"),
    ):
        with pytest.raises(Exception, match=reason):
            wrong.collect()


def test_a_server_a_batch_spark_and_this_process_give_the_same_answers(
    spark: Any, logged: Logged, tmp_path: Path
):
    in_process = [row.model_dump() for row in as_served(logged.model_uri).predict(CASES)]
    assert len(in_process) == 1000
    assert_same(answered_by_spark(spark, logged.model_uri, CASES), in_process)
    assert_same(answered_by_batch(logged, tmp_path), in_process)
    assert_same(answered_by_server(logged, tmp_path), in_process)


def answered_by_batch(logged: Logged, folder: Path) -> list[dict[str, Any]]:
    (folder / "in.jsonl").write_text(lines(*CASES), encoding="utf-8")
    flags = {"input": folder / "in.jsonl", "output": folder / "out.jsonl", "model": logged.model_uri}
    assert cli.main(["score", *(f"--{name}={value}" for name, value in flags.items())]) == 0
    return read(folder / "out.jsonl")


def answered_by_server(logged: Logged, folder: Path) -> list[dict[str, Any]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = ["-m", logged.model_uri, "--port", str(port), "--env-manager", "local"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "models", "serve", *words],
            env={**os.environ, "PATH": path},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                return asked(port, CASES)
            except urllib.error.HTTPError:
                raise  # it is there, and refuses
            except urllib.error.URLError:
                assert time.monotonic() < deadline
                assert server.poll() is None, (folder / "server.log").read_text()
                time.sleep(0.5)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def asked(port: int, texts: list[str]) -> list[dict[str, Any]]:
    found = []
    for start in range(0, len(texts), 100):
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations",
            json.dumps({"inputs": texts[start : start + 100]}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            found += json.load(response)["predictions"]
    return found


def assert_same(found: list[Any], expected: list[Any]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        for name in COLUMNS:
            same = pytest.approx(other[name], abs=1e-4) if isinstance(other[name], float) else other[name]
            assert one[name] == same
