"""The life of a role's process: start, signals, drain with a deadline, exit code."""

from __future__ import annotations

import asyncio
import gc
import os
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import uvloop

from runtime import parent
from runtime.admin import AdminServer
from runtime.clock import Clock, SystemClock
from runtime.errors import exit_code, one_line
from runtime.health import Health
from runtime.logs import from_environment
from runtime.metrics import Metrics
from runtime.runs import CANCEL_SECONDS, DrainTimeoutError, Runs, log_failure
from runtime.signals import HangUp, StopSignals
from runtime.stacks import raised_at
from runtime.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from typing import Any

    from structlog.typing import FilteringBoundLogger

    from runtime.settings import Settings

_EXIT_SECONDS: Final = 1.0
# Measured: with Python's 700 the cyclic collector takes 18 % of a gateway's time.
_GC_THRESHOLD: Final = 200_000


class Process:
    """What a run of a role's main is given beside the settings.

    `stopping` is set when the process is asked to end: by the first SIGTERM or SIGINT, by the end of its supervisor, or
    by `stop`; and when main is to be run again with a configuration that it does not take over by itself. From then on
    main has `drain_seconds` to return. main calls `started` once it serves; until then /readyz says "starting".
    `watchdog` is armed when the process is asked to end. `serves`, `ended`, `taker` and `pins` are for `runtime.runs`.
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
        self.serves = self.ended = False
        self.taker: Callable[[Settings], Awaitable[None]] | None = None
        self.pins: Sequence[str] = ()

    def started(self, **facts: object) -> None:
        """Say that the role serves: readiness follows its checks from now on.

        A line `started` with `facts` is logged. What was built until now is kept out of the garbage collector's sight,
        which from now on looks less often.
        """
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GC_THRESHOLD, *gc.get_threshold()[1:])
        self.health.started()
        self.serves = True
        self.log.info("started", **facts)

    def on_reload(self, take: Callable[[Settings], Awaitable[None]], pins: Sequence[str] = ()) -> None:
        """Have `take` called with every configuration that is read from now on; main is then not run again for it.

        `take` is called by one task, once at a time. When it raises, the configuration is refused: nothing of it may then be in force.
        `pins`: keys (`section.name`) whose values stay what they were; that one of them changed is told as a warning.
        """
        self.taker = take
        self.pins = pins

    def stop(self, reason: str) -> None:
        """Ask main to drain and return for good; `reason` is logged. Only the first call counts."""
        if not self.ended:
            self.ended = True
            self.health.draining()
            self.log.info("draining", reason=reason, seconds=self.drain_seconds)
            if self._watchdog is not None:
                self._watchdog.arm()
            self.stopping.set()

    def make_way(self) -> None:
        """Ask main to drain and return, for another run."""
        self.health.draining()
        self.stopping.set()

    def again(self) -> Process:
        """Return what the next run is given: it has not started, and nobody asked it to stop."""
        self.health.starts_again()
        return Process(
            self.role,
            log=self.log,
            metrics=self.metrics,
            health=self.health,
            clock=self.clock,
            drain_seconds=self.drain_seconds,
            watchdog=self._watchdog,
        )


def run_role(
    role: str,
    settings: Settings,
    main: Callable[[Settings, Process], Awaitable[None]],
    *,
    admin_port: int,
    drain_seconds: float,
    pages: Mapping[str, Callable[[Settings], bytes]] = MappingProxyType({}),
    reload: Callable[[], Settings] | None = None,
) -> int:
    """Run `main` as this process's role until it returns, and return the exit code.

    Sets up logs, uvloop, metrics, the admin server on `settings.admin.host`:`admin_port` (with the role's own `pages`, in JSON, by
    their path, as the configuration makes them) and signals. 0: main returned, in time when it was asked to stop. 1: it did not return
    within `drain_seconds` of being asked (it was then cancelled), or it failed; one line says why, and an OperatorError may ask for
    another code. A second signal ends the process at once with 128 + its number; a process that does not end within 3 s of its
    deadline, a blocked event loop included, is ended with 1. For the main thread; the caller ends the process with the code. Raises
    OperatorError when the environment asks for logs that there are not.

    SIGHUP calls `reload`, in a thread, for the configuration as it is now. What raises is refused: one line says why, with every fault,
    `config_last_reload_successful` is 0, and the old one stays. Else main takes it over (`Process.on_reload`), or it is drained and run
    again: a run that then fails before it serves is refused too. SIGHUP from a terminal that was closed asks the process to stop.
    """
    logs = from_environment(role, os.environ)
    logs.route_standard_library()
    metrics = Metrics()
    metrics.config_last_reload_successful.set(1)

    def give_up() -> None:
        logs.log.error("ended by force: the drain did not end in time", seconds=drain_seconds)
        logs.flush()

    watchdog = Watchdog(drain_seconds + CANCEL_SECONDS + _EXIT_SECONDS, give_up)
    process = Process(
        role,
        log=logs.log,
        metrics=metrics,
        health=Health(),
        clock=SystemClock(),
        drain_seconds=drain_seconds,
        watchdog=watchdog,
    )
    runs = Runs(process, settings, main, reload)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            loop = runner.get_loop()

            def ask(reason: str) -> None:
                watchdog.arm()
                loop.call_soon_threadsafe(runs.stop, reason)

            def hung_up(*, for_good: bool) -> None:
                if for_good:
                    ask("the terminal was closed")
                else:
                    loop.call_soon_threadsafe(runs.reload)

            with StopSignals(lambda number: ask(number.name), logs.flush), HangUp(hung_up if reload else None):
                return runner.run(_live(process, runs, settings.admin.host, admin_port, pages))
    finally:
        logs.close()


async def _live(
    process: Process,
    runs: Runs,
    admin_host: str,
    admin_port: int,
    pages: Mapping[str, Callable[[Settings], bytes]],
) -> int:
    asyncio.get_running_loop().set_exception_handler(_Unhandled(process.log))
    admin = AdminServer(
        admin_host,
        admin_port,
        registry=process.metrics.registry,
        health=process.health,
        log=process.log,
        pages={path: partial(_made, make, runs) for path, make in pages.items()},
    )
    try:
        with parent.watching(os.environ, lambda: runs.stop("the supervisor ended")):
            async with admin:
                await runs.run()
    except DrainTimeoutError:
        return 1
    except Exception as error:  # noqa: BLE001  # the last floor: whatever it is, the log has one line of it
        log_failure(process.log, "failed", error)
        return exit_code(error)
    process.log.info("stopped")
    return 0


def _made(make: Callable[[Settings], bytes], runs: Runs) -> bytes:
    return make(runs.settings)


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
