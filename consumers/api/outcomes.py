"""What became of a request to the ingestion API: every answer, and every lack of one, classified in this one place.

Follows seed 003 ("Errors", "Response 200") and what the vendor documents of quotas and rate limits. Pure; a table of
tests holds it.

Action     what the forwarder then does
SETTLE     what is named in `refused` is dead-lettered, what is in `held` sent again, everything else is delivered
HALVE      sends the events again in halves, until the one that is refused stands alone and is dead-lettered
ISOLATE    sends them again in halves likewise; what is refused alone is tried for a while, and only its key waits
RETRY      sends the same bytes again after a backoff; only the keys in it wait, unless the API said when to come again
PAUSE      holds the storefront back as a whole, for `pause` as the reason, and probes until it is over
"""

from __future__ import annotations

import re
from enum import Enum, StrEnum, auto
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from consumers.api.answers import Answer, NoAnswer, is_error, legible
from runtime.retry_after import seconds_to_wait

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LONGEST_WAIT: Final = 3_600.0
"""A Retry-After is obeyed this far, in seconds; one that asks for more is probed once an hour."""


class Action(Enum):
    """What the forwarder does about an outcome."""

    SETTLE = auto()
    HALVE = auto()
    ISOLATE = auto()
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


_WAITING: Final = (Action.PAUSE, Action.RETRY, Action.ISOLATE)
_DELIVERED: Final = Outcome(Kind.DELIVERED, Action.SETTLE)
_NAMED_EVENT: Final = re.compile(r"events\[([0-9]{1,4})\]:?\s*(.*)", re.DOTALL)
_HOLDING_CODES: Final = {
    "USAGE_EXCEEDED": Kind.QUOTA,
    "QUOTA_EXCEEDED": Kind.QUOTA,
    "FEATURE_GATED": Kind.PLAN,
    "APPSPACE_FROZEN": Kind.PLAN,
}
# Only the seed's own words count: anything else may quote an event.
_HOLDING_WORDS: Final = {
    "ecommerce event quota exceeded": Kind.QUOTA,
    "ecommerce events are not available on the free tier": Kind.PLAN,
}
_QUOTA_WORDS: Final = "event quota"
_PLAN_WORDS: Final = "free tier"


class _Case(NamedTuple):
    """What `classify` was asked about an answer. `said`: its body as a JSON object, empty when it is none."""

    answer: Answer
    said: dict[str, Any]
    sent: int
    secret: str

    def words(self) -> str:
        """Return what the answer says: the API's `error`, else the body, else its status."""
        error = self.said.get("error")
        words = error if isinstance(error, str) else self.answer.body.decode(errors="replace")
        return legible(words, self.secret) or f"HTTP status {self.answer.status} without a body"


