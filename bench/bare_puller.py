"""The floor of any scheduler: asks once for each export when it is due, and keeps nothing. `python -m bench.bare_puller PORT FILE`.

FILE: due times by name, JSON, in Unix seconds. Prints an empty JSON object at the end.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import aiohttp
import orjson
import uvloop

from bench.vendor import BARE


async def pull(port: int, dues: dict[str, list[float]]) -> None:
    """Ask for all of them, each in its own time."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one(name: str, due: float) -> None:
            await asyncio.sleep(due - time.time())
            async with session.get(f"http://127.0.0.1:{port}{BARE}", params={"name": name}) as answer:
                await answer.read()

        await asyncio.gather(*(one(name, due) for name, times in dues.items() for due in times))


if __name__ == "__main__":
    uvloop.run(pull(int(sys.argv[1]), orjson.loads(Path(sys.argv[2]).read_bytes())))
    print("{}")
