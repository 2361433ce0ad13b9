"""What the gateway answers instead of an acceptance, and with which status (DESIGN §5).

Every refusal is a `Refusal`; its code decides the status here and nowhere else.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

Code: TypeAlias = Literal[
    "INVALID_JSON",
    "INVALID_EVENT",
    "TOO_MANY_EVENTS",
    "BAD_ENCODING",
    "BAD_REQUEST",
    "INVALID_KEY",
    "SECRET_KEY_REQUIRED",
    "ORIGIN_NOT_ALLOWED",
    "NOT_FOUND",
    "METHOD_NOT_ALLOWED",
    "REQUEST_TIMEOUT",
    "TOO_LARGE",
    "UNSUPPORTED_MEDIA_TYPE",
    "RATE_LIMITED",
    "INTERNAL",
    "UPSTREAM_UNREACHABLE",
    "UPSTREAM_TIMEOUT",
    "OVERLOADED",
    "NOT_DURABLE",
    "SPOOL_FULL",
]

STATUS: dict[Code, int] = {
    "INVALID_JSON": 400,
    "INVALID_EVENT": 400,
    "TOO_MANY_EVENTS": 400,
    "BAD_ENCODING": 400,
    "BAD_REQUEST": 400,
    "INVALID_KEY": 401,
    "SECRET_KEY_REQUIRED": 403,
    "ORIGIN_NOT_ALLOWED": 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "REQUEST_TIMEOUT": 408,
    "TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "RATE_LIMITED": 429,
    "INTERNAL": 500,
    "UPSTREAM_UNREACHABLE": 502,
    "UPSTREAM_TIMEOUT": 504,
    "OVERLOADED": 503,
    "NOT_DURABLE": 503,
    "SPOOL_FULL": 503,
}


class Refusal(Exception):
    """A request that is not accepted. `retry_after`: seconds, at least 1, where trying again can help; `allow`: the methods that a
    path takes; `closes`: the connection ends with the answer, because nobody knows where the next request would begin.
    """

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        retry_after: int | None = None,
        allow: str | None = None,
        closes: bool = False,
    ) -> None:
        super().__init__(message)
        self.code: Code = code
        self.message = message
        self.retry_after = retry_after
        self.allow = allow
        self.closes = closes

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUS[self.code]
