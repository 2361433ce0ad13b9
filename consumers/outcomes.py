"""What became of a request to the ingestion API: every answer, and every lack of one, classified in this one place.

Follows seed 003 ("Errors", "Response 200") and what the vendor documents of quotas and rate limits. Pure; a table of
tests holds it.

Action     what the forwarder then does
SETTLE     what is named in `refused` is dead-lettered, what is in `held` sent again, everything else is delivered
HALVE      sends the events again in halves, until the one that is refused stands alone and is dead-lettered
RETRY      sends the same bytes again after a backoff; only the keys in it wait, unless the API said when to come again
PAUSE      holds the storefront back as a whole, for `pause` as the reason, and probes until it is over
"""

from __future__ import annotations

import re
from enum import Enum, StrEnum, auto
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from runtime.retry_after import seconds_to_wait

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_WORDS: Final = 1_000
"""How many characters of the API's words are kept."""
LONGEST_WAIT: Final = 3_600.0
"""A Retry-After is obeyed this far, in seconds; one that asks for more is probed once an hour."""


class Action(Enum):
    """What the forwarder does about an outcome."""

    SETTLE = auto()
    HALVE = auto()
    RETRY = auto()
    PAUSE = auto()


class Kind(StrEnum):
    """The classes of outcome, as `sluice_forwarder_requests_total` counts them."""

    DELIVERED = auto()
    PARTLY_REFUSED = auto()
    UNCLEAR = auto()
    REFUSED = auto()
    TOO_LARGE = auto()
    RATE = auto()
    QUOTA = auto()
    PLAN = auto()
    AUTH = auto()
    MISDIRECTED = auto()
    SERVER_ERROR = auto()
    NOT_THE_API = auto()
    TIMEOUT = auto()
    CONNECTION = auto()


