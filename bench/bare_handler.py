"""The ceiling of any aiohttp gateway: reads the body, answers, keeps nothing. `python -m bench.bare_handler PORT`."""

from __future__ import annotations

import asyncio
import sys

import uvloop
from aiohttp import web

ANSWER = b'{"ok":true,"accepted":100}'


async def handle(request: web.BaseRequest) -> web.StreamResponse:
    """Read and answer."""
    await request.read()
    return web.Response(body=ANSWER, content_type="application/json")


async def serve(port: int) -> None:
    """Serve until killed."""
    runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
