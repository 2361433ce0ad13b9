"""A role's main from its first run to its last: it is run again for a configuration that it does not take over by itself."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Final

from runtime.errors import is_for_operators, leaves, one_line
from runtime.faults import ConfigError
from runtime.pinned import BY_EVERY_ROLE, pinned
from runtime.stacks import awaited_by, raised_at

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from structlog.typing import FilteringBoundLogger

    from runtime.process import Process
    from runtime.settings import Settings

CANCEL_SECONDS: Final = 2.0
"""Once cancelled, main may still put things down properly, but not for long."""


class DrainTimeoutError(Exception):
    """main did not return before its deadline; what it was doing is logged."""


class Runs:
    """Life: construct → `run`. `stop` and `reload` may be called at any time on the event loop, and do not wait.

    `load` reads the configuration anew, in a thread; None: it is never asked to.
    """

    def __init__(
        self,
        process: Process,
        settings: Settings,
        main: Callable[[Settings, Process], Awaitable[None]],
        load: Callable[[], Settings] | None,
    ) -> None:
        self._process = process
        self._settings = settings
        self._main = main
        self._load = load
        self._wanted: Settings | None = None
        self._served_with: Settings | None = None
        self._asked = asyncio.Event()

    @property
    def settings(self) -> Settings:
        """What main runs with now."""
        return self._settings

    def stop(self, reason: str) -> None:
        """Ask main to drain and return; it is not run again."""
        self._process.stop(reason)

    def reload(self) -> None:
        """Read the configuration and take it over. Asked for while that is done, it is done once more."""
        self._asked.set()

    async def run(self) -> None:
        """Run main until it returns for good. Raises what it raises, and DrainTimeoutError.

        A run that fails before it serves, with settings that another run was drained for, is followed by one with the old settings.
        """
        reloading = asyncio.create_task(self._reload_when_asked(), name="reload")
        try:
            while True:
                process, settings = self._process, self._settings
                again = await self._run_once(process, settings)
                if again is None:
                    return
                gc.unfreeze()  # of what was made for the run that is over
                process.metrics.forget_gauges()
                self._wanted = None
                self._settings = again
                self._process = process.again()
        finally:
            reloading.cancel()
            await asyncio.wait([reloading])

    async def _run_once(self, process: Process, settings: Settings) -> Settings | None:
        """Return the settings to run with next, None when there is to be no more."""
        try:
            await until_done(process, asyncio.ensure_future(self._main(settings, process)))
        except DrainTimeoutError:
            raise
        except Exception as error:
            if process.serves or process.ended or self._served_with is None:
                raise
            self._refuse(error)
            if self._wanted is not None:
                return self._wanted
            # Should that fail too, there is nothing left to go back to.
            before, self._served_with = self._served_with, None
            return before
        if process.ended or self._wanted is None:
            return None
        if process.serves:
            self._served_with = settings
        process.metrics.config_last_reload_successful.set(1)
        return self._wanted

    async def _reload_when_asked(self) -> None:
        while self._load is not None:
            await self._asked.wait()
            self._asked.clear()
            try:
                await self._take(await asyncio.to_thread(self._load))
            except Exception as error:  # noqa: BLE001  # whatever it is: the old configuration stays, and somebody is told
                self._refuse(error)

    async def _take(self, settings: Settings) -> None:
        process = self._process
        if process.ended:
            return
        settings, kept = pinned(self._settings, settings, (*BY_EVERY_ROLE, *process.pins))
        if kept:
            process.log.warning("needs a restart: what was configured before stays", keys=", ".join(kept))
        if process.taker is None:
            self._wanted = settings
            process.log.info("configuration read: the role drains and begins again with it")
            process.make_way()
            return
        await process.taker(settings)
        self._settings = settings
        process.metrics.config_last_reload_successful.set(1)
        process.log.info("configuration taken over", storefronts=len(settings.storefronts))

    def _refuse(self, error: Exception) -> None:
        if not self._process.ended:
            self._process.metrics.config_last_reload_successful.set(0)
            log_failure(self._process.log, "configuration refused: the old one stays", error)


async def until_done(process: Process, role: asyncio.Task[None]) -> None:
    """Wait until main returns, from when it is asked to for `drain_seconds` at most; then it is cancelled. Raises DrainTimeoutError, and
    what main raises.
    """
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
    await asyncio.wait((role,), timeout=CANCEL_SECONDS)
    if role.done() and not role.cancelled() and (error := role.exception()) is not None:
        log_failure(process.log, "failed", error)
    raise DrainTimeoutError


def log_failure(log: FilteringBoundLogger, event: str, error: BaseException) -> None:
    """Write the one line of an error: what is meant for an operator as it is, a fault of ours with where it happened."""
    if is_for_operators(error):
        log.error(event, error=_told(error))
    else:
        log.error(event, error=one_line(error), kind=type(error).__name__, at=raised_at(error), exc_info=error)


def _told(error: BaseException) -> str:
    faults = [str(fault) for leaf in leaves(error) if isinstance(leaf, ConfigError) for fault in leaf.faults]
    return "; ".join(faults) or one_line(error)
