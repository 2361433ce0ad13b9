"""Reading a request's body: bounded, of a known content type, decompressed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from gateway.encodings import decompress
from gateway.errors import Refusal

if TYPE_CHECKING:
    from gateway.limits import InFlight

CONTENT_TYPES = ("application/json", "text/plain")


async def read_body(request: web.BaseRequest, limit: int, in_flight: InFlight) -> bytes:
    """Return the body, decompressed; its bytes are then counted in `in_flight` until the caller gives them back.

    Raises Refusal: UNSUPPORTED_MEDIA_TYPE, TOO_LARGE, BAD_ENCODING, BAD_REQUEST when it ends early, OVERLOADED; then nothing is counted.
    """
    headers = request.headers
    content_type = headers.get("Content-Type")
    if content_type and content_type.partition(";")[0].strip().lower() not in CONTENT_TYPES:
        raise Refusal("UNSUPPORTED_MEDIA_TYPE", "Content-Type must be application/json or text/plain")
    length = request.content_length
    if length is not None and length > limit:
        raise _too_large(limit)
    encoding = headers.get("Content-Encoding")
    reserved = limit if encoding or length is None else length
    in_flight.take(reserved)
    try:
        body = await _read(request, limit)
        if encoding:
            body = decompress(body, encoding, limit)
    except BaseException:
        in_flight.give_back(reserved)
        raise
    in_flight.give_back(reserved - len(body))
    return body


async def read_raw(request: web.BaseRequest, limit: int, in_flight: InFlight) -> bytes | None:
    """Return the body as it was sent, whatever it is, or None for a request without; it is counted as by `read_body`.

    Raises Refusal: TOO_LARGE, BAD_REQUEST, OVERLOADED; then nothing is counted.
    """
    if not request.body_exists:
        return None
    length = request.content_length
    if length is not None and length > limit:
        raise _too_large(limit)
    reserved = limit if length is None else length
    in_flight.take(reserved)
    try:
        body = await _read(request, limit)
    except BaseException:
        in_flight.give_back(reserved)
        raise
    in_flight.give_back(reserved - len(body))
    return body


async def _read(request: web.BaseRequest, limit: int) -> bytes:
    content = request.content
    try:
        body = await content.readany()
        if content.at_eof():
            if len(body) > limit:
                raise _too_large(limit)
            return body
        parts = [body]
        size = len(body)
        while not content.at_eof():
            part = await content.readany()
            size += len(part)
            if size > limit:
                raise _too_large(limit)
            parts.append(part)
    except (web.RequestPayloadError, HttpProcessingError) as error:
        raise Refusal("BAD_REQUEST", "body could not be read to its end") from error
    return b"".join(parts)


def _too_large(limit: int) -> Refusal:
    return Refusal("TOO_LARGE", f"body is larger than {limit} bytes")
