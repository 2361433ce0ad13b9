"""The errors of seed 000: one envelope, the codes of both tables."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

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


def envelope_of(status: int) -> dict[str, Any]:
    """Return the body that goes with a status of the vendor's servers; its code is null where the tables lack one."""
    return envelope({500: "UNKNOWN", BUSY_STATUS: "TIMEOUT"}.get(status))