class Answer(NamedTuple):
    """What came back: the status, the headers (looked up in any case) and the body, cut where it was no longer credible."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoAnswer(NamedTuple):
    """Why nothing came back. `sent` tells whether the request may have reached the API all the same."""

    timed_out: bool
    sent: bool
    words: str


class Outcome(NamedTuple):
    """What became of a request.

    `words` are the API's, or what went wrong. `refused` names events by their index in the request, with the API's
    words about each; `held` names those that were not taken for want of quota or plan, which is no fault of theirs.
    `retry_after` is the wait in seconds that the API asked for. `in_doubt` means that the events may have been taken
    although nobody said so. `mismatch` means that `accepted` is not the number of events that `errors` does not name;
    it decides nothing, because the API ignores duplicates and blocked events silently.
    """

    kind: Kind
    action: Action
    words: str = ""
    refused: Mapping[int, str] = {}
    pause: str | None = None
    retry_after: float = 0.0
    in_doubt: bool = False
    mismatch: bool = False
    held: frozenset[int] = frozenset()


_DELIVERED: Final = Outcome(Kind.DELIVERED, Action.SETTLE)
_NAMED_EVENT: Final = re.compile(r"events\[([0-9]{1,4})\]:?\s*(.*)", re.DOTALL)
_PLAN_CODES: Final = frozenset({"FEATURE_GATED", "APPSPACE_FROZEN"})
_QUOTA_CODES: Final = frozenset({"USAGE_EXCEEDED", "QUOTA_EXCEEDED"})
_QUOTA_WORDS: Final = "event quota"
# About a single event, only the seed's own words count: anything else may quote the event.
_HOLDING_WORDS: Final = {
    "ecommerce event quota exceeded": Kind.QUOTA,
    "ecommerce events are not available on the free tier": Kind.PLAN,
}


class _Case(NamedTuple):
    """What `classify` was asked about an answer."""

    answer: Answer
    sent: int
    now: float


def classify(answer: Answer | NoAnswer, sent: int, now: float) -> Outcome:
    """Return what became of a request with `sent` events (1 to 100).

    `now`, in seconds since the epoch, is what a Retry-After that is a date is measured from.
    """
    if isinstance(answer, NoAnswer):
        kind = Kind.TIMEOUT if answer.timed_out else Kind.CONNECTION
        return Outcome(kind, Action.RETRY, answer.words, in_doubt=answer.sent)
    judge = _BY_STATUS.get(answer.status) or _BY_HUNDRED.get(answer.status // 100, _misdirected)
    outcome = judge(_Case(answer, sent, now))
    if outcome.action is Action.PAUSE or outcome.action is Action.RETRY:
        wait = min(LONGEST_WAIT, seconds_to_wait(answer.headers.get("Retry-After"), now))
        return outcome._replace(retry_after=wait) if wait else outcome
    return outcome


def _success(case: _Case) -> Outcome:
    body = _parsed(case.answer)
    if body.get("ok") is not True:
        return _not_the_api(case)
    refused = _refused(body.get("errors"), case.sent)
    if refused is None:
        return Outcome(Kind.UNCLEAR, Action.HALVE, _words(case))
    accepted = body.get("accepted")
    mismatch = type(accepted) is int and accepted != case.sent - len(refused)
    if refused:
        return _partly(refused, mismatch=mismatch)
    return _DELIVERED._replace(mismatch=True) if mismatch else _DELIVERED


def _partly(refused: dict[int, str], *, mismatch: bool) -> Outcome:
    """Judge events that were refused by name: some of them may only have to wait."""
    holding = {
        index: kind
        for index, words in refused.items()
        if (kind := _HOLDING_WORDS.get(words.strip().rstrip(".").lower())) is not None
    }
    if not holding:
        return Outcome(Kind.PARTLY_REFUSED, Action.SETTLE, refused=refused, mismatch=mismatch)
    first = min(holding)
    return Outcome(
        holding[first],
        Action.SETTLE,
        refused[first],
        {index: words for index, words in refused.items() if index not in holding},
        pause=holding[first].value,
        mismatch=mismatch,
        held=frozenset(holding),
    )


def _not_the_api(case: _Case) -> Outcome:
    return Outcome(Kind.NOT_THE_API, Action.RETRY, _words(case), in_doubt=True)


def _refusal(case: _Case) -> Outcome:
    return Outcome(Kind.REFUSED, Action.HALVE, _words(case))


def _too_large(case: _Case) -> Outcome:
    return Outcome(Kind.TOO_LARGE, Action.HALVE, _words(case))


def _unauthorised(case: _Case) -> Outcome:
    return Outcome(Kind.AUTH, Action.PAUSE, _words(case), pause="auth")


def _unpaid(case: _Case) -> Outcome:
    return Outcome(Kind.PLAN, Action.PAUSE, _words(case), pause="plan")


def _forbidden(case: _Case) -> Outcome:
    code = _parsed(case.answer).get("code")
    if code in _QUOTA_CODES:
        return _used_up(case)
    if code in _PLAN_CODES or "free tier" in _words(case).lower():
        return _unpaid(case)
    return _unauthorised(case)


def _too_many(case: _Case) -> Outcome:
    words = _words(case)
    if _parsed(case.answer).get("code") in _QUOTA_CODES or _QUOTA_WORDS in words.lower():
        return _used_up(case)
    return Outcome(Kind.RATE, Action.PAUSE, words, pause="rate")


def _used_up(case: _Case) -> Outcome:
    return Outcome(Kind.QUOTA, Action.PAUSE, _words(case), pause="quota")


def _misdirected(case: _Case) -> Outcome:
    return Outcome(Kind.MISDIRECTED, Action.PAUSE, _words(case), pause="misdirected")


def _server_error(case: _Case) -> Outcome:
    return Outcome(Kind.SERVER_ERROR, Action.RETRY, _words(case))


def _gateway_error(case: _Case) -> Outcome:
    """Judge what is said by something before the API that got no answer from it: nobody knows what the API did."""
    return _server_error(case)._replace(in_doubt=True)


_BY_STATUS: Final[Mapping[int, Callable[[_Case], Outcome]]] = {
    200: _success,
    400: _refusal,
    401: _unauthorised,
    402: _unpaid,
    403: _forbidden,
    408: _server_error,
    413: _too_large,
    422: _refusal,
    425: _server_error,
    429: _too_many,
    502: _gateway_error,
    504: _gateway_error,
}
_BY_HUNDRED: Final[Mapping[int, Callable[[_Case], Outcome]]] = {2: _not_the_api, 5: _server_error}


def _refused(errors: Any, sent: int) -> dict[int, str] | None:
    """Return which events `errors` refuses; None when that cannot be told for sure."""
    if not errors:
        return {}
    if sent == 1:
        # Whatever the errors name, there is only one event that they can be about.
        words = errors if isinstance(errors, list) else [errors]
        return {0: "; ".join(map(_event_words, words))[:MAX_WORDS]}
    if not isinstance(errors, list):
        return None
    refused: dict[int, str] = {}
    for error in errors:
        named = _NAMED_EVENT.fullmatch(error) if isinstance(error, str) else None
        if named is None:
            return None
        index = int(named[1])
        if index >= sent or index in refused:
            return None
        refused[index] = named[2][:MAX_WORDS]
    return refused


def _event_words(error: Any) -> str:
    if not isinstance(error, str):
        return orjson.dumps(error).decode()
    named = _NAMED_EVENT.fullmatch(error)
    return named[2] if named is not None else error


def _parsed(answer: Answer) -> dict[str, Any]:
    try:
        value = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _words(case: _Case) -> str:
    """Return what the answer says: the API's `error`, else the start of the body, else its status."""
    error = _parsed(case.answer).get("error")
    words = error if isinstance(error, str) else case.answer.body[: 4 * MAX_WORDS].decode(errors="replace")
    return words.strip()[:MAX_WORDS] or f"HTTP status {case.answer.status}"
