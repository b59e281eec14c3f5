"""The browser client that docs/live.md shows, in a real browser with a microphone that plays real speech."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import subprocess
import threading
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect

from tests.debian import installed
from tests.doors_live.conftest import Serve
from tests.doors_live.test_documented import block
from tests.live.doubles import pcm

_NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def chromium() -> str:
    return installed("chromium", lambda: next(filter(None, map(shutil.which, _NAMES)), None))


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Path]:
    """A folder that is served at http://localhost; ``address`` in it is the server's."""
    folder = tmp_path / "page"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (folder / "address").write_text(f"http://localhost:{server.server_port}")
        yield folder
        server.shutdown()


class Tab:
    """A page under the browser's own protocol for tools."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        await self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while (answer := json.loads(await self._socket.recv())).get("id") != number:
            pass
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    async def evaluate(self, expression: str) -> Any:
        answer = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")


@asynccontextmanager
async def browser(chromium: str, folder: Path, microphone: Path) -> AsyncIterator[Tab]:
    options = [
        "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
        f"--user-data-dir={folder / 'profile'}", "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={microphone}%noloop",
        "about:blank",
    ]  # fmt: skip
    started = partial(subprocess.Popen, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with await asyncio.to_thread(started, [chromium, *options]) as process:
        try:
            told = folder / "profile" / "DevToolsActivePort"
            async with asyncio.timeout(60):
                while not (told.exists() and told.read_text().strip()):
                    assert process.poll() is None, "the browser ended"
                    await asyncio.sleep(0.1)
            port = told.read_text().split()[0]
            async with httpx.AsyncClient() as client:
                targets = (await client.get(f"http://127.0.0.1:{port}/json")).json()
            address = next(own["webSocketDebuggerUrl"] for own in targets if own["type"] == "page")
            async with connect(address, max_size=None) as socket:
                yield Tab(socket)
        finally:
            process.terminate()


async def test_the_browser_client_runs(
    serve_sound: Serve, audio: NDArray[np.float32], chromium: str, page: Path, tmp_path: Path
) -> None:
    microphone = tmp_path / "microphone.wav"
    with wave.open(str(microphone), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(pcm(audio))
    # The page belongs on the server itself; here it only has to be told where that is.
    shown = block("html").replace("location.origin", json.dumps(serve_sound().url))
    (page / "index.html").write_text(shown, encoding="utf-8")
    settled = "document.getElementById('settled').textContent"
    text = ""
    async with browser(chromium, tmp_path, microphone) as tab:
        await tab.call("Page.navigate", url=(page / "address").read_text() + "/index.html")
        await asyncio.sleep(1)
        await tab.evaluate("document.getElementById('go').click()")
        async with asyncio.timeout(60):
            while "worst" not in text:
                await asyncio.sleep(0.2)
                text = await tab.evaluate(settled)
        await tab.evaluate("document.getElementById('end').click()")

    assert "best of times" in text.lower()
