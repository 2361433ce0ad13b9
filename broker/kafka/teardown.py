"""Getting rid of one of aiokafka's clients in a bounded time, whatever state the broker is in.

The one place, with `inside`, that knows aiokafka's inner parts (0.14). Its `stop` waits without end for batches that a
broker which is gone will never acknowledge, and cancelling it leaves tasks and connections behind.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

_GRACE_SECONDS = 2.0


async def stop_within(client: Any, seconds: float) -> bool:
    """Stop a producer, consumer or admin client: in good order within `seconds`, else by force within two seconds more.

    Returns whether it went in good order. Never raises but for being cancelled.
    """
    stop = client.close if hasattr(client, "close") else client.stop
    try:
        async with asyncio.timeout(seconds):
            await stop()
    except asyncio.CancelledError:
        # A consumer's `stop` lets the cancellation of its own tasks out, as if it were ours.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        await _force(client)
        return False
    except Exception:  # noqa: BLE001 - whatever kept it from stopping, force is the answer
        await _force(client)
        return False
    finally:
        _retrieve_exceptions(client)
    return True


async def _force(client: Any) -> None:
    # Keeps its finaliser from complaining: this is its orderly end.
    client._closed = True  # noqa: SLF001 - see the module's docstring
    parts = {id(client), *(id(part) for part in vars(client).values() if type(part).__module__.startswith("aiokafka."))}
    for transport in _transports(client):
        # A close that waits until everything is written would wait for a broker that reads nothing.
        transport.abort()
    tasks = [task for task in asyncio.all_tasks() if _owner(task) in parts]
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=_GRACE_SECONDS)
    with contextlib.suppress(Exception):  # its connections are aborted already: there is nothing left to lose
        async with asyncio.timeout(_GRACE_SECONDS):
            await _network(client).close()


def _owner(task: asyncio.Task[Any]) -> int | None:
    """Return the identity of the object whose method the task runs, if it runs one."""
    frame = getattr(task.get_coro(), "cr_frame", None)
    return None if frame is None else id(frame.f_locals.get("self"))


def _network(client: Any) -> Any:
    return client.client if hasattr(client, "client") else client._client  # noqa: SLF001 - see the module's docstring


def _transports(client: Any) -> list[Any]:
    connections = list(_network(client)._conns.values())  # noqa: SLF001 - see the module's docstring
    writers = [connection._writer for connection in connections]  # noqa: SLF001 - see the module's docstring
    return [writer.transport for writer in writers if writer is not None]


def _retrieve_exceptions(client: Any) -> None:
    """Look at the failures of batches and transactions that nobody waited for, or asyncio prints each with a traceback."""
    accumulator = getattr(client, "_message_accumulator", None)
    batches = [] if accumulator is None else [batch for queue in accumulator._batches.values() for batch in queue]  # noqa: SLF001 - see the module's docstring
    futures = [future for batch in batches for future in (batch.future, batch._drain_waiter)]  # noqa: SLF001 - see the module's docstring
    manager = getattr(client, "_txn_manager", None)
    if manager is not None:
        futures.append(manager._transaction_waiter)  # noqa: SLF001 - see the module's docstring
    for future in futures:
        if future is not None and future.done() and not future.cancelled():
            future.exception()
