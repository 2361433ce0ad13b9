"""Whatever goes wrong with a request is answered in JSON, on both ports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware
    from structlog.typing import FilteringBoundLogger


def errors_as_json(log: FilteringBoundLogger) -> Middleware:
    """Return the middleware that turns what a handler raised into `{"error": "…"}`: 4xx for bad requests, a logged
    500 for our own faults.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as refusal:
            allow = {"Allow": refusal.headers["Allow"]} if "Allow" in refusal.headers else None
            return _error(refusal.status, refusal.reason, allow)
        except (msgspec.DecodeError, UnicodeDecodeError, web.RequestPayloadError) as error:
            return _error(400, str(error))
        except ConnectionError:
            raise  # the sender went away: nobody is left to be told
        except Exception as error:
            log.exception("a request failed", path=request.path, error=str(error))
            return _error(500, "Internal server error")

    return middleware


def _error(status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=msgspec.json.encode({"error": text}), status=status, headers=headers, content_type="application/json"
    )
