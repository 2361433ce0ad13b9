"""`sluice up` from the first process to the last: wait until all are ready, say so, serve, drain."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from cli import greeting, log
from cli.demo.run import Demo
from cli.overview import RolesHealth, registry
from gateway.contract import PATH, openapi
from runtime.admin import AdminServer
from runtime.logs import Logs
from runtime.signals import HangUp, StopSignals

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from cli.crew import Crew
    from cli.directory import DataDirectory
    from cli.supervisor import Supervisor
    from runtime.clock import Clock
    from runtime.settings import Settings

PATIENCE_SECONDS = 10.0
"""When so long not everything is ready, the reasons are shown; and again after as long."""
_STDERR = 2


class Serving:
    """One run of `up` on `directory`; `supervisor` is entered and left by it. `config_path`: where `settings` come from, if
    that was said.
    """

    def __init__(
        self,
        settings: Settings,
        config_path: Path | None,
        directory: DataDirectory,
        supervisor: Supervisor,
        crew: Crew,
        console: Console,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._config_path = config_path
        self._directory = directory
        self._supervisor = supervisor
        self._crew = crew
        self._console = console
        self._clock = clock
        self._health = RolesHealth(supervisor)
        self._balanced = True

    async def run(self, admin_port: int, *, demo: bool) -> int:
        """Serve until SIGINT or SIGTERM, drain, and return the exit code: 1 when the demo did not balance.

        Raises OperatorError when a role cannot start.
        """
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()

        def hung_up(*, for_good: bool) -> None:
            loop.call_soon_threadsafe(stopping.set if for_good else self._hang_up)

        logs = Logs("up", _STDERR, level="error", console=True)
        admin = AdminServer(
            self._settings.admin.host,
            admin_port,
            registry=registry(self._supervisor),
            health=self._health,
            log=logs.log,
            pages={PATH: partial(openapi, self._settings)},
        )
        with StopSignals(lambda _: stopping.set(), self._end_at_once), HangUp(hung_up):
            async with admin, self._supervisor:
                work = asyncio.create_task(self._work(admin.port, demo=demo))
                crew = asyncio.create_task(self._crew.run())
                await self._until(stopping, work, crew)
                self._health.draining()
                roles = ", ".join(child.role for child in self._supervisor.children)
                self._console.print(f"draining: {roles} …")
        self._console.print("stopped; everything is kept in " + str(self._directory.path))
        return 0 if self._balanced else 1

    async def _until(self, stopping: asyncio.Event, work: asyncio.Task[None], crew: asyncio.Task[None]) -> None:
        """Wait until asked to stop. What fails before is raised."""
        asked = asyncio.create_task(stopping.wait())
        failed = asyncio.create_task(self._supervisor.failed())
        tasks = (asked, failed, work, crew)
        try:
            await asyncio.wait((asked, failed, work, crew), return_when=asyncio.FIRST_COMPLETED)
            if work.done() and not work.cancelled():
                work.result()
                await asyncio.wait((asked, failed, crew), return_when=asyncio.FIRST_COMPLETED)
            for each in (failed, crew):
                if each.done():
                    each.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, admin_port: int, *, demo: bool) -> None:
        await self._ready()
        self._health.started()
        greeting.print_addresses(self._console, self._settings, self._directory, admin_port)
        if demo:
            async with log.opened(self._settings) as broker:
                run = Demo(self._settings, broker, self._directory.demo, self._console, self._clock)
                self._balanced = await run.run()
        greeting.print_invitation(self._console, self._settings, self._config_path)

    async def _ready(self) -> None:
        while True:
            try:
                await asyncio.wait_for(self._supervisor.ready(), PATIENCE_SECONDS)
            except TimeoutError:
                for name, reason in self._supervisor.not_ready().items():
                    self._console.print(f"still waiting for {name}: {reason}")
            else:
                return

    def _hang_up(self) -> None:
        self._console.print(
            "every role reads the configuration anew; what is wrong with it, or needs a restart, follows"
        )
        self._crew.hang_up()

    def _end_at_once(self) -> None:
        self._supervisor.kill()
        self._console.show_cursor()
