"""A gateway of several processes: one port, one admin server, one process for each core that it may have.

Every worker has a listening socket of its own on the port, and the kernel deals new connections out among them. The parent keeps the
sockets open: while a worker is started again, what was dealt to it waits and is not refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Final

import aiohttp
import orjson

from gateway.merged import MergedMetrics
from runtime.errors import OperatorError, listen_failed
from runtime.parent import Leash
from runtime.ports import free_port
from runtime.worker import WORKER_FD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.spool.owner import Owner
    from runtime.process import Process
    from runtime.settings import Settings

BACKLOG: Final = 1024
FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 2.0
"""What is dealt to a worker that is not there waits for it: so long that one which ends at once costs little, and no longer."""
STEADY_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 0.5
ANSWER_SECONDS: Final = 2.0
GRACE_SECONDS: Final = 3.0


class Worker:
    """One of them: its process, started again when it ends unasked."""

    def __init__(
        self, number: int, listener: socket.socket, process: Process, merged: MergedMetrics, owner: Owner | None
    ) -> None:
        self.number = number
        self.reasons: dict[str, str] = {"process": "starting"}
        self.was_ready = False
        self._listener = listener
        self._process = process
        self._merged = merged
        self._inherits = (listener.fileno(),) if owner is None else (listener.fileno(), owner.descriptor)
        self._child: asyncio.subprocess.Process | None = None
        self._port: int | None = None
        self._answers = self._hangs_up = False

    async def run(self, leash: Leash) -> None:
        """Keep it running until the gateway is asked to stop. Raises OperatorError when it ends by itself before it was ever ready."""
        process, clock = self._process, self._process.clock
        pause = FIRST_PAUSE_SECONDS
        while not process.stopping.is_set():
            began = clock.monotonic()
            self._child = child = await self._start(leash)
            if process.stopping.is_set():
                child.terminate()
            code = await child.wait()
            self._child = self._port = None
            self._answers = False
            self._merged.ended(self.number)
            if process.stopping.is_set():
                return
            if not self.was_ready and code >= 0:
                raise OperatorError(f"worker {self.number} of the gateway did not start: its log says why")
            if clock.monotonic() - began > STEADY_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            self.reasons = {"process": f"ended with {code}"}
            process.log.error("worker ended", worker=self.number, code=code, again_in_seconds=pause)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await process.stopping.wait()
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def look(self, session: aiohttp.ClientSession) -> None:
        """Ask it for its readiness and its metrics, again and again."""
        while True:
            if self._port is not None:
                await self._ask(session, self._port)
            await self._process.clock.sleep(LOOK_SECONDS)

    def terminate(self) -> None:
        """Ask it to drain. Does not wait."""
        if self._child is not None and self._child.returncode is None:
            self._child.terminate()

    def hang_up(self) -> None:
        """Let it read its configuration anew: now, or as soon as it answers: SIGHUP would end one that is not so far. Does not wait."""
        self._hangs_up = not self._answers
        if self._answers and self._child is not None and self._child.returncode is None:
            self._child.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        """End it at once. Does not wait."""
        if self._child is not None and self._child.returncode is None:
            self._child.kill()

    async def _ask(self, session: aiohttp.ClientSession, port: int) -> None:
        url = f"http://127.0.0.1:{port}"
        try:
            async with session.get(url + "/readyz") as response:
                answer = orjson.loads(await response.read())
            async with session.get(url + "/metrics") as response:
                page = await response.text()
        except (aiohttp.ClientError, TimeoutError, orjson.JSONDecodeError) as error:
            self.reasons = {"process": f"does not answer: {str(error) or type(error).__name__}"}
            return
        if port != self._port:
            return  # it was the last word of one that has ended
        self._answers = True
        if self._hangs_up:
            self.hang_up()
        self.reasons = {} if answer.get("ready") is True else dict(answer.get("reasons", {}))
        self.was_ready = self.was_ready or not self.reasons
        self._merged.said(self.number, page)

    async def _start(self, leash: Leash) -> asyncio.subprocess.Process:
        self._port = free_port()
        environ = {
            **os.environ,
            **leash.environment(),
            WORKER_FD: str(self._listener.fileno()),
            "SLUICE_ADMIN__HOST": "127.0.0.1",
            "SLUICE_ADMIN__PORT": str(self._port),
        }
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *sys.orig_argv[1:],
            env=environ,
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=(*leash.pass_fds, *self._inherits),
            # Ctrl-C in a terminal goes to the whole process group; when to drain is for us to say.
            start_new_session=True,
        )


async def supervise(settings: Settings, process: Process, owner: Owner | None = None) -> None:
    """Run `gateway.workers` processes until this one is asked to stop, then let them drain. A configuration that is read anew without
    fault is for each of them to take over; each holds what `owner` does. Raises OperatorError when the port cannot be had, or when a worker
    does not start.
    """
    merged = MergedMetrics(process.metrics.config_last_reload_successful)
    process.metrics.show(merged)
    listeners = _listen(settings)
    workers = [Worker(number, each, process, merged, owner) for number, each in enumerate(listeners)]

    async def hang_up(_: Settings) -> None:
        for each in workers:
            each.hang_up()

    process.on_reload(hang_up)
    process.health.add("workers", lambda: _not_ready(workers))
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    with closing(Leash()) as leash:
        async with aiohttp.ClientSession(timeout=timeout) as session:
            running = [asyncio.create_task(worker.run(leash), name=f"worker {worker.number}") for worker in workers]
            looking = [asyncio.create_task(worker.look(session)) for worker in workers]
            try:
                await _serve(settings, process, workers, running, listeners[0].getsockname()[1])
            finally:
                for worker in workers:
                    worker.terminate()
                # They listen on for a moment, and then nobody does.
                for listener in listeners:
                    listener.close()
                await asyncio.wait(running, timeout=settings.gateway.drain_seconds)
                for worker in workers:
                    worker.kill()
                await asyncio.gather(*running, return_exceptions=True)
                for task in looking:
                    task.cancel()
                await asyncio.gather(*looking, return_exceptions=True)


async def _serve(
    settings: Settings, process: Process, workers: Sequence[Worker], running: Sequence[asyncio.Task[None]], port: int
) -> None:
    asked = asyncio.create_task(process.stopping.wait())
    ready = asyncio.create_task(_all_ready(workers, process))
    try:
        await asyncio.wait((asked, ready, *running), return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            process.started(url=f"http://{settings.gateway.host}:{port}", workers=len(workers))
            await asyncio.wait((asked, *running), return_when=asyncio.FIRST_COMPLETED)
        for task in running:
            if task.done():
                task.result()
    finally:
        asked.cancel()
        ready.cancel()


async def _all_ready(workers: Sequence[Worker], process: Process) -> None:
    while not all(worker.was_ready for worker in workers):
        await process.clock.sleep(LOOK_SECONDS / 5)


def _not_ready(workers: Sequence[Worker]) -> str | None:
    """Return why no worker is ready; None while one is: the others' connections find it when they come again."""
    reasons = [worker.reasons for worker in workers]
    if not all(reasons):
        return None
    return "; ".join(f"{name}: {reason}" for name, reason in reasons[0].items())


def _listen(settings: Settings) -> list[socket.socket]:
    """Return a listening socket for each worker, all on one port."""
    host, port = settings.gateway.host, settings.gateway.port
    listeners: list[socket.socket] = []
    try:
        # Somebody else who shares ports would not be noticed below.
        with socket.create_server((host, port), family=_family(host, port)):
            pass
        for _ in range(settings.gateway.workers):
            listener = socket.create_server((host, port), family=_family(host, port), backlog=BACKLOG, reuse_port=True)
            listeners.append(listener)
            port = listener.getsockname()[1]
    except OSError as error:
        for listener in listeners:
            listener.close()
        raise listen_failed("the gateway", host, port, error) from error
    return listeners


def _family(host: str, port: int) -> socket.AddressFamily:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
