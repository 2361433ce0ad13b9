"""`sluice gateway`, `sluice forwarder`, `sluice scheduler`, `sluice sandbox`: one role in one process, as Kubernetes runs it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NoReturn

import click

from cli.options import with_exports, with_settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from runtime.process import Process
    from runtime.settings import Settings

# A room is imported by its own command only: the gateway needs no DuckDB.


@click.command
@with_settings
def gateway(settings: Settings) -> None:
    """Take events over HTTP and publish them."""
    from gateway.contract import PATH, openapi  # noqa: PLC0415  # see above
    from gateway.service import main  # noqa: PLC0415

    _run("gateway", settings, main, {PATH: openapi})


@click.command
@with_settings
def forwarder(settings: Settings) -> None:
    """Deliver what was published to the ingestion APIs."""
    from consumers.service import main  # noqa: PLC0415  # see above

    _run("forwarder", settings, main)


@click.command
@with_exports
def scheduler(settings: Settings) -> None:
    """Pull the vendors' exports and publish them."""
    from scheduler.service import main  # noqa: PLC0415  # see above

    _run("scheduler", settings, main)


@click.command
@with_settings
def sandbox(settings: Settings) -> None:
    """Stand in for the vendors' APIs, for development."""
    from sandbox.service import main  # noqa: PLC0415  # see above

    _run("sandbox", settings, main)


def _run(
    role: str,
    settings: Settings,
    main: Callable[[Settings, Process], Awaitable[None]],
    pages: Mapping[str, Callable[[Settings], bytes]] | None = None,
) -> NoReturn:
    from runtime.process import run_role  # noqa: PLC0415  # it brings uvloop and aiohttp, which `--help` does without

    admin_port = settings.admin.port_of(role)
    drain_seconds = settings.gateway.drain_seconds
    sys.exit(run_role(role, settings, main, admin_port=admin_port, drain_seconds=drain_seconds, pages=pages or {}))
