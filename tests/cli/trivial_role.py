"""A role that does nothing, as a process: `python -m tests.cli.trivial_role NAME [broken | stubborn]`."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

from runtime.errors import OperatorError
from runtime.process import run_role
from runtime.settings import Settings

if TYPE_CHECKING:
    from runtime.process import Process


async def main(_: Settings, process: Process) -> None:
    if sys.argv[2:] == ["broken"]:
        raise OperatorError("the disk is full")
    process.metrics.gateway_in_flight_bytes.set(len(process.role))
    process.started()
    process.log.warning("so it is", answer=42)
    await process.stopping.wait()
    if sys.argv[2:] == ["stubborn"]:
        await asyncio.sleep(3600)
    process.log.warning("drained")


if __name__ == "__main__":
    sys.exit(
        run_role(
            sys.argv[1],
            Settings(),
            main,
            admin_port=int(os.environ["SLUICE_ADMIN__PORT"]),
            drain_seconds=3600,
            reload=Settings,
        )
    )
