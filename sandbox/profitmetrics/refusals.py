"""The errors of seed 000: one envelope, the codes of both tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware
    from structlog.typing import FilteringBoundLogger

BUSY_STATUS = 599


class Refused(Exception):
    """A request is answered with an error. `reason` is for whoever looks into the sandbox: the vendor's answer does not
    say it.
    """

    def __init__(
        self, status: int, code: str | None, reason: str, details: Any = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.code = code
        self.reason = reason
        self.details = details
        self.headers = headers

    def answer(self) -> web.Response:
        """Return it as the vendor sends it."""
        body = msgspec.json.encode(envelope(self.code, self.details))
        return web.Response(status=self.status, body=body, headers=self.headers, content_type="application/json")


def envelope(code: str | None, details: Any = None) -> dict[str, Any]:
    """Return the body of an error. What the body of a 401 looks like is unknown: here its code is null."""
    return {"success": False, "errorCode": code, "errorDetails": details}


def code_of(status: int) -> str | None:
    """Return the code that goes with a status of the vendor's servers; None for any that the tables lack."""
    return {500: "UNKNOWN", BUSY_STATUS: "TIMEOUT"}.get(status)


def errors_in_envelope(log: FilteringBoundLogger) -> Middleware:
    """Return the middleware that answers in the vendor's envelope, whatever a handler raised: 4xx as they are, a logged
    500 for our own faults.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as refusal:
            allow = {"Allow": refusal.headers["Allow"]} if "Allow" in refusal.headers else None
            return Refused(refusal.status, None, refusal.reason, headers=allow).answer()
        except ConnectionError:
            raise  # the sender went away: nobody is left to be told
        except Exception as error:
            log.exception("a request failed", path=request.path, error=str(error))
            return Refused(500, "UNKNOWN", str(error)).answer()

    return middleware
