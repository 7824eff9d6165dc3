"""A server of `mlflow models serve`, and clients that ask it over connections they keep open."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

START_SECONDS = 120


class Reply(NamedTuple):
    """One answer, and how long it took."""

    status: int
    body: bytes
    seconds: float


@contextlib.contextmanager
def served(
    model: str, folder: Path, *, environment: Mapping[str, str], workers: int = 1
) -> Iterator[tuple[int, int]]:
    """(port, process id) of a server of the model, once it is ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["mlflow", "models", "serve", "-m", model, "-p", str(port), "--env-manager", "local"]
    command += ["-w", str(workers)]
    log = folder / f"server-{port}.log"
    with log.open("w") as file:
        server = subprocess.Popen(
            command, cwd=folder, env=dict(environment), stdout=file, stderr=file, start_new_session=True
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _is_ready(port):
            assert server.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.2)
        yield port, server.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


class Client:
    """One connection. What is sent is written as it is: a request need not be a sound one."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writer: asyncio.StreamWriter | None = None

    async def post(self, body: bytes, content_type: str | None = "application/json") -> Reply:
        """The answer of /invocations."""
        kind = f"Content-Type: {content_type}\r\n" if content_type is not None else ""
        head = f"POST /invocations HTTP/1.1\r\nHost: bench\r\n{kind}Content-Length: {len(body)}\r\n\r\n"
        began = time.perf_counter()
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(head.encode("latin-1") + body)
        await self._writer.drain()
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        answer = await self._reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection") == "close":
            await self.close()
        return Reply(int(lines[0].split()[1]), answer, time.perf_counter() - began)

    async def close(self) -> None:
        """Closes the connection; another request opens another."""
        if self._writer is not None:
            self._writer.close()
            await self._writer.wait_closed()
            self._writer = None

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def post(port: int, body: bytes, content_type: str | None = "application/json") -> Reply:
    """The answer to one request, over a connection of its own."""

    async def run() -> Reply:
        async with Client(port) as client:
            return await client.post(body, content_type)

    return asyncio.run(run())


def ask(port: int, bodies: Sequence[bytes], *, clients: int, seconds: float) -> tuple[list[Reply], float]:
    """Every answer that `clients` got in so many seconds, each asking again as soon as it is answered; the seconds."""
    return asyncio.run(_ask(port, bodies, clients, seconds))


async def _ask(port: int, bodies: Sequence[bytes], clients: int, seconds: float) -> tuple[list[Reply], float]:
    replies: list[Reply] = []
    began = time.perf_counter()

    async def run(number: int) -> None:
        place = number
        async with Client(port) as client:
            while time.perf_counter() - began < seconds:
                replies.append(await client.post(bodies[place % len(bodies)]))
                place += clients

    await asyncio.gather(*(run(number) for number in range(clients)))
    return replies, time.perf_counter() - began
