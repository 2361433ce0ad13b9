"""What the usual statuses of HTTP mean, for whatever a vendor does not say itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from runtime.retry_after import seconds_to_wait
from scheduler.errors import AccountRefused, ExportRefused, Parked, Retryable, TimedOut

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scheduler.errors import PullError
    from scheduler.reply import Reply

LONGEST_PACE: Final = 3600.0
"""A Retry-After is obeyed this far, in seconds: an account that asks for more is looked at once an hour."""
MAX_WORDS: Final = 300
_CODES: Final = ("code", "errorCode", "error_code")
_TEXTS: Final = ("error", "title", "message", "detail", "error_description", "errorDetails")


def usual(reply: Reply) -> PullError | None:  # noqa: PLR0911  # a table
    """Return what the answer means by its status alone; None for 2xx. The reason has the vendor's own words."""
    status = reply.status
    match status:
        case _ if 200 <= status < 300:  # noqa: PLR2004  # the class of success
            return None
        case _ if 300 <= status < 400:  # noqa: PLR2004  # the class of redirections
            return redirected(reply)
        case 401:
            return AccountRefused(_reason("the vendor refuses the credentials", reply))
        case 402:
            return Parked(_reason("the vendor wants to be paid", reply), "plan")
        case 403:
            return AccountRefused(_reason("the vendor forbids it to these credentials", reply))
        case 408 | 425:
            return Retryable(_reason("the vendor was not ready for the request", reply), retry_after=retry_after(reply))
        case 429:
            reason = _reason("the vendor wants fewer requests", reply)
            return Retryable(reason, retry_after=retry_after(reply), whole_account=True)
        case _ if 400 <= status < 500:  # noqa: PLR2004  # the class of faulty requests
            return ExportRefused(_reason("the vendor refuses the request", reply))
        case 504:
            return TimedOut(
                _reason("the vendor did not answer its own front in time", reply), retry_after=retry_after(reply)
            )
        case _:
            return Retryable(_reason("the vendor failed", reply), retry_after=retry_after(reply))


def redirected(reply: Reply) -> PullError | None:
    """Return what a redirection means; None for anything else.

    It is not followed, because the key would go where nobody configured it. The next request would be sent there again, so it
    is no matter of time; whether all of the account's requests are, the other exports find out themselves.
    """
    if not 300 <= reply.status < 400:  # noqa: PLR2004  # the class of redirections
        return None
    target = reply.headers.get("Location", "nowhere").partition("?")[0]
    return ExportRefused(
        _cut(f"the vendor redirects to {target} ({reply.status}), which is not followed: check the account's url")
    )


def retry_after(reply: Reply) -> float | None:
    """Return for how many seconds the vendor wants to be left alone, at most an hour; None when it does not say."""
    seconds = seconds_to_wait(reply.headers.get("Retry-After"), reply.received_at.timestamp())
    return min(seconds, LONGEST_PACE) if seconds > 0 else None


def told(reply: Reply) -> Any:
    """Return the body where it is a JSON document, else None: a proxy's page tells nothing."""
    try:
        return reply.document()
    except Retryable:
        return None


def words(reply: Reply) -> str:
    """Return what a JSON error says, in one line of at most `MAX_WORDS` characters; empty when it is none of a usual shape."""
    return _cut(_words(told(reply)))


def _reason(meaning: str, reply: Reply) -> str:
    said = words(reply)
    return f"{meaning} ({reply.status}): {said}" if said else f"{meaning} ({reply.status})"


def _words(document: Any) -> str:
    match document:
        case {"errors": [first, *_]}:
            error = first
        case {"error": dict() as inner}:
            error = inner
        case _:
            error = document
    if isinstance(error, dict):
        return _said(error)
    return error if isinstance(error, str) else ""


def _said(error: Mapping[str, Any]) -> str:
    code = next((str(error[name]) for name in _CODES if error.get(name)), "")
    text = ", ".join(_text(error[name]) for name in _TEXTS if error.get(name))
    return f"{text} ({code})" if text and code else text or code


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:  # it reads what is nested deeper than it writes
        return "…"


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_WORDS else f"{line[: MAX_WORDS - 1]}…"
