"""The life of a role's process: start, signals, drain with a deadline, exit code."""

from __future__ import annotations

import asyncio
import gc
import os
from typing import TYPE_CHECKING, Final

import uvloop

from runtime import parent
from runtime.admin import NO_PAGES, AdminServer
from runtime.clock import Clock, SystemClock
from runtime.errors import exit_code, is_for_operators, one_line
from runtime.health import Health
from runtime.logs import from_environment
from runtime.metrics import Metrics
from runtime.signals import StopSignals
from runtime.stacks import awaited_by, raised_at
from runtime.watchdog import Watchdog

if TYPE_CHECKING:
    import signal
    from collections.abc import Awaitable, Callable, Mapping
    from typing import Any

    from structlog.typing import FilteringBoundLogger

    from runtime.settings import Settings

# Once cancelled, main may still put things down properly, but not for long.
_CANCEL_SECONDS: Final = 2.0
_EXIT_SECONDS: Final = 1.0
# Measured: with Python's 700 the cyclic collector takes 18 % of a gateway's time.
_GC_THRESHOLD: Final = 200_000


class Process:
    """What a role's main is given beside the settings.

    `stopping` is set when the process is asked to end: by the first SIGTERM or SIGINT, by the end of its supervisor, or
    by `stop`. From then on main has `drain_seconds` to return. main calls `started` once it serves; until then /readyz
    says "starting". `watchdog` is armed when the process is asked to end.
    """

    def __init__(
        self,
        role: str,
        *,
        log: FilteringBoundLogger,
        metrics: Metrics,
        health: Health,
        clock: Clock,
        drain_seconds: float,
        watchdog: Watchdog | None = None,
    ) -> None:
        self.role = role
        self.log = log
        self.metrics = metrics
        self.health = health
        self.clock = clock
        self.drain_seconds = drain_seconds
        self._watchdog = watchdog
        self.stopping = asyncio.Event()

    def started(self, **facts: object) -> None:
        """Say that the role serves: readiness follows its checks from now on.

        A line `started` with `facts` is logged. What was built until now is kept out of the garbage collector's sight,
        which from now on looks less often.
        """
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GC_THRESHOLD, *gc.get_threshold()[1:])
        self.health.started()
        self.log.info("started", **facts)

    def stop(self, reason: str) -> None:
        """Ask main to drain and return; `reason` is logged. Only the first call counts."""
        if not self.stopping.is_set():
            self.health.draining()
            self.log.info("draining", reason=reason, seconds=self.drain_seconds)
            if self._watchdog is not None:
                self._watchdog.arm()
            self.stopping.set()


def run_role(
    role: str,
    settings: Settings,
    main: Callable[[Settings, Process], Awaitable[None]],
    *,
    admin_port: int,
    drain_seconds: float,
    pages: Mapping[str, bytes] = NO_PAGES,
) -> int:
    """Run `main` as this process's role until it returns, and return the exit code.

    Sets up logs, uvloop, metrics, the admin server on `settings.admin.host`:`admin_port` (with `pages` of the role's own, in JSON, by their
    path) and signals. 0: main returned, in time when it was asked to stop. 1: it did not return within `drain_seconds` of being asked (it
    was then cancelled), or it failed; one line says why, and an OperatorError may ask for another code. A second signal ends the process at
    once with 128 + its number; a process that does not end within 3 s of its deadline, a blocked event loop included, is ended with 1. For
    the main thread; the caller ends the process with the code. Raises OperatorError when the environment asks for logs that there are not.
    """
    logs = from_environment(role, os.environ)
    logs.route_standard_library()
    metrics = Metrics()
    metrics.config_last_reload_successful.set(1)

    def give_up() -> None:
        logs.log.error("ended by force: the drain did not end in time", seconds=drain_seconds)
        logs.flush()

    watchdog = Watchdog(drain_seconds + _CANCEL_SECONDS + _EXIT_SECONDS, give_up)
    process = Process(
        role,
        log=logs.log,
        metrics=metrics,
        health=Health(),
        clock=SystemClock(),
        drain_seconds=drain_seconds,
        watchdog=watchdog,
    )
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            loop = runner.get_loop()

            def ask(number: signal.Signals) -> None:
                watchdog.arm()
                loop.call_soon_threadsafe(process.stop, number.name)

            with StopSignals(ask, logs.flush):
                return runner.run(_live(process, settings, main, admin_port, pages))
    finally:
        logs.close()


async def _live(
    process: Process,
    settings: Settings,
    main: Callable[[Settings, Process], Awaitable[None]],
    admin_port: int,
    pages: Mapping[str, bytes],
) -> int:
    asyncio.get_running_loop().set_exception_handler(_Unhandled(process.log))
    admin = AdminServer(
        settings.admin.host,
        admin_port,
        registry=process.metrics.registry,
        health=process.health,
        log=process.log,
        pages=pages,
    )
    try:
        with parent.watching(os.environ, lambda: process.stop("the supervisor ended")):
            async with admin:
                await _until_done(process, asyncio.ensure_future(main(settings, process)))
    except _DrainTimeoutError:
        return 1
    except Exception as error:  # noqa: BLE001  # the last floor: whatever it is, the log has one line of it
        _log_failure(process.log, error)
        return exit_code(error)
    process.log.info("stopped")
    return 0


class _DrainTimeoutError(Exception):
    """main did not return before its deadline; what it was doing is logged."""


async def _until_done(process: Process, role: asyncio.Task[None]) -> None:
    asked = asyncio.ensure_future(process.stopping.wait())
    try:
        await asyncio.wait((role, asked), return_when=asyncio.FIRST_COMPLETED)
    finally:
        asked.cancel()
    await asyncio.wait((role,), timeout=process.drain_seconds)
    if role.done():
        if role.cancelled():
            raise RuntimeError("the role's main was cancelled from within")
        role.result()
        return
    process.log.error("drain did not finish in time", seconds=process.drain_seconds, waits_in=awaited_by(role))
    role.cancel()
    await asyncio.wait((role,), timeout=_CANCEL_SECONDS)
    if role.done() and not role.cancelled() and (error := role.exception()) is not None:
        _log_failure(process.log, error)
    raise _DrainTimeoutError


def _log_failure(log: FilteringBoundLogger, error: BaseException) -> None:
    if is_for_operators(error):
        log.error("failed", error=one_line(error))
    else:
        log.error("failed", error=one_line(error), kind=type(error).__name__, at=raised_at(error), exc_info=error)


class _Unhandled:
    """Turns what asyncio would print with a traceback (an exception that nobody awaited) into one line of the log."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log

    def __call__(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        facts = (
            {} if error is None else {"error": one_line(error), "kind": type(error).__name__, "at": raised_at(error)}
        )
        self._log.error("unhandled in the event loop", message=context.get("message"), **facts)