def classify(answer: Answer | NoAnswer, sent: int, now: float, secret: str = "") -> Outcome:
    """Return what became of a request with `sent` events (1 to 100).

    `now`, in seconds since the epoch, is what a Retry-After that is a date is measured from. `secret` (our key) is in
    none of the outcome's words, whoever echoes it: they go to logs and to the dead-letter topic.
    """
    if isinstance(answer, NoAnswer):
        kind = Kind.TIMEOUT if answer.timed_out else Kind.CONNECTION
        return Outcome(kind, Action.RETRY, legible(answer.words, secret), in_doubt=answer.sent)
    judge = _BY_STATUS.get(answer.status) or _BY_HUNDRED.get(answer.status // 100, _misdirected)
    outcome = judge(_Case(answer, answer.said(), sent, secret))
    if outcome.action in _WAITING:
        wait = min(LONGEST_WAIT, seconds_to_wait(answer.headers.get("Retry-After"), now))
        return outcome._replace(retry_after=wait) if wait else outcome
    return outcome


def _success(case: _Case) -> Outcome:
    if case.said.get("ok") is not True:
        return _not_the_api(case)
    refused = _refused(case)
    if refused is None:
        return Outcome(Kind.UNCLEAR, Action.HALVE, case.words())
    accepted = case.said.get("accepted")
    mismatch = type(accepted) is int and accepted != case.sent - len(refused)
    if refused:
        return _partly(refused, mismatch=mismatch)
    return _DELIVERED._replace(mismatch=True) if mismatch else _DELIVERED


def _partly(refused: dict[int, str], *, mismatch: bool) -> Outcome:
    """Judge events that were refused by name: some of them may only have to wait."""
    holding = {index: kind for index, words in refused.items() if (kind := _held_by(words)) is not None}
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
    return Outcome(Kind.NOT_THE_API, Action.RETRY, case.words(), in_doubt=True)


def _refusal(case: _Case) -> Outcome:
    return _held_back(case) or Outcome(Kind.REFUSED, Action.HALVE, case.words())


def _too_large(case: _Case) -> Outcome:
    return Outcome(Kind.TOO_LARGE, Action.HALVE, case.words())


def _unauthorised(case: _Case) -> Outcome:
    return _pause(Kind.AUTH, case)


def _unpaid(case: _Case) -> Outcome:
    return _pause(Kind.PLAN, case)


def _forbidden(case: _Case) -> Outcome:
    if (held := _held_back(case)) is not None:
        return held
    if _PLAN_WORDS in case.words().lower():
        return _unpaid(case)
    return _unauthorised(case) if is_error(case.said) or not case.answer.body else _firewall(case)


def _not_acceptable(case: _Case) -> Outcome:
    return _misdirected(case) if is_error(case.said) else _firewall(case)


def _firewall(case: _Case) -> Outcome:
    """Judge what is refused by something before the API, be it all that we send or what one event holds.

    To rest for it would let a single visitor's event hold back everybody's.
    """
    return Outcome(Kind.NOT_THE_API, Action.ISOLATE, case.words())


def _too_many(case: _Case) -> Outcome:
    if (held := _held_back(case)) is not None:
        return held
    return _pause(Kind.QUOTA if _QUOTA_WORDS in case.words().lower() else Kind.RATE, case)


def _held_back(case: _Case) -> Outcome | None:
    """Judge what names quota or plan, whatever its status: that is no fault of the events, and they are no dead letters."""
    code = case.said.get("code")
    kind = (_HOLDING_CODES.get(code) if isinstance(code, str) else None) or _held_by(case.words())
    return None if kind is None else _pause(kind, case)


def _pause(kind: Kind, case: _Case) -> Outcome:
    return Outcome(kind, Action.PAUSE, case.words(), pause=kind.value)


def _misdirected(case: _Case) -> Outcome:
    return _pause(Kind.MISDIRECTED, case)


def _server_error(case: _Case) -> Outcome:
    return Outcome(Kind.SERVER_ERROR, Action.RETRY, case.words())


def _gateway_error(case: _Case) -> Outcome:
    """Judge what is said by something before the API that got no answer from it: nobody knows what the API did."""
    return _server_error(case)._replace(in_doubt=True)


_BY_STATUS: Final[Mapping[int, Callable[[_Case], Outcome]]] = {
    200: _success,
    400: _refusal,
    401: _unauthorised,
    402: _unpaid,
    403: _forbidden,
    406: _not_acceptable,
    408: _server_error,
    413: _too_large,
    422: _refusal,
    425: _server_error,
    429: _too_many,
    502: _gateway_error,
    504: _gateway_error,
    520: _gateway_error,
    524: _gateway_error,
}
_BY_HUNDRED: Final[Mapping[int, Callable[[_Case], Outcome]]] = {2: _not_the_api, 5: _server_error}


def _refused(case: _Case) -> dict[int, str] | None:
    """Return which events `errors` refuses, and the words about each; None when that cannot be told for sure."""
    errors = case.said.get("errors")
    if not errors:
        return {}
    if case.sent == 1:
        return {0: _about_the_one(errors, case)}
    if not isinstance(errors, list):
        return None
    refused: dict[int, str] = {}
    for error in errors:
        named = _NAMED_EVENT.fullmatch(error) if isinstance(error, str) else None
        if named is None:
            return None
        index = int(named[1])
        if index >= case.sent or index in refused:
            return None
        refused[index] = legible(named[2], case.secret)
    return refused


def _about_the_one(errors: Any, case: _Case) -> str:
    """Return the words about the only event there is: whatever the errors name, they are about that."""
    words = []
    for error in errors if isinstance(errors, list) else [errors]:
        text = error.get("error") if isinstance(error, dict) else error
        if not isinstance(text, str):
            return case.words()
        named = _NAMED_EVENT.fullmatch(text)
        words.append(named[2] if named is not None else text)
    # If it has to wait, that is what counts.
    held = [each for each in words if _held_by(each) is not None]
    return legible("; ".join(held[:1] or words), case.secret)


def _held_by(words: str) -> Kind | None:
    return _HOLDING_WORDS.get(words.strip().rstrip(".").lower())
