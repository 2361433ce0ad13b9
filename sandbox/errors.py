"""Whatever goes wrong with a request is answered in JSON, on both ports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.typedefs import Handler, Middleware
    from structlog.typing import FilteringBoundLogger


def _plain(_status: int, text: str) -> dict[str, Any]:
    return {"error": text}


def errors_as_json(log: FilteringBoundLogger, shape: Callable[[int, str], dict[str, Any]] = _plain) -> Middleware:
    """Return the middleware that turns what a handler raised into `{"error": "…"}`, or what `shape` makes of status and
    text: 4xx for bad requests, a logged 500 for our own faults.
    """

    def answer(status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
        body = msgspec.json.encode(shape(status, text))
        return web.Response(body=body, status=status, headers=headers, content_type="application/json")

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as refusal:
            allow = {"Allow": refusal.headers["Allow"]} if "Allow" in refusal.headers else None
            return answer(refusal.status, refusal.reason, allow)
        except (msgspec.DecodeError, UnicodeDecodeError, web.RequestPayloadError) as error:
            return answer(400, str(error))
        except ConnectionError:
            raise  # the sender went away: nobody is left to be told
        except Exception as error:
            log.exception("a request failed", path=request.path, error=str(error))
            return answer(500, "Internal server error")

    return middleware
