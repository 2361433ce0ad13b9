"""Host names to addresses, so that one whose servers do not answer delays no other (G4)."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Any

from aiohttp.abc import AbstractResolver, ResolveResult

if TYPE_CHECKING:
    from collections.abc import Callable


class Resolver(AbstractResolver):
    """Asks the system, in a thread for each question.

    The event loop has four threads for the names of all: as many dead names and nobody's is resolved, nor does the process end
    before they are. The connector asks for a name once at a time and remembers the answer, so there are never many threads.
    `lookup` is `socket.getaddrinfo`, or stands for it.
    """

    def __init__(self, lookup: Callable[..., list[Any]] = socket.getaddrinfo) -> None:
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of `host`. Waits as long as the system does; raises OSError."""
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[list[Any]] = loop.create_future()

        def tell(found: list[Any] | OSError) -> None:
            if answered.done():
                return
            if isinstance(found, OSError):
                answered.set_exception(found)
            else:
                answered.set_result(found)

        def ask() -> None:
            found: list[Any] | OSError
            try:
                found = self._lookup(host, port, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG)
            except OSError as error:
                found = error
            except UnicodeError:
                found = socket.gaierror(socket.EAI_NONAME, "no host name")
            # The loop may be closed by now: then nobody wants to know.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(tell, found)

        Thread(target=ask, name=f"resolve {host}", daemon=True).start()
        return [
            ResolveResult(
                hostname=host,
                host=address[0],
                port=address[1],
                family=found,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for found, _, protocol, _, address in await answered
        ]

    async def close(self) -> None:
        """Do nothing: what is still being asked ends by itself, and nobody waits for it."""
