"""A headless Chromium for tests, controlled over a pipe: pages, their log and requests, pointer and media."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from results.record_types import JsonObject

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--enable-unsafe-swiftshader", "--remote-debugging-pipe",
]  # fmt: skip
START = """
import os, sys
read, write = (os.dup(int(number)) for number in sys.argv[1:3])
for file, number in ((read, 3), (write, 4)):  # Chromium reads commands from file 3 and writes answers to file 4
    os.dup2(file, number)
    os.set_inheritable(number, True)
os.execv(sys.argv[3], sys.argv[3:])
"""
DOMAINS = ("Page", "Runtime", "Log", "Network")
TIMEOUT_S = 90


class Browser:
    """One page of a Chromium. ``events`` holds all its events so far."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read = write, read
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self.events: list[JsonObject] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in DOMAINS:
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> JsonObject:
        """Send a command of the DevTools protocol and return its result."""
        self._number += 1
        number = self._number
        message: JsonObject = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, answer["error"]
                result: JsonObject = answer["result"]
                return result
            self.events.append(answer)

    def open(self, path: Path, width: int = 1200, height: int = 900, *, dark: bool = False) -> None:
        """Open a page in a window of this size, with a light or dark colour scheme."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=path.as_uri())
        self.wait("document.readyState === 'complete'")

    def value(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait(self, expression: str) -> None:
        """Wait until a JavaScript expression is true in the page."""
        end = time.monotonic() + TIMEOUT_S
        while not self.value(expression):
            assert time.monotonic() < end, f"not true in time: {expression}"
            time.sleep(0.05)

    def point(self, x: float, y: float, *, click: bool = False) -> None:
        """Move the pointer to a position in the window; with ``click``, press it there."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased") if click else ():
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def complaints(self) -> list[str]:
        """Return the errors and exceptions of the page so far, without messages of the graphics driver."""
        found = []
        for event in self.events:
            details = event.get("params", {})
            if event["method"] == "Runtime.exceptionThrown":
                found.append(json.dumps(details["exceptionDetails"]))
            elif event["method"] == "Log.entryAdded" and details["entry"]["level"] == "error":
                found.append(details["entry"]["text"])
            elif event["method"] == "Runtime.consoleAPICalled" and details["type"] in ("error", "assert"):
                found.append(json.dumps(details["args"]))
        return found

    def fetched(self) -> list[str]:
        """Return the addresses that pages have requested."""
        sent = [event["params"] for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return [request["request"]["url"] for request in sent]

    def _next(self) -> JsonObject:
        while b"\0" not in self._buffer:
            part = os.read(self._read, 1 << 16)
            assert part, "Chromium has exited"
            self._buffer += part
        text, self._buffer = self._buffer.split(b"\0", 1)
        message: JsonObject = json.loads(text)
        return message


@contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """Start a Chromium with a fresh profile folder, and terminate it afterwards."""
    assert CHROMIUM is not None
    commands, answers = os.pipe(), os.pipe()
    ours = (commands[1], answers[0])
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            START,
            str(commands[0]),
            str(answers[1]),
            CHROMIUM,
            *FLAGS,
            f"--user-data-dir={profile}",
        ],
        pass_fds=(commands[0], answers[1]),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(commands[0])
    os.close(answers[1])
    try:
        yield Browser(*ours)
    finally:
        process.terminate()
        process.wait(timeout=30)
        for file in ours:
            os.close(file)
