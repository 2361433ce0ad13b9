"""`sluice gateway`, `sluice forwarder`, `sluice sandbox`: one role in one process, as Kubernetes runs it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from cli.options import with_settings

if TYPE_CHECKING:
    from runtime.settings import Settings

# A room is imported by its own command only: the gateway needs no DuckDB.


@click.command
@with_settings
def gateway(settings: Settings) -> None:
    """Take events over HTTP and publish them."""
    from gateway.service import main  # noqa: PLC0415  # see above
    from runtime.process import run_role  # noqa: PLC0415  # see above

    drain = settings.gateway.drain_seconds
    sys.exit(run_role("gateway", settings, main, admin_port=settings.admin.port_of("gateway"), drain_seconds=drain))


@click.command
@with_settings
def forwarder(settings: Settings) -> None:
    """Deliver what was published to the ingestion APIs."""
    from consumers.service import main  # noqa: PLC0415  # see above
    from runtime.process import run_role  # noqa: PLC0415  # see above

    drain = settings.gateway.drain_seconds
    sys.exit(run_role("forwarder", settings, main, admin_port=settings.admin.port_of("forwarder"), drain_seconds=drain))


@click.command
@with_settings
def sandbox(settings: Settings) -> None:
    """Stand in for the vendors' APIs, for development."""
    from runtime.process import run_role  # noqa: PLC0415  # see above
    from sandbox.service import main  # noqa: PLC0415  # see above

    drain = settings.gateway.drain_seconds
    sys.exit(run_role("sandbox", settings, main, admin_port=settings.admin.port_of("sandbox"), drain_seconds=drain))
