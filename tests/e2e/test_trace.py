"""A trace from a request to the batch that delivers its events: gateway, log and forwarder, all real, in one process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import orjson
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NoOpTracerProvider, SpanKind, StatusCode
from pydantic import SecretStr
from yarl import URL

from consumers.traces import Traces, links
from gateway.configured import topics
from gateway.service import listening
from runtime.clock import SystemClock
from runtime.settings import BrokerSettings, GatewaySettings
from schemas.cloudevents import DELETION_TYPE_HEADER
from schemas.topics import events_topic
from tests.chaos.client import BATCH
from tests.consumers.records import record
from tests.consumers.shop import make_process
from tests.consumers.sink import Say, until
from tests.consumers.town import Builder
from tests.gateway.conftest import build

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan

    from tests.consumers.town import Town

KEY = "tolk_pub_town"
TRACES = [f"{number:032x}" for number in (1, 2)]
PARENTS = [f"00-{trace}-{'b' * 16}-01" for trace in TRACES]


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What is told to an SDK. There can be only one in a process, and for good; so it is put where it is looked for."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr("consumers.traces.get_tracer", provider.get_tracer)
    return exporter


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with Builder(BrokerSettings(kind="embedded", path=str(tmp_path / "log"))) as builder:
        town = await builder.town()
        (only,) = town.settings.storefronts
        town.settings = town.settings.model_copy(
            update={
                "storefronts": [only.model_copy(update={"publishable_keys": [SecretStr(KEY)]})],
                "gateway": GatewaySettings(port=0),
            }
        )
        await town.broker.ensure_topics(topics(town.settings))
        yield town


async def send(town: Town, requests: list[tuple[list[str], dict[str, str]]]) -> None:
    """Send requests, each with its events and headers, through a gateway."""
    process, _ = make_process(SystemClock())
    edge = await build(town.settings, process, town.broker, town.publisher)
    async with listening(edge, town.settings, process) as port, aiohttp.ClientSession() as session:
        for names, headers in requests:
            events = [{"event_type": "view_cart", "user_id": name[0], "name": name} for name in names]
            body = orjson.dumps({"events": events})
            sent = headers | {"X-API-Key": KEY, "Content-Type": "application/json"}
            async with session.post(f"http://127.0.0.1:{port}{BATCH}", data=body, headers=sent) as response:
                assert await response.json() == {"ok": True, "accepted": len(names)}


async def spans(exporter: InMemorySpanExporter, count: int) -> tuple[ReadableSpan, ...]:
    await until(lambda: len(exporter.get_finished_spans()) >= count)
    return exporter.get_finished_spans()


async def test_a_batch_is_a_span_that_links_the_requests_of_its_events(
    town: Town, exporter: InMemorySpanExporter
) -> None:
    requests = [(["a1", "a2"], {"traceparent": PARENTS[0], "tracestate": "shop=1"}), (["a3"], {})]
    await send(town, [*requests, (["a4"], {"traceparent": PARENTS[1]}), (["a5"], {"traceparent": "00-0-0-00"})])
    town.sink.say(Say(500), Say(200, {"ok": True, "errors": ["events[1]: no"]}))
    async with town.forwarder():
        first, second, span = await spans(exporter, 3)
    topic = events_topic(town.names[0])
    assert (span.name, span.kind, span.parent) == (f"forward {topic}", SpanKind.CONSUMER, None)
    assert [f"{link.context.trace_id:032x}" for link in span.links] == TRACES
    assert [dict(link.context.trace_state) for link in span.links] == [{"shop": "1"}, {}]
    attributes = dict(span.attributes or {})
    assert attributes["messaging.batch.message_count"] == 5
    assert (attributes["messaging.system"], attributes["messaging.destination.name"]) == ("sluice", topic)
    assert [dict(each.attributes or {}) for each in span.events] == [{"refused_by_name": 1}]
    assert (first.name, first.kind, first.status.status_code) == ("POST", SpanKind.CLIENT, StatusCode.ERROR)
    assert (second.name, second.kind, second.status.status_code) == ("POST", SpanKind.CLIENT, StatusCode.UNSET)
    assert [each.parent and each.parent.span_id for each in (first, second)] == [span.context.span_id] * 2
    assert all((each.start_time or 0) < (each.end_time or 0) for each in (first, second))
    url = URL(town.sink.url)
    size = len(town.sink.got[0].body)
    same = {
        "http.request.method": "POST",
        "url.full": str(url / BATCH[1:]),
        "server.address": url.host,
        "server.port": url.port,
        "http.request.body.size": size,
        "messaging.batch.message_count": 5,
        "sluice.storefront": town.names[0],
    }
    failed = {"sluice.outcome": "server_error", "http.response.status_code": 500, "error.type": "500"}
    again = {"sluice.outcome": "partly_refused", "http.response.status_code": 200, "http.request.resend_count": 1}
    assert dict(first.attributes or {}) == same | failed
    assert dict(second.attributes or {}) == same | again
    assert "traceparent" not in town.sink.got[0].headers


async def test_no_trace_tells_which_user_is_deleted(town: Town, exporter: InMemorySpanExporter) -> None:
    topic = events_topic(town.names[0])
    gone = (b"user-4711", b'{"user_id":"user-4711"}', [("ce_id", b"x"), DELETION_TYPE_HEADER])
    await town.publisher.publish(topic, 0, [gone])
    town.sink.say(Say(503))
    async with town.forwarder():
        found = await spans(exporter, 3)
    first, second, _ = [dict(each.attributes or {}) for each in found]
    assert first["error.type"] == "503"
    assert first["url.full"] == second["url.full"] == f"{town.sink.url}/v1/api/analytics/user/REDACTED"
    assert (second["http.request.method"], second["http.response.status_code"]) == ("DELETE", 200)
    assert "4711" not in repr([(each.name, each.attributes, each.events) for each in found])


async def test_without_an_sdk_no_record_is_looked_at(
    town: Town, monkeypatch: pytest.MonkeyPatch, exporter: InMemorySpanExporter
) -> None:
    del exporter
    monkeypatch.setattr("consumers.traces.get_tracer", NoOpTracerProvider().get_tracer)
    monkeypatch.delattr("consumers.traces.links")
    assert Traces.wanted(town.settings.storefronts[0], "kafka") is None
    await send(town, [(["a1"], {"traceparent": PARENTS[0]})])
    async with town.forwarder():
        await until(lambda: town.sink.first_arrivals() == ["a1"])


def test_what_others_wrote_and_is_no_context_is_not_linked() -> None:
    strange = [b"", b"\xff", b"00-1-1-01", PARENTS[0].upper().encode()]
    records = [record(offset=place, headers=(("ce_traceparent", text),)) for place, text in enumerate(strange)]
    assert links(records) == []
