"""Answers larger than memory: made page by page while they are sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

PAGE_BYTES: Final = 131_072


def streamed(pieces: Iterator[bytes], content_type: str, cut_bytes: int | None) -> web.Response:
    """Return the answer whose body is the pieces, one after the other. They are made in a thread.

    It ends after `cut_bytes` where that is given, and looks complete to HTTP.
    """
    return web.Response(body=_pages(pieces, cut_bytes), headers={"Content-Type": content_type})


async def _pages(pieces: Iterator[bytes], cut_bytes: int | None) -> AsyncIterator[bytes]:
    left = cut_bytes
    while page := await asyncio.to_thread(_page, pieces):
        if left is not None:
            page = page[:left]
            left -= len(page)
        yield page
        if left == 0:
            return


def _page(pieces: Iterator[bytes]) -> bytes:
    page = bytearray()
    for piece in pieces:
        page += piece
        if len(page) >= PAGE_BYTES:
            break
    return bytes(page)
