"""Reading a request's body: bounded, of a known content type, decompressed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import HttpVersion11, web
from aiohttp.hdrs import CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING
from aiohttp.http_exceptions import HttpProcessingError

from gateway.encodings import decompress
from gateway.errors import Refusal
from gateway.patience import SenderTooSlow

if TYPE_CHECKING:
    from gateway.limits import Stay

CONTENT_TYPES = ("application/json", "text/plain")


def check_frame(request: web.BaseRequest) -> None:
    """Look at a request that has a Transfer-Encoding: what stands before us might see another end of its body than we do.

    Raises Refusal (BAD_REQUEST) unless it is HTTP/1.1, its only encoding is `chunked`, and no Content-Length says otherwise. That the
    body is framed as its headers say is the parser's to check.
    """
    headers = request.headers
    chunked = headers[TRANSFER_ENCODING].lower() == "chunked"
    if not chunked or CONTENT_LENGTH in headers or request.version != HttpVersion11:
        raise Refusal("BAD_REQUEST", "Transfer-Encoding is not acceptable", closes=True)


async def read_body(request: web.BaseRequest, limit: int, stay: Stay) -> bytes:
    """Return the body, decompressed. What does not come at once is counted in `stay` as it comes; the whole is its caller's to count.

    Raises Refusal: UNSUPPORTED_MEDIA_TYPE, TOO_LARGE, BAD_ENCODING, BAD_REQUEST when it ends early, REQUEST_TIMEOUT, OVERLOADED.
    """
    headers = request.headers
    content_type = headers.get("Content-Type")
    if content_type and content_type.partition(";")[0].strip().lower() not in CONTENT_TYPES:
        raise Refusal("UNSUPPORTED_MEDIA_TYPE", "Content-Type must be application/json or text/plain")
    body = await _read(request, limit, stay)
    if CONTENT_ENCODING in headers:
        return decompress(body, ",".join(headers.getall(CONTENT_ENCODING)), limit)
    return body


async def read_raw(request: web.BaseRequest, limit: int, stay: Stay) -> bytes | None:
    """Return the body as it was sent, whatever it is, or None for a request without; it is counted as by `read_body`.

    Raises Refusal: TOO_LARGE, BAD_REQUEST, REQUEST_TIMEOUT, OVERLOADED.
    """
    if not request.body_exists:
        return None
    return await _read(request, limit, stay)


async def _read(request: web.BaseRequest, limit: int, stay: Stay) -> bytes:
    length = request.content_length
    if length is not None and length > limit:
        raise _too_large(limit)
    content = request.content
    try:
        if not content.total_bytes and not content.is_eof():
            await _go_on(request)
        body = await content.readany()
        if content.at_eof():
            if len(body) > limit:
                raise _too_large(limit)
            return body
        parts = [body]
        size = len(body)
        while True:
            if size > limit:
                raise _too_large(limit)
            stay.weigh(size)
            if content.at_eof():
                return b"".join(parts)
            parts.append(await content.readany())
            size += len(parts[-1])
    except SenderTooSlow as error:
        raise Refusal("REQUEST_TIMEOUT", "Request body took too long", closes=True) from error
    except (web.RequestPayloadError, HttpProcessingError, ConnectionError) as error:
        raise Refusal("BAD_REQUEST", "body could not be read to its end", closes=True) from error


async def _go_on(request: web.BaseRequest) -> None:
    """Tell a sender so that waits for leave to send its body (RFC 9110 §10.1.1)."""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.version == HttpVersion11:
        writer = request.writer
        await writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # That was no part of the answer.
        writer.output_size = 0


def _too_large(limit: int) -> Refusal:
    return Refusal("TOO_LARGE", f"body is larger than {limit} bytes")
