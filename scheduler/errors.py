"""What a pull can fail with. Every text is for an operator: it says what the vendor refused and why, and holds no secret.

::

    PullError
    ├── Retryable       the same request may work later: busy, 5xx, 599, timeout, 429 that is only pace
    │   └── TimedOut    no whole answer in time: a smaller one may come
    ├── Parked          plan or quota: the account rests, and is probed
    ├── AccountRefused  permanent for every export of the account: a bad key, a missing scope
    └── ExportRefused   permanent for this export alone: an unknown metric, a refused site, a setting the vendor lacks

The vendors' statuses and codes are mapped to these in each source's own module, in one place.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

ParkedKind: TypeAlias = Literal["rate", "quota", "plan"]


class PullError(Exception):
    """A pull, or one ask of it, failed. `str(error)` is the reason."""


class Retryable(PullError):
    """Ask again after `retry_after` seconds (None: after a backoff). `whole_account`: nothing else of the account either until then."""

    def __init__(self, reason: str, *, retry_after: float | None = None, whole_account: bool = False) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        self.whole_account = whole_account


class TimedOut(Retryable):
    """The vendor did not bring the answer in time."""


class Parked(PullError):
    """The vendor gives this account nothing for now; one request at growing intervals finds out when it does again."""

    def __init__(self, reason: str, kind: ParkedKind) -> None:
        super().__init__(reason)
        self.kind = kind


class AccountRefused(PullError):
    """The account's credentials are refused: all its exports stop until they, or the configuration, change."""


class ExportRefused(PullError):
    """This export cannot be had as it is configured: it stops, the others go on."""
