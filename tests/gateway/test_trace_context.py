"""A sender's trace context goes with its events; what is no trace context goes nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.trace_context import LONGEST_STATE, trace_headers
from tests.gateway.conftest import BATCH, SECRET, TRACK

if TYPE_CHECKING:
    from tests.gateway.conftest import Gateway

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"
VIEW = {"event_type": "view_cart", "user_id": "ada"}


def found(*headers: tuple[str, str]) -> dict[str, str]:
    given = CIMultiDictProxy(CIMultiDict(headers))
    return {name: value.decode() for name, value in trace_headers(given)}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (PARENT, PARENT),
        (f"00-{TRACE}-{SPAN}-00", f"00-{TRACE}-{SPAN}-00"),
        (f"01-{TRACE}-{SPAN}-01", PARENT),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-brings", PARENT),
    ],
)
def test_a_traceparent_is_kept(sent: str, kept: str) -> None:
    assert found(("Traceparent", sent)) == {"ce_traceparent": kept}


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "00",
        PARENT.upper(),
        f" {PARENT}",
        f"{PARENT}\n",
        f"{PARENT}-more",
        f"{PARENT}x",
        f"cc-{TRACE}-{SPAN}-01x",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE[:-1]}g-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE[:-1]}\N{ARABIC-INDIC DIGIT ONE}-{SPAN}-01",
        "x" * 100_000,
    ],
)
def test_what_is_no_traceparent_is_ignored_and_its_tracestate_with_it(sent: str) -> None:
    assert found(("traceparent", sent), ("tracestate", "a=1")) == {}


def test_two_traceparents_are_none() -> None:
    assert found(("traceparent", PARENT), ("traceparent", PARENT)) == {}


@pytest.mark.parametrize(
    "state", ["a=1", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "t-1@v*/_=!~;:<>-+", f"a={'b' * (LONGEST_STATE - 2)}"]
)
def test_a_simple_tracestate_is_kept(state: str) -> None:
    assert found(("traceparent", PARENT), ("TraceState", state)) == {"ce_traceparent": PARENT, "ce_tracestate": state}


@pytest.mark.parametrize(
    "state",
    [
        "",
        "a",
        "a=",
        "=1",
        "A=1",
        "a=1,",
        "a=1, b=2",
        "a=1=2",
        "a=\x01",
        "a=ä",
        f"a={'b' * LONGEST_STATE}",
        ",".join(["a=1"] * 33),
    ],
)
def test_any_other_tracestate_is_left_out(state: str) -> None:
    assert found(("traceparent", PARENT), ("tracestate", state)) == {"ce_traceparent": PARENT}
    assert found(("traceparent", PARENT), ("tracestate", "a=1"), ("tracestate", "b=1")) == {"ce_traceparent": PARENT}
    assert found(("tracestate", "a=1")) == {}


async def test_every_record_of_a_request_has_its_context_and_no_other_record(gateway: Gateway) -> None:
    headers = {"traceparent": PARENT, "tracestate": "a=1"}
    assert (await gateway.post(BATCH, {"events": [VIEW, VIEW]}, headers=headers)).status == 200
    assert (await gateway.post(TRACK, VIEW, headers={"traceparent": PARENT.upper()})).status == 200
    assert (await gateway.post(TRACK, VIEW)).status == 200
    contexts = [
        (each.headers.get("ce_traceparent"), each.headers.get("ce_tracestate")) for each in gateway.publisher.published
    ]
    assert contexts == [(PARENT.encode(), b"a=1")] * 2 + [(None, None)] * 2


async def test_heads_that_differ_in_their_context_are_not_remembered(gateway: Gateway) -> None:
    for number in range(1, 4):
        headers = {"traceparent": f"00-{TRACE}-{number:016x}-01"}
        assert (await gateway.post(TRACK, VIEW, headers=headers)).status == 200
    assert gateway.edge.express.heads == {}
    assert (await gateway.post(TRACK, VIEW)).status == 200
    assert len(gateway.edge.express.heads) == 1


async def test_a_deletion_has_its_context_too(gateway: Gateway) -> None:
    headers = {"X-API-Key": SECRET, "traceparent": PARENT}
    async with gateway.session.delete(f"{gateway.url}/v1/api/analytics/user/ada", headers=headers) as response:
        assert response.status == 200
    (deletion,) = gateway.publisher.published
    assert deletion.headers["ce_traceparent"] == PARENT.encode()
