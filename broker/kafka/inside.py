"""What must be known of a consumer of aiokafka and what it does not tell (0.14). With `teardown` the only place that looks
into its private parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

# ruff: noqa: SLF001 - see the module's docstring


def data_waiter(consumer: Any) -> asyncio.Future[None]:
    """Return a future that is done when records arrived, or fails when the group's coordination does. Cancel it when done with.

    Waiting for it can be given up at any time. Waiting in `getmany` cannot: cancelled, it takes the consumer for busy for
    ever; and during a rebalance it ignores its timeout.
    """
    waiter: asyncio.Future[None] = consumer._fetcher._create_fetch_waiter()
    return waiter


def raise_group_errors(consumer: Any) -> None:
    """Raise what the group's coordinator refused, as `getmany` would."""
    consumer._coordinator.check_errors()


def ended(consumer: Any) -> str | None:
    """Return why the consumer will never return records again: a task of it died. None when all is well."""
    for task in (consumer._fetcher.error_future, consumer._coordinator._coordination_task):
        if task.done():
            error = None if task.cancelled() else task.exception()
            return repr(error)
    return None
