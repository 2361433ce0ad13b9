"""The trace that a request is part of (W3C Trace Context), as headers of the records that its events become: `ce_traceparent` and
`ce_tracestate`, CloudEvents' extension for distributed tracing. The gateway makes no span of its own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from multidict import istr

from schemas.cloudevents import TRACEPARENT, TRACESTATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multidict import CIMultiDictProxy

    from gateway.client_address import ClientHeaders

LONGEST_STATE: Final = 512
"""Characters; it stands on every event. What is longer is left out, as the recommendation has it."""

_PARENT: Final = istr("traceparent")
_STATE: Final = istr("tracestate")
_PARENT_TEXT: Final = re.compile(
    r"(?P<version>(?!ff)[0-9a-f]{2})(?P<context>-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2})(?P<more>-.*)?"
)
_STATE_TEXT: Final = re.compile(r"[a-z0-9][a-z0-9_*/@-]*=[!-+\--<>-~]+(?:,[a-z0-9][a-z0-9_*/@-]*=[!-+\--<>-~]+){0,31}")


def trace_headers(headers: CIMultiDictProxy[str]) -> ClientHeaders:
    """Return the record headers of a request with these `headers`; none without a good `traceparent`, and then no `tracestate` either.

    A `traceparent` of a later version is written down as version 00, with what that has. A `tracestate` is kept as it was sent where
    it is simple: one header of at most 512 characters, without blanks.
    """
    if _PARENT not in headers:
        return ()
    parents = headers.getall(_PARENT)
    found = _PARENT_TEXT.fullmatch(parents[0]) if len(parents) == 1 else None
    if found is None or (found["version"] == "00" and found["more"]):
        return ()
    parent = (TRACEPARENT, f"00{found['context']}".encode())
    states = headers.getall(_STATE, [])
    return (parent, (TRACESTATE, states[0].encode())) if _is_simple(states) else (parent,)


def _is_simple(states: Sequence[str]) -> bool:
    return len(states) == 1 and len(states[0]) <= LONGEST_STATE and _STATE_TEXT.fullmatch(states[0]) is not None
