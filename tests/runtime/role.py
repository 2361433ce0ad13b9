"""A role that does as it is told on the command line, run as a process of its own by test_process."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from runtime.config import load
from runtime.errors import OperatorError
from runtime.process import run_role
from runtime.settings import AdminSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.process import Process


class Lease(OperatorError):  # named as an operator would
    """An error whose text is all that is needed."""


async def serve(_settings: Settings, process: Process) -> None:
    before = gc.get_freeze_count()
    process.started(loop=type(asyncio.get_running_loop()).__module__, role_of=process.role)
    process.log.info("collector", frozen=gc.get_freeze_count() > before, threshold=gc.get_threshold()[0])
    await process.stopping.wait()
    process.log.info("drained", ready=process.health.reasons())


async def be_configured(settings: Settings, process: Process) -> None:
    process.started(storefronts=[each.name for each in settings.storefronts])
    await process.stopping.wait()


async def drain_for_ever(_settings: Settings, process: Process) -> None:
    process.started()
    await process.stopping.wait()
    await Publisher().close()


class Publisher:
    async def close(self) -> None:
        await asyncio.Event().wait()


async def ignore_cancellation(_settings: Settings, process: Process) -> None:
    process.started()
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            process.log.info("not now")


async def fail_in_cancellation(_settings: Settings, process: Process) -> None:
    process.started()
    try:
        await asyncio.Event().wait()
    finally:
        raise Lease("the lease was lost")


async def spin(_settings: Settings, process: Process) -> None:
    process.started()
    await asyncio.sleep(0)
    process.log.warning("spinning")
    while True:
        time.sleep(0.001)  # noqa: ASYNC251  # to block the loop is the point


async def leave_a_thread(_settings: Settings, process: Process) -> None:
    waiting = asyncio.ensure_future(asyncio.to_thread(threading.Event().wait))
    process.started()
    await process.stopping.wait()
    waiting.cancel()


async def return_at_once(_settings: Settings, process: Process) -> None:
    process.started()


async def fail_clearly(_settings: Settings, process: Process) -> None:
    process.log.info("looking")
    async with asyncio.TaskGroup() as group:
        group.create_task(_lose())
        group.create_task(asyncio.sleep(60))


async def _lose() -> None:
    raise Lease("another process holds the lease; stop it first")


async def fail_badly(_settings: Settings, _process: Process) -> None:
    key = SecretStr("hunter2")
    raise KeyError(f"no such {key}")


async def be_complained_of(settings: Settings, process: Process) -> None:
    process.started()
    logging.getLogger("aiokafka").error("lost node %d", 1)
    future = asyncio.get_running_loop().create_future()
    future.set_exception(ValueError("nobody asked"))
    del future
    asyncio.get_running_loop().call_soon(lambda: 1 // 0)
    await asyncio.sleep(0.01)
    gc.collect()
    await serve(settings, process)


ROLES: dict[str, Callable[[Settings, Process], Awaitable[None]]] = {
    function.__name__: function
    for function in (
        serve,
        be_configured,
        drain_for_ever,
        ignore_cancellation,
        fail_in_cancellation,
        spin,
        leave_a_thread,
        return_at_once,
        fail_clearly,
        fail_badly,
        be_complained_of,
    )
}


def main(name: str, drain_seconds: str, admin_port: str, config: str | None = None) -> int:
    settings = Settings(admin=AdminSettings(port=int(admin_port)))
    reload = None if config is None else partial(load, Path(config))
    if reload is not None:
        settings = reload()
    main = ROLES[name]
    return run_role(
        "gateway",
        settings,
        main,
        admin_port=int(admin_port),
        drain_seconds=float(drain_seconds),
        pages={"/storefronts.json": lambda now: json.dumps([each.name for each in now.storefronts]).encode()},
        reload=reload,
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
