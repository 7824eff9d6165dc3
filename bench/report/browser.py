"""A real headless Chromium, driven over its DevTools protocol through two pipes: no port, no driver, no package."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ANSWER_SECONDS = 60.0
DOMAINS = ("Page", "Runtime", "Log", "Network")
"""What the browser reports of: loading, scripts, complaints, requests."""
TO_BROWSER, FROM_BROWSER = 3, 4
"""The file descriptors that --remote-debugging-pipe reads and writes, in the browser's process."""


def program() -> str | None:
    """Where Chromium is installed, if it is."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Browser:
    """One tab. Every method waits until the browser has answered; an error of the page's script is raised."""

    def __init__(self, folder: Path, *, width: int = 1200, height: int = 900) -> None:
        self.process, self.commands, self.answers = _start(folder)
        self.unread, self.number, self.session = b"", 0, ""
        self.complaints: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in DOMAINS:
            self.call(f"{domain}.enable")
        self.requests: list[str] = []
        self.resize(width, height)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.session = ""
        self.call("Browser.close")
        self.process.wait(ANSWER_SECONDS)
        os.close(self.commands)
        os.close(self.answers)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a command."""
        self.number += 1
        command = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            command["sessionId"] = self.session
        self._send(json.dumps(command).encode() + b"\0")
        while True:
            message = self._next_message()
            if message.get("id") == self.number:
                break
            self._note(message)
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']}")
        result: dict[str, Any] = message["result"]
        return result

    def resize(self, width: int, height: int) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def open(self, path: Path) -> None:
        """Loads the page, until it says that it is ready."""
        self.requests.clear()
        self.call("Page.navigate", url=path.as_uri())
        self.wait_for("document.documentElement?.dataset.ready !== undefined")

    @contextmanager
    def frame(self) -> Iterator[Self]:
        """This browser, its commands going to the frame that has a process of its own, as a sandboxed one has."""
        deadline, outer, frames = time.monotonic() + ANSWER_SECONDS, self.session, []
        while not frames and time.monotonic() < deadline:
            targets = self.call("Target.getTargets", filter=[{"type": "iframe"}])["targetInfos"]
            frames = [target["targetId"] for target in targets]
        self.session = self.call("Target.attachToTarget", targetId=frames[0], flatten=True)["sessionId"]
        for domain in DOMAINS:
            self.call(f"{domain}.enable")
        try:
            yield self
        finally:
            self.session = outer

    def wait_for(self, condition: str) -> None:
        """Returns as soon as the JavaScript expression is true."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while not self.value(condition):
            if time.monotonic() > deadline:
                raise TimeoutError(f"never became true: {condition}; the page said {self.complaints}")
            time.sleep(0.02)

    def value(self, expression: str) -> Any:
        """What the JavaScript expression is."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(f"{expression}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def click(self, x: float, y: float) -> None:
        """A press and a release of the left mouse button, there in the window."""
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def click_on(self, selector: str) -> None:
        """Scrolls to the element and clicks on its middle."""
        self.click(*self.middle(selector))

    def middle(self, selector: str) -> tuple[float, float]:
        """Where in the window the element's middle is, scrolled to."""
        script = (
            f"(() => {{ const found = document.querySelector({json.dumps(selector)});"
            "found.scrollIntoView({block: 'center', behavior: 'instant'});"
            "const box = found.getBoundingClientRect();"
            "return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        x, y = self.value(script)
        return x, y

    def press(self, key: str, code: int) -> None:
        """A key by its DOM name and its Windows code; Enter types its character, too."""
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            pressed = {"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code}
            self.call("Input.dispatchKeyEvent", **pressed, **(text if kind == "keyDown" else {}))

    def type(self, text: str) -> None:
        """Types into what has the focus."""
        self.call("Input.insertText", text=text)

    def screenshot(self, path: Path, *, is_whole: bool = True) -> None:
        """A picture of the whole page, or of the window."""
        taken = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=is_whole)
        path.write_bytes(base64.b64decode(taken["data"]))

    def _send(self, message: bytes) -> None:
        while message:
            message = message[os.write(self.commands, message) :]

    def _next_message(self) -> dict[str, Any]:
        deadline = time.monotonic() + ANSWER_SECONDS
        while b"\0" not in self.unread:
            ready, _, _ = select.select([self.answers], [], [], max(0.0, deadline - time.monotonic()))
            read = os.read(self.answers, 1 << 20) if ready else b""
            if not read:
                raise TimeoutError(f"Chromium did not answer; its exit code: {self.process.poll()}")
            self.unread += read
        message, self.unread = self.unread.split(b"\0", 1)
        found: dict[str, Any] = json.loads(message)
        return found

    def _note(self, message: dict[str, Any]) -> None:
        """Keeps what the page asked for, and what went wrong in it."""
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(parameters["exceptionDetails"]["exception"].get("description", "an error"))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in {"error", "warning"}:
            self.complaints.append(parameters["entry"]["text"])


def _start(folder: Path) -> tuple[subprocess.Popen[bytes], int, int]:
    """The browser's process, and the descriptors that write to it and read from it."""
    read_end, commands = os.pipe()
    answers, write_end = os.pipe()
    # Out of the way of 3 and 4, so that neither dup2 below closes what the other needs.
    theirs = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (read_end, write_end)]

    def become_3_and_4() -> None:
        os.dup2(theirs[0], TO_BROWSER)
        os.dup2(theirs[1], FROM_BROWSER)

    found = program()
    assert found, "ask program() first"
    flags = ["--headless", "--remote-debugging-pipe", f"--user-data-dir={folder}", "--no-first-run"]
    flags += [
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--hide-scrollbars",
    ]
    flags += ["--no-sandbox"] if os.geteuid() == 0 else []
    process = subprocess.Popen(
        [found, *flags],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(TO_BROWSER, FROM_BROWSER),
        preexec_fn=become_3_and_4,
    )
    for end in (read_end, write_end, *theirs):
        os.close(end)
    return process, commands, answers
