"""A stand-in for the Hugging Face hub: what its client asks of it over HTTP, answered from folders on this machine."""

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

DISCUSSION = {
    "title": "Adding `safetensors` variant of this model",
    "num": 1,
    "status": "open",
    "isPullRequest": True,
    "createdAt": "2024-01-01T00:00:00.000Z",
}


@dataclass
class Hub:
    """Repositories by id, how each is guarded, and every request that came. Its address goes into HF_ENDPOINT."""

    address: str = ""
    repositories: dict[str, Path] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    """Repository -> the status its every request is answered with."""
    gated: set[str] = field(default_factory=set)
    """Repositories that anyone may look up, but not fetch from."""
    proposals: dict[str, tuple[str, Path]] = field(default_factory=dict)
    """Repository -> the author of its one pull request, and the files it proposes."""
    cut: set[str] = field(default_factory=set)
    """Files, by name, whose connection breaks in the middle."""
    requests: list[tuple[str, str]] = field(default_factory=list)
    """(method, path) of each request, in order."""

    def fetched(self, repository: str) -> list[str]:
        """The files of a repository whose content was asked for, in order."""
        start = f"/{repository}/resolve/"
        return [
            path.split("/", 5)[5]
            for method, path in self.requests
            if method == "GET" and path.startswith(start)
        ]


def commit(folder: Path) -> str:
    """A name for what the folder holds, as a commit is one."""
    digest = hashlib.sha1()
    for file in sorted(folder.iterdir()):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_HEAD(self) -> None:
        self.route()

    def do_GET(self) -> None:
        self.route()

    def log_message(self, *_: object) -> None:
        """Nothing: `requests` is the log."""

    def route(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path))
        is_api = path.startswith("/api/models/")
        owner, name, *rest = path.removeprefix("/api/models").strip("/").split("/")
        repository = f"{owner}/{name}"
        if repository in self.hub.refused:
            self.answer(self.hub.refused[repository], {}, b"")
        elif repository not in self.hub.repositories:
            self.answer(404, {"X-Error-Code": "RepoNotFound"}, b"")
        elif is_api and rest[:1] == ["discussions"]:
            self.discussions(repository)
        elif is_api:
            self.description(self.folder(repository, "/".join(rest[1:]) or "main"), repository)
        elif repository in self.hub.gated:
            self.answer(403, {"X-Error-Code": "GatedRepo"}, b"")
        else:
            self.file(self.folder(repository, rest[1]), rest[2])

    def folder(self, repository: str, revision: str) -> Path:
        """What the repository holds at a branch, a pull request or a commit."""
        main = self.hub.repositories[repository]
        _, proposed = self.hub.proposals.get(repository, ("", main))
        return proposed if revision in {"refs/pr/1", commit(proposed)} else main

    def description(self, folder: Path, repository: str) -> None:
        siblings = [{"rfilename": file.name} for file in sorted(folder.iterdir())]
        about = {"id": repository, "sha": commit(folder), "siblings": siblings, "tags": [], "private": False}
        self.answer(200, {"Content-Type": "application/json"}, json.dumps(about).encode())

    def discussions(self, repository: str) -> None:
        """Its pull request, whoever's is asked for: a client must look at the author. Without one they are closed."""
        if repository not in self.hub.proposals:
            self.answer(403, {}, b"")
            return
        author, _ = self.hub.proposals[repository]
        found = DISCUSSION | {"author": {"name": author}, "repo": {"name": repository, "type": "model"}}
        body = json.dumps({"discussions": [found], "count": 1, "start": 0}).encode()
        self.answer(200, {"Content-Type": "application/json"}, body)

    def file(self, folder: Path, name: str) -> None:
        headers = {"X-Repo-Commit": commit(folder)}
        if not (folder / name).is_file():
            self.answer(404, headers | {"X-Error-Code": "EntryNotFound"}, b"")
            return
        content = (folder / name).read_bytes()
        headers["ETag"] = f'"{hashlib.sha256(content).hexdigest()}"'
        begin = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if begin:
            headers["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
        middle = len(content) // 2 if name in self.hub.cut else None
        self.answer(206 if begin else 200, headers, content[begin:], sent=content[begin:middle])

    def answer(self, status: int, headers: dict[str, str], body: bytes, *, sent: bytes | None = None) -> None:
        """Promises all of `body`. Where less is `sent`, the connection ends there."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body if sent is None else sent)
            self.close_connection = sent is not None and sent != body


@contextlib.contextmanager
def serve() -> Iterator[Hub]:
    """A hub without repositories on a free port of this machine."""
    hub = Hub()
    handler = type("HandlerOfOneHub", (Handler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        hub.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()
