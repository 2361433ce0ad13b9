"""What stands for a Kafka that was not reached yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.interface import Publisher, Unavailable

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from broker.interface import Message
    from broker.spool.spool import Spool


class AbsentLog(Publisher):
    """Publishes nothing. `why` says why Kafka is not there, in an operator's words."""

    def __init__(self, why: Callable[[], str]) -> None:
        self._why = why

    def publish(
        self,
        topic: str,
        partition: int,
        messages: Sequence[Message],
        *,
        precious: bool = False,
    ) -> asyncio.Future[None]:
        """Raise Unavailable."""
        del topic, partition, messages, precious
        raise Unavailable(self._why())

    def fault(self) -> str | None:
        """As the interface says."""
        return self._why()

    async def close(self, timeout: float = 10) -> None:  # noqa: ASYNC109  # the interface's
        """As the interface says: there is nothing to close."""


class Spooling(AbsentLog):
    """What comes for a lane is spooled, and what comes next finds the lane so."""

    def __init__(self, spool: Spool, why: Callable[[], str]) -> None:
        super().__init__(why)
        self._spool = spool

    def publish(
        self, topic: str, partition: int, messages: Sequence[Message], *, precious: bool = False
    ) -> asyncio.Future[None]:
        """As the interface says, and as `Spool.append` does."""
        self._spool.relieve(topic, partition, [], self._why())
        return self._spool.append(topic, partition, messages, precious=precious)
