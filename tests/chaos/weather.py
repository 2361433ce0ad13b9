"""What the ingestion API does to those who send to it, as plans for the sandbox's fault port."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.faults.rules import FaultPlan, Html, Latency, Partial, Reset, ResetAfterDelivery, Status

if TYPE_CHECKING:
    from sandbox.faults.rules import AnyRule

UNWANTED = "the-api-does-not-want-this"
"""An event that holds this text is refused by name, and so belongs in the dead-letter topic."""

POISON = "the-api-chokes-on-this"
"""An event that holds this text makes the API refuse the whole batch that it is in: with `spells`, and only there."""

_PATH = "*/batch"
_SLOW_DOWN = {"error": "Too many requests. Please slow down."}
_PARTIAL = Partial(path=_PATH, containing=UNWANTED, error="unwanted event")


def calm() -> FaultPlan:
    """Everything works; unwanted events are refused."""
    return FaultPlan(rules=[_PARTIAL])


def storm(seed: int) -> FaultPlan:
    """About one request in four fails, in every way that issue and field know; half of those were carried out all the same."""
    rules: list[AnyRule] = [
        Latency(path=_PATH, probability=0.3, milliseconds=25),
        Status(path=_PATH, probability=0.04, status=500, body="Internal Server Error"),
        Status(path=_PATH, probability=0.01, status=429, body=_SLOW_DOWN),
        Status(path=_PATH, probability=0.01, status=429, body=_SLOW_DOWN, headers={"Retry-After": "1"}),
        Reset(path=_PATH, probability=0.04),
        Html(path=_PATH, probability=0.04),
        Html(path=_PATH, probability=0.02, after_delivery=True),
        ResetAfterDelivery(path=_PATH, probability=0.08),
        Status(path=_PATH, probability=0.02, status=502, body="Bad Gateway", after_delivery=True),
        _PARTIAL,
    ]
    return FaultPlan(seed=seed, rules=rules)


def outage(appspace: str) -> FaultPlan:
    """One appspace's API is down: connections are reset. The others know nothing of it."""
    return FaultPlan(rules=[Reset(path=_PATH, appspace=appspace), _PARTIAL])
