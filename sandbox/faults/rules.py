"""The faults that can be asked for, as they are written on the fault port.

{"seed": 7, "rules": [{"effect": "status", "status": 503, "path": "*/batch", "probability": 0.2, "times": 50}]}
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, TypeAlias

import msgspec

Probability: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]

HTML_PAGE = (
    "<!DOCTYPE html><html><head><title>Maintenance</title></head><body><h1>We will be back soon</h1></body></html>"
)


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="effect"):
    """When a fault happens: to requests of `appspace` (None: to all, also those without a good key) whose path
    matches `path` (a glob, `*` is anything), with `probability`, and at most `times` (None: without end).
    """

    appspace: str | None = None
    path: str = "*"
    probability: Probability = 1.0
    times: Count | None = None

    def concerns(self, _body: bytes) -> bool:
        """Say whether it happens to a request with this body, all else being right."""
        return True


class Status(Rule, frozen=True, tag="status"):
    """Another status instead of an answer. `body`: a text as it stands, anything else as JSON, null the API's shape.
    With `after_delivery` the request is carried out first, as when a proxy loses the answer. With `containing` it
    happens only to requests whose bytes hold that: one poisonous event spoils its batch, at every attempt.
    """

    status: Annotated[int, msgspec.Meta(ge=200, le=599)]
    body: Any = None
    headers: dict[str, str] = {}
    after_delivery: bool = False
    containing: str | None = None

    def concerns(self, body: bytes) -> bool:
        """Say whether `body` holds what it must."""
        return self.containing is None or self.containing.encode() in body

    def content(self) -> tuple[bytes, str]:
        """Return the body's bytes and their content type."""
        if isinstance(self.body, str):
            return self.body.encode(), "text/plain"
        body = {"error": _phrase(self.status)} if self.body is None else self.body
        return msgspec.json.encode(body), "application/json"


class Html(Rule, frozen=True, tag="html"):
    """A 200 with a web page, as from a captive portal or a maintenance page: nothing was taken, unless
    `after_delivery`.
    """

    body: str = HTML_PAGE
    after_delivery: bool = False


class Latency(Rule, frozen=True, tag="latency"):
    """A wait before the answer, when the request has been carried out; later rules may add theirs, or another effect."""

    milliseconds: Count


class Reset(Rule, frozen=True, tag="reset"):
    """The connection is reset (RST) before anything is taken."""


class ResetAfterDelivery(Rule, frozen=True, tag="reset_after_delivery"):
    """The request is carried out, then the connection is reset (RST): the sender cannot know."""


class Hang(Rule, frozen=True, tag="hang"):
    """No answer until the sender goes away or the sandbox stops; nothing was taken, unless `after_delivery`."""

    after_delivery: bool = False


class Partial(Rule, frozen=True, tag="partial"):
    """Good events are refused with `errors: ["events[i]: <error>"]`: those at `indices`, those whose bytes hold
    `containing` (these again at every attempt), and others with `event_probability`.
    """

    indices: frozenset[Count] = frozenset()
    containing: str | None = None
    event_probability: Probability = 0.0
    error: str = "Event refused by a fault rule"


AnyRule: TypeAlias = Status | Html | Latency | Reset | ResetAfterDelivery | Hang | Partial


def _phrase(status: int) -> str:
    # Vendors and their proxies also answer statuses that HTTP does not know: 599, 520.
    return HTTPStatus(status).phrase if status in {*HTTPStatus} else f"Status {status}"


class FaultPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All rules, tried in their order for every request. The same seed gives the same sequence of chances."""

    seed: int = 0
    rules: list[AnyRule] = []
