"""The nginx configuration of docs/serving.md, as it stands, between clients and a real server."""

import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.services
GUIDE = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
(DOCUMENTED,) = re.findall(r"```nginx\n(.*?)```", GUIDE, re.S)
AROUND = """
daemon off;
pid {folder}/pid;
{user}
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {documented}
}}
"""
JSON = {"Content-Type": "application/json"}
MOST_CONNECTIONS = 64


@pytest.fixture(scope="module")
def proxy(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of an nginx before the server; skips where none is installed."""
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if nginx is None:
        pytest.skip("no nginx here: apt-get install --no-install-recommends nginx")
    folder = tmp_path_factory.mktemp("nginx")
    with socket.create_server(("127.0.0.1", 0)) as free:
        own = free.getsockname()[1]
    documented = DOCUMENTED.replace("listen 80;", f"listen 127.0.0.1:{own};").replace(
        "127.0.0.1:5001", f"127.0.0.1:{port}"
    )
    assert documented.count(str(own)) == documented.count(f"127.0.0.1:{port}") == 1
    user = "user root;" if os.getuid() == 0 else ""
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder, user=user, documented=documented))
    command = [nginx, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            wait_until_open(own, server)
            yield own
        finally:
            server.terminate()


def wait_until_open(port: int, server: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 20
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert server.poll() is None, server.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.1)


def asked(port: int, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    """Status and body of the answer to one request, over a connection of its own."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request(
            method, path, body, {name.replace("_", "-"): text for name, text in headers.items()}
        )
        answer = connection.getresponse()
        return answer.status, answer.read()


def begun(port: int, length: int) -> http.client.HTTPConnection:
    """A request of which no byte of the body has been sent."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest("POST", "/invocations")
    for name, text in {**JSON, "Content-Length": str(length)}.items():
        connection.putheader(name, text)
    connection.endheaders()
    return connection


def test_what_is_asked_rightly_gets_the_servers_own_answer(proxy: int, port: int):
    for content in ({"inputs": ["你好", "几点钟"], "params": {"top_k": 1}}, {"inputs": ["你好", " "]}):
        body = json.dumps(content).encode()
        direct = asked(port, "POST", "/invocations", body, Content_Type="application/json; charset=utf-8")
        through = asked(proxy, "POST", "/invocations", body, Content_Type="application/json; charset=utf-8")
        assert through == direct
        assert direct[0] in (200, 400)
    assert asked(proxy, "GET", "/ping")[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "content_type", "status"),
    [
        ("GET", "/invocations", "application/json", 403),
        ("PUT", "/invocations", "application/json", 403),
        ("POST", "/invocations", "text/csv", 415),
        ("POST", "/invocations", "application/vnd.apache.parquet", 415),
        ("POST", "/invocations", "", 415),
        ("GET", "/version", "", 404),
        ("GET", "/docs", "", 404),
        ("GET", "/openapi.json", "", 404),
        ("POST", "/invocations/", "application/json", 404),
    ],
)
def test_what_the_guide_keeps_from_the_server_never_reaches_it(
    proxy: int, method: str, path: str, content_type: str, status: int
):
    headers = {"Content_Type": content_type} if content_type else {}
    found, said = asked(proxy, method, path, b"text\na\n", **headers)
    assert found == status
    assert b"nginx" in said


def test_a_million_characters_fit_however_they_are_escaped_and_a_longer_body_is_refused_unread(proxy: int):
    most = json.dumps({"inputs": ["😀" * 10_000] * 100}).encode()
    assert len(most) > 12_000_000
    status, said = asked(proxy, "POST", "/invocations", most, Content_Type="application/json")
    # Through the proxy; these tests' own server takes fewer rows.
    assert (status, json.loads(said)["message"]) == (400, "inputs: 100 rows, at most 40")
    with contextlib.closing(begun(proxy, 13 * 1024 * 1024 + 1)) as connection:
        assert connection.getresponse().status == 413


def test_requests_beyond_the_limit_are_told_to_come_again_and_answered_when_they_do(proxy: int):
    body = b'{"inputs": ["a"]}'
    with contextlib.ExitStack() as stack:
        waiting = [
            stack.enter_context(contextlib.closing(begun(proxy, len(body)))) for _ in range(MOST_CONNECTIONS)
        ]
        time.sleep(0.5)  # nginx has read what was begun
        assert asked(proxy, "POST", "/invocations", body, Content_Type="application/json")[0] == 503
        for connection in waiting:
            connection.send(body)
            assert connection.getresponse().status == 200
    assert asked(proxy, "POST", "/invocations", body, Content_Type="application/json")[0] == 200
