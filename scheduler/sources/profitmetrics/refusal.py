"""What the vendor's statuses and error codes mean: both tables of seed 000, in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from scheduler import refusals
from scheduler.errors import AccountRefused, ExportRefused, Parked, Retryable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scheduler.errors import PullError
    from scheduler.reply import Reply

BUSY: Final = 599
MAX_REFUSAL_BYTES: Final = 64 * 1024
_BAD_REQUEST, _UNAUTHORISED, _FORBIDDEN, _TOO_MANY = 400, 401, 403, 429
_EXCERPT, _LONG_EXCERPT = 300, 2_000


class SitesRefused(ExportRefused):
    """A CSID is unknown, or the key may not read it."""


class RequestRefused(ExportRefused):
    """The body failed validation: among other things a metric may be unknown."""


class ReportFailed(Retryable):
    """A report could not be processed. In a request of several nobody knows which."""


_MEANINGS: Final[Mapping[str, tuple[Callable[[str], PullError], str]]] = {
    "CUSTOMER_SITE_NOT_FOUND": (SitesRefused, "a CSID is unknown, or the key may not read it"),
    "NO_ACCESS_TO_SITES": (SitesRefused, "the key may not read every CSID"),
    "NO_REQUESTED_REPORTS": (ExportRefused, "the request held no reports"),
    "VALIDATION_ERROR": (RequestRefused, "the request failed the vendor's validation"),
    "Validation error": (RequestRefused, "the request failed the vendor's validation"),
    "INVALID_AUTHENTICATION_TYPE": (AccountRefused, "the vendor does not take the credential for an API key"),
    "FAILED_TO_PROCESS_REPORT": (ReportFailed, "the vendor failed to process a report"),
    "DB_ERROR": (Retryable, "the vendor's database failed"),
    "UNKNOWN": (Retryable, "the vendor failed for a reason it does not know"),
}


def is_whole_account(error: object) -> bool:
    """Return whether nothing else of the account need be asked for after this."""
    return isinstance(error, AccountRefused | Parked) or (isinstance(error, Retryable) and error.whole_account)


def judge(reply: Reply) -> PullError | None:
    """Return what a refusal means, by its code, else by its status; None for an answer.

    A 200 that says `success: false` is a refusal as well. One too large for any refusal is looked at when it is read.
    """
    good = 200 <= reply.status < 300  # noqa: PLR2004  # the class of success
    if good and reply.size > MAX_REFUSAL_BYTES:
        return None
    body = refusals.told(reply)
    told = body if isinstance(body, dict) else {}
    code, details = told.get("errorCode"), told.get("errorDetails")
    if good:
        error = unsuccessful(code, details) if told.get("success") is False else None
    elif reply.status == BUSY:
        error = _busy()
    elif reply.status == _TOO_MANY:  # whatever its code: it is the account that asks too often
        error = refusals.usual(reply)
    else:
        error = meaning(code, details) or _by_status(reply.status, code, details) or refusals.usual(reply)
    if isinstance(error, Retryable):
        error.retry_after = refusals.retry_after(reply)
    return error


def unsuccessful(code: Any, details: Any) -> PullError:
    """Return what an answer with a good status means that says `success: false`, or does not say that it is one."""
    return meaning(code, details) or Retryable(
        f"the vendor answered with a good status, but without success ({code!s:.100}{_also(details)})"
    )


def meaning(code: Any, details: Any) -> PullError | None:
    """Return what one of the codes of both tables means, whatever its status; None for any other."""
    if code == "TIMEOUT":
        return _busy()
    if code == "MISSING_SETTING_FOR_SELECTED_METRIC":
        return ExportRefused(f"settings are missing at the vendor for {_lacking(details)} ({code})")
    if not isinstance(code, str) or code not in _MEANINGS:
        return None
    kind, text = _MEANINGS[code]
    return kind(f"{text} ({code}{_also(details)})")


def _busy() -> Retryable:
    return Retryable("the vendor is busy with other requests (TIMEOUT)", whole_account=True)


def _by_status(status: int, code: Any, details: Any) -> PullError | None:
    """Return what a status means whose code is not in the tables, or absent, as for a bad key."""
    code = code if isinstance(code, str) else ""
    shown = f"{status} {code[:_EXCERPT]}".rstrip()
    if status == _UNAUTHORISED or (status == _FORBIDDEN and not code):
        return AccountRefused(f"the key is missing, invalid or lacks the scope METRICS_READ ({shown})")
    if status == _FORBIDDEN:
        return ExportRefused(f"the vendor forbids it ({shown}{_also(details)})")
    if status == _BAD_REQUEST:
        return RequestRefused(f"the request failed the vendor's validation ({shown}{_also(details)})")
    return None


def _lacking(details: Any) -> str:
    """Return which metrics lack settings at which sites: `GOOGLE_GROSS_PROFIT at 10000394, 10000816; …`."""
    if not isinstance(details, dict) or not details:
        return f"a metric{_also(details)}"
    return "; ".join(f"{metric} at {_sites(sites)}" for metric, sites in details.items())[:_LONG_EXCERPT]


def _sites(sites: Any) -> str:
    return ", ".join(map(str, sites)) if isinstance(sites, list) else _short(sites)


def _also(details: Any) -> str:
    return "" if details is None else f", {_short(details)}"


def _short(value: Any) -> str:
    return orjson.dumps(value).decode()[:_EXCERPT]
