"""Draws, for each request, what goes wrong with it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from sandbox.faults.rules import FaultPlan, Hang, Html, Latency, Partial, Reset, ResetAfterDelivery, Status

if TYPE_CHECKING:
    from sandbox.faults.rules import AnyRule

Ending: TypeAlias = Status | Html | Reset | ResetAfterDelivery | Hang


@dataclass(slots=True)
class _Armed:
    rule: AnyRule
    applied: int = 0

    def spent(self) -> bool:
        return self.rule.times is not None and self.applied >= self.rule.times


class Misfortune:
    """What goes wrong with one request: how long its answer waits, how it ends instead, which of its events are
    refused.
    """

    def __init__(self, chance: random.Random) -> None:
        self.delay_seconds = 0.0
        self.ending: Ending | None = None
        self._partial: Partial | None = None
        self._chance = chance

    def take(self, rule: AnyRule) -> bool:
        """Let `rule` happen; say whether later rules may add to it."""
        if isinstance(rule, Latency):
            self.delay_seconds += rule.milliseconds / 1000
            return True
        if isinstance(rule, Partial):
            self._partial = rule
        else:
            self.ending = rule
        return False

    def refuses(self, index: int, event: bytes) -> str | None:
        """Return why the good event at `index` is refused, None when it is not."""
        rule = self._partial
        if rule is None:
            return None
        refused = (
            index in rule.indices
            or (rule.containing is not None and rule.containing.encode() in event)
            or self._chance.random() < rule.event_probability
        )
        return rule.error if refused else None


class Injector:
    """Holds the rules that are in force, and how often each has happened."""

    def __init__(self) -> None:
        self.set(FaultPlan())

    def set(self, plan: FaultPlan) -> None:
        """Replace all rules; every count begins anew."""
        self._seed = plan.seed
        self._chance = random.Random(plan.seed)  # noqa: S311 - chances that can be repeated, no secrets
        self._armed = [_Armed(rule) for rule in plan.rules]

    def draw(self, appspace: str | None, path: str, body: bytes) -> Misfortune:
        """Return what goes wrong with a request: the first rule that matches and happens, and latencies before it."""
        misfortune = Misfortune(self._chance)
        for armed in self._armed:
            rule = armed.rule
            if armed.spent() or rule.appspace not in (None, appspace) or not fnmatchcase(path, rule.path):
                continue
            if not rule.concerns(body):
                continue
            if rule.probability < 1 and self._chance.random() >= rule.probability:
                continue
            armed.applied += 1
            if not misfortune.take(rule):
                break
        return misfortune

    def describe(self) -> dict[str, Any]:
        """Return the rules as they were set, each with how often it was `applied`."""
        rules = [{**msgspec.to_builtins(armed.rule), "applied": armed.applied} for armed in self._armed]
        return {"seed": self._seed, "rules": rules}
