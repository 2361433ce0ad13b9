"""`sluice up`: every role on this machine, each in a process of its own, all looked after."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli import ports, screen
from cli.child import GRACE_SECONDS, Child, RoleCommand
from cli.crew import Crew, roles
from cli.demo.stand_in import storefront_of
from cli.directory import DataDirectory
from cli.options import config_option
from cli.role_log import RoleLog
from cli.serving import Serving
from cli.supervisor import Supervisor
from runtime import config
from runtime.clock import SystemClock
from runtime.parent import Leash
from scheduler.portfolio import conflicts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runtime.settings import Settings


@click.command
@config_option
@click.option("--demo", is_flag=True, help="Send a day of made-up shop traffic and show what came out.")
def command(config_path: Path | None, *, demo: bool) -> None:
    """Run everything on this machine: gateway, forwarder, sandbox, and the scheduler where exports are configured.

    Each role is a process of its own; one that ends is started again. /livez, /readyz and /metrics of all are on one
    admin server, their logs in <broker.path>/logs. Ctrl-C drains them in order, a second one ends them at once. SIGHUP
    makes every role take over the configuration as it is then; ports need a restart.

    --demo exits 1 in the end if what came out does not balance with what went in.
    """
    settings = config.load(config_path, more=conflicts)
    if demo:
        storefront_of(settings)
    sys.exit(asyncio.run(_up(settings, config_path, demo=demo)))


async def _up(settings: Settings, config_path: Path | None, *, demo: bool) -> int:
    clock = SystemClock()
    console = screen.console()
    drain_seconds = settings.gateway.drain_seconds
    patience = drain_seconds + GRACE_SECONDS
    async with DataDirectory(Path(settings.broker.path), patience, console.print) as directory:
        found = ports.reserve(_wanted(settings))
        environ = {**os.environ, **_environment(found)}
        with closing(Leash()) as leash:
            started_with = {**environ, **leash.environment(), "SLUICE_LOG_FORMAT": "json"}
            pass_fds = (*leash.pass_fds, *directory.pass_fds)

            def make(role: str) -> Child:
                return Child(
                    RoleCommand(role, _arguments(role, config_path), started_with, pass_fds, drain_seconds),
                    RoleLog(directory.logs, role),
                    partial(screen.notice, console, clock, role),
                    clock,
                )

            supervisor = Supervisor([make(role) for role in roles(settings)])
            load = partial(config.load, config.find(config_path), environ, more=conflicts)
            settings = load()
            crew = Crew(supervisor, make, load, partial(console.print, soft_wrap=True))
            serving = Serving(settings, config_path, directory, supervisor, crew, console, clock)
            return await serving.run(found["admin.port"], demo=demo)


def _wanted(settings: Settings) -> Sequence[ports.Wanted]:
    gateway, sandbox, admin = settings.gateway, settings.sandbox, settings.admin
    return (
        ports.Wanted("gateway.port", gateway.host, gateway.port),
        ports.Wanted("sandbox.port", sandbox.host, sandbox.port),
        ports.Wanted("sandbox.fault_port", "127.0.0.1", sandbox.fault_port),
        ports.Wanted("admin.port", admin.host, admin.port_of("up")),
    )


def _environment(found: Mapping[str, int]) -> dict[str, str]:
    """Return the ports as the environment says them: a configured 0 is the same port for every role."""
    return {ports.variable(key): str(port) for key, port in found.items() if key != "admin.port"}


def _arguments(role: str, config_path: Path | None) -> Sequence[str]:
    configured = () if config_path is None else ("--config", str(config_path))
    # -P: a folder of the user's that is called like one of our rooms is not taken for it.
    return (sys.executable, "-P", "-m", "cli.main", role, *configured)
