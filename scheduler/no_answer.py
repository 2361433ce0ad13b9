"""Why no whole answer came, in an operator's words. No word of aiohttp's is repeated that may hold a URL, whose query may hold anything."""

from __future__ import annotations

import zlib

import aiohttp

from scheduler.errors import Retryable, TimedOut


def no_answer(error: Exception, received: int) -> Retryable:
    """Return what to raise for what broke a request off when `received` bytes of the answer were there."""
    in_time = not isinstance(error, TimeoutError) or isinstance(error, aiohttp.ConnectionTimeoutError)
    return (Retryable if in_time else TimedOut)(_words(error, received))


def _words(error: Exception, received: int) -> str:  # noqa: PLR0911  # a table
    match error:
        case aiohttp.ConnectionTimeoutError():
            return "no connection to the vendor in time"
        case aiohttp.ClientConnectorDNSError():
            return f"the vendor's host {error.host} cannot be resolved"
        case aiohttp.ClientConnectorCertificateError():
            return f"the certificate of {error.host} is not accepted"
        case aiohttp.ClientConnectorError():
            return f"no connection to {error.host}:{error.port} ({error.strerror or type(error).__name__})"
        case aiohttp.ServerDisconnectedError():
            return "the vendor closed the connection without an answer"
        case aiohttp.ClientPayloadError():
            return f"the answer was cut off after {received} bytes"
        case zlib.error():
            return f"the answer's compression is broken after {received} bytes"
        case TimeoutError():
            return f"the answer did not come to its end in time; {received} bytes came"
        case OSError(strerror=str(reason)):
            return f"the connection to the vendor broke ({reason})"
        case _:
            return f"the request failed on its way ({type(error).__name__})"
