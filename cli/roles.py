"""`sluice gateway`, `sluice forwarder`, `sluice scheduler`, `sluice sandbox`: one role in one process, as Kubernetes runs it."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, NoReturn

import click

from cli.options import config_option

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from pathlib import Path

    from runtime.cross_checks import Conflict
    from runtime.process import Process
    from runtime.settings import Settings

# A room is imported by its own command only: the gateway needs no DuckDB.


@click.command
@config_option
def gateway(config_path: Path | None) -> None:
    """Take events over HTTP and publish them."""
    from gateway.contract import PATH, openapi  # noqa: PLC0415  # see above
    from gateway.service import main  # noqa: PLC0415

    _run("gateway", config_path, main, pages={PATH: openapi})


@click.command
@config_option
def forwarder(config_path: Path | None) -> None:
    """Deliver what was published to the ingestion APIs."""
    from consumers.service import main  # noqa: PLC0415  # see above

    _run("forwarder", config_path, main)


@click.command
@config_option
def scheduler(config_path: Path | None) -> None:
    """Pull the vendors' exports and publish them."""
    from scheduler.portfolio import conflicts  # noqa: PLC0415  # see above
    from scheduler.service import main  # noqa: PLC0415

    # Others go without, so that a misspelt metric cannot stop the intake of events.
    _run("scheduler", config_path, main, conflicts)


@click.command
@config_option
def sandbox(config_path: Path | None) -> None:
    """Stand in for the vendors' APIs, for development."""
    from sandbox.service import main  # noqa: PLC0415  # see above

    _run("sandbox", config_path, main)


def _run(
    role: str,
    config_path: Path | None,
    main: Callable[[Settings, Process], Awaitable[None]],
    more: Callable[[Settings], Iterable[Conflict]] | None = None,
    pages: Mapping[str, Callable[[Settings], bytes]] | None = None,
) -> NoReturn:
    # They bring pydantic, uvloop and aiohttp, which `--help` does without.
    from runtime import config  # noqa: PLC0415
    from runtime.process import run_role  # noqa: PLC0415

    # Looked for once: a file that is gone for a moment later is not to be taken for one that never was.
    read = partial(config.load, config.find(config_path), more=more)
    settings = read()
    admin_port = settings.admin.port_of(role)
    drain_seconds = settings.gateway.drain_seconds
    code = run_role(
        role, settings, main, admin_port=admin_port, drain_seconds=drain_seconds, pages=pages or {}, reload=read
    )
    sys.exit(code)
