"""The fraud rules of seed 003: bot detection, impossible revenue, velocity limits, currency restrictions.

The seed names the rules and what follows: severity 1 is stored, marked and counted; severity 2 is silently ignored,
and the sender hears `ok`. What breaks a rule nobody knows; here it is plain to see:

- bot: `properties.bot` is `true`, or `properties.user_agent` names a bot. Whether the vendor reads the request's own
  User-Agent is unknown: the switch `reads_request`.
- revenue: more (or less than minus) `most_revenue`, in the base currency.
- velocity: more than `events_per_minute` of one user (of one cart, where nobody is logged in).
- currency: another one than `currencies`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypeAlias

import msgspec

from sandbox.money import EUROS
from sandbox.tolinku.rate_limit import RateLimit

if TYPE_CHECKING:
    from runtime.clock import Clock
    from sandbox.tolinku.measure import Measured

Severity: TypeAlias = Literal[0, 1, 2]

BLOCKS: Severity = 2
BOT = re.compile(r"(?<!cu)bot\b|crawl|spider|headless", re.IGNORECASE)
"""What the User-Agents of bots have in them; Cubot makes telephones."""


class Fraud(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The rules of an appspace, and how severe it is to break them: 0 off, 1 flagged, 2 blocked.

    As it stands at the start no honest shop notices. Beside all this an amount that no table holds (10^12) is always
    blocked.
    """

    bot: Severity = 1
    revenue: Severity = 2
    most_revenue: Annotated[float, msgspec.Meta(gt=0)] | None = None
    velocity: Severity = 1
    events_per_minute: Annotated[int, msgspec.Meta(ge=1)] | None = None
    currency: Severity = 2
    currencies: frozenset[str] | None = None


class Suspicion(NamedTuple):
    """Which rule an event breaks, and how severe that is."""

    rule: str
    severity: Severity


class Inspector:
    """Holds events against the rules. Counts each user's events of the running minute, so it is used by one thread."""

    def __init__(self, clock: Clock) -> None:
        self._velocity = RateLimit(clock)

    def inspect(
        self, appspace: str, event: dict[str, Any], measured: Measured, rules: Fraud, base: str, user_agent: str | None
    ) -> Suspicion | None:
        """Return the most severe of the rules that a good event breaks, None when it breaks none. `base`: the base
        currency; `user_agent`: the request's, as far as it is read.
        """
        broken = []
        properties = event.get("properties")
        if (properties or user_agent) and _is_bot(properties or {}, user_agent):
            broken.append(Suspicion("bot", rules.bot))
        if rules.most_revenue is not None and _worth(measured, base) > rules.most_revenue:
            broken.append(Suspicion("revenue", rules.revenue))
        if rules.currencies is not None and measured.revenue is not None and measured.currency not in rules.currencies:
            broken.append(Suspicion("currency", rules.currency))
        if rules.events_per_minute is not None and self._hurries(appspace, measured, rules.events_per_minute):
            broken.append(Suspicion("velocity", rules.velocity))
        if not broken:
            return None
        worst = max(broken, key=lambda suspicion: suspicion.severity)
        return worst if worst.severity else None

    def _hurries(self, appspace: str, measured: Measured, limit: int) -> bool:
        actor = measured.user_id or measured.cart_id
        return actor is not None and not self._velocity.take(f"{appspace} {actor}", limit).allowed


def _is_bot(properties: dict[str, Any], user_agent: str | None) -> bool:
    if properties.get("bot") in ("true", True):
        return True
    agent = properties.get("user_agent") or user_agent
    return isinstance(agent, str) and BOT.search(agent) is not None


def _worth(measured: Measured, base: str) -> float:
    if measured.revenue is None or measured.currency not in EUROS:
        return 0.0
    return abs(float(measured.revenue * EUROS[measured.currency] / EUROS[base]))
