"""What the vendor's statuses, codes and texts mean: seed 003 and VENDORS.md, in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from runtime.retry_after import seconds_to_wait
from scheduler import refusals
from scheduler.errors import AccountRefused, Parked, Retryable

if TYPE_CHECKING:
    from scheduler.errors import ParkedKind, PullError
    from scheduler.reply import Reply

_PARKED: Final[dict[str, tuple[ParkedKind, str]]] = {
    "FEATURE_GATED": ("plan", "the plan does not include ecommerce analytics"),
    "APPSPACE_FROZEN": ("plan", "the appspace is frozen"),
    "USAGE_EXCEEDED": ("quota", "the month's API calls are used up"),
}
# The seed has these two without a code.
_FREE_TIER: Final = "free tier"
_QUOTA: Final = "quota exceeded"
_GOOD = 200
_FORBIDDEN = 403
_TOO_MANY = 429


def judge(reply: Reply) -> PullError | None:
    """Return what a refusal means; None for an answer that may be the endpoint's: that is found out when it is read."""
    match reply.status:
        case status if status == _GOOD:
            return _page(reply)
        case status if status == _FORBIDDEN:
            return _forbidden(reply) or refusals.usual(reply)
        case status if status == _TOO_MANY:
            return _too_many(reply)
        case _:
            return refusals.usual(reply)


def rest(reply: Reply) -> float | None:
    """Return for how many seconds an answer says that the next request would be refused; None when it says no such thing."""
    if reply.headers.get("RateLimit-Remaining", "").strip() != "0":
        return None
    return _reset(reply)


def _page(reply: Reply) -> PullError | None:
    # A proxy's page, seen at its first character: here its beginning still gets into the log.
    if reply.excerpt(64).lstrip().startswith("{"):
        return None
    kind = reply.headers.get("Content-Type", "no type")[:80]
    return Retryable(f"the vendor answered 200 ({kind}) with what is no JSON object")


def _forbidden(reply: Reply) -> PullError | None:
    code, text = _said(reply)
    if code in _PARKED:
        kind, meaning = _PARKED[code]
        return Parked(_with(meaning, code, text), kind)
    if _FREE_TIER in text.lower():
        return Parked(_with("the plan does not include ecommerce analytics", code, text), "plan")
    if "secret key" in text.lower():
        return AccountRefused(_with("the key is not a secret one", code, text))
    return None


def _too_many(reply: Reply) -> PullError:
    code, text = _said(reply)
    if _QUOTA in text.lower():
        return Parked(_with("the plan's ecommerce events are used up", code, text), "quota")
    wait = refusals.retry_after(reply) or _reset(reply)
    return Retryable(_with("the vendor wants fewer requests", code, text), retry_after=wait, whole_account=True)


def _reset(reply: Reply) -> float | None:
    seconds = seconds_to_wait(reply.headers.get("RateLimit-Reset"), reply.received_at.timestamp())
    return min(seconds, refusals.LONGEST_PACE) if seconds > 0 else None


def _said(reply: Reply) -> tuple[str, str]:
    """Return the code and the text of an error of the API's shape; empty where there is none."""
    told = refusals.told(reply)
    return (_text(told.get("code")), _text(told.get("error"))) if isinstance(told, dict) else ("", "")


def _text(value: Any) -> str:
    return value[: refusals.MAX_WORDS] if isinstance(value, str) else ""


def _with(meaning: str, code: str, text: str) -> str:
    said = ", ".join(part for part in (text, code) if part)
    return f"{meaning} ({said})" if said else meaning
