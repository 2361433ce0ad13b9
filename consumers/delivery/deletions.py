"""Deletions of users, which travel among their events (RECORDS §1; seed 003, `DELETE /v1/api/analytics/user/:userId`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from consumers.api.answers import Answer, is_error
from consumers.api.outcomes import Action, Kind
from consumers.delivery.batch import body_of
from schemas.cloudevents import DELETION_TYPE_HEADER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.interface import Record
    from consumers.api.answers import NoAnswer
    from consumers.api.outcomes import Outcome


class Deletion(NamedTuple):
    """The wish that everything of a user is removed."""

    user_id: str


class _Value(msgspec.Struct):
    user_id: str


_decode: Final = msgspec.json.Decoder(_Value).decode


def deletion_of(record: Record) -> Deletion | None:
    """Return what a record asks for if it is no event but a deletion, else None; a malformed one is the API's to refuse."""
    if DELETION_TYPE_HEADER not in record.headers:
        return None
    try:
        return Deletion(_decode(record.value or b"").user_id)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def request_of(records: Sequence[Record]) -> bytes | Deletion:
    """Return what the ingestion API is to be asked for `records`: a body with events, or a deletion, which travels alone."""
    return (deletion_of(records[0]) if len(records) == 1 else None) or body_of(records)


def judged(outcome: Outcome, answer: Answer | NoAnswer) -> Outcome:
    """Return what became of a deletion, given what the same answer would say of events.

    That the API knows no such user, or no deletion, says nothing about the events of others, nor does it that our key or plan
    allows none, or that a proxy lets none pass: the deletion is refused, or waits alone, and the storefront does not rest.
    """
    if outcome.action is not Action.PAUSE or outcome.kind is Kind.RATE:
        return outcome
    if outcome.kind is Kind.MISDIRECTED and isinstance(answer, Answer) and is_error(answer.said()):
        return outcome._replace(kind=Kind.REFUSED, action=Action.HALVE, pause=None)
    return outcome._replace(action=Action.RETRY, pause=None)
