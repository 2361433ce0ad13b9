"""What a failure of aiokafka means for the records that met it."""

from __future__ import annotations

from enum import Enum

from aiokafka import errors

from broker.interface import BrokerError, NotAcknowledged, RecordTooLarge, Unavailable, UnknownTopic


class Meaning(Enum):
    """REFUSED and TOO_LARGE: the broker judged the records and surely wrote none. UNKNOWN: there is no such topic; nothing
    was written. LOST: nobody knows; the producer is no longer good for this partition.
    """

    REFUSED = "refused"
    TOO_LARGE = "too large"
    UNKNOWN = "unknown"
    LOST = "lost"


_TOO_LARGE = (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError)
_UNKNOWN = (errors.UnknownTopicOrPartitionError, errors.InvalidTopicError)
_REFUSED = (
    errors.TopicAuthorizationFailedError,
    errors.ClusterAuthorizationFailedError,
    errors.PolicyViolationError,
    errors.InvalidTimestampError,
    errors.UnsupportedForMessageFormatError,
    errors.InvalidRequiredAcksError,
    # What aiokafka has no name for, above all INVALID_RECORD: a record without a key on a compacted topic.
    errors.UnknownError,
)


def meaning(error: BaseException) -> Meaning:
    """Return what `error`, out of a produce request, means."""
    if isinstance(error, _TOO_LARGE):
        return Meaning.TOO_LARGE
    if isinstance(error, _UNKNOWN):
        return Meaning.UNKNOWN
    if isinstance(error, _REFUSED):
        return Meaning.REFUSED
    return Meaning.LOST


def as_ours(error: BaseException, where: str) -> BrokerError:
    """Return the error to tell callers whose records on `where` met `error` and are not sent again."""
    match meaning(error):
        case Meaning.TOO_LARGE:
            return RecordTooLarge(f"{where}: larger than the topic takes")
        case Meaning.UNKNOWN:
            return UnknownTopic(f"{where}: no such topic or partition")
        case Meaning.REFUSED if not isinstance(error, errors.UnknownError):
            return Unavailable(f"{where}: Kafka refuses records: {said(error)}")
        case _:
            return NotAcknowledged(f"{where}: {said(error)}")


def said(error: BaseException) -> str:
    """Return what an error of aiokafka says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__
