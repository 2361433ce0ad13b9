"""A headless Chromium, told what to do over its DevTools protocol."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import signal
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NAMES: Final = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
PATIENCE_SECONDS: Final = 20.0
_LISTENING: Final = b"DevTools listening on "
_ARGUMENTS: Final = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--no-sandbox",  # which a container has no rights for; the pages are our own
    "--disable-dev-shm-usage",
    "--disable-gpu",
    # Nothing goes to the network but what the pages do.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def executable() -> str:
    """Return where it is. Without one the test is skipped, with REQUIRE_BROWSER=1 (as in CI) it fails."""
    for name in NAMES:
        if (path := shutil.which(name)) is not None:
            return path
    missing = f"none of {', '.join(NAMES)} is installed"
    if os.environ.get("REQUIRE_BROWSER") == "1":
        pytest.fail(f"REQUIRE_BROWSER=1, but {missing}", pytrace=False)
    pytest.skip(f"no browser: {missing}")


class Browser:
    """A running browser. One question at a time."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)

    async def open(self, url: str) -> Page:
        """Open a page in a tab of its own, and wait until it is loaded."""
        target = (await self.command("Target.createTarget", url="about:blank"))["targetId"]
        session = (await self.command("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        page = Page(self, session)
        await page.go(url)
        return page

    async def command(self, method: str, session: str | None = None, **parameters: Any) -> Any:
        """Do one thing, and return what came of it. Raises AssertionError when the browser says that it cannot."""
        number = next(self._numbers)
        await self._socket.send_json(
            {"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        )
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                message = await self._socket.receive_json()
                if message.get("id") == number:
                    assert "error" not in message, f"{method}: {message['error']}"
                    return message["result"]


class Page:
    """A tab."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session

    async def go(self, url: str) -> None:
        """Leave for another page, and wait until that is there."""
        await self._browser.command("Page.navigate", self._session, url=url)
        await self.run(
            "new Promise(done => document.readyState === 'complete' ? done() : addEventListener('load', done))"
        )

    async def run(self, script: str) -> Any:
        """Return the value of a JavaScript expression, awaited. Raises AssertionError when it throws."""
        done = await self._browser.command(
            "Runtime.evaluate", self._session, expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")


@asynccontextmanager
async def browsing() -> AsyncIterator[Browser]:
    """Start a browser, and end it with everything that it started and wrote."""
    found = executable()
    # It goes on writing for a moment after it was told to end.
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as directory:
        environ = os.environ | {"HOME": directory, "XDG_CONFIG_HOME": directory, "XDG_CACHE_HOME": directory}
        process = await asyncio.create_subprocess_exec(
            found,
            *_ARGUMENTS,
            f"--user-data-dir={Path(directory) / 'profile'}",
            "about:blank",
            env=environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            url = await _devtools(process)
            async with aiohttp.ClientSession() as session, session.ws_connect(url, max_msg_size=0) as socket:
                browser = Browser(socket)
                yield browser
                with contextlib.suppress(TypeError):  # it may be gone before it answers
                    await browser.command("Browser.close")
        finally:
            with contextlib.suppress(ProcessLookupError):  # it did as it was told
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _devtools(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    said = b""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while line := await process.stderr.readline():
            said += line
            if line.startswith(_LISTENING):
                return line.removeprefix(_LISTENING).decode().strip()
    raise AssertionError(f"the browser did not start:\n{said.decode(errors='replace')}")
