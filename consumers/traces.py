"""Traces, over OpenTelemetry's API: a batch's way is a span of its own, which links the requests that its events came in, and each
request that it takes a span within that. Names and attributes are those of OpenTelemetry's conventions for messaging and for HTTP.

Without an SDK in the process there is nobody to tell, and then nothing is looked for in any record. Which SDK, and where it sends to, is
the operator's choice: `opentelemetry-instrument -- sluice forwarder`, with the variables that OpenTelemetry documents.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Final, NamedTuple, Self
from urllib.parse import urlsplit

from opentelemetry.trace import (
    Link,
    NoOpTracer,
    ProxyTracer,
    SpanKind,
    StatusCode,
    get_current_span,
    get_tracer,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from consumers.api.answers import Answer
from consumers.api.ingestion import PATH, USER_PATH
from schemas.cloudevents import TRACEPARENT, TRACESTATE
from schemas.topics import FORWARDER_GROUP

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from opentelemetry.trace import Tracer

    from broker.interface import Record
    from consumers.api.answers import NoAnswer
    from consumers.api.outcomes import Kind
    from consumers.delivery.courier import Flight
    from runtime.settings import StorefrontSettings

_VERSION: Final = version("sluice-gateway")
_SYSTEMS: Final = {"embedded": "sluice"}
"""Of the logs that OpenTelemetry has no name for, ours."""
_PORTS: Final = {"http": 80, "https": 443}
_FIRST_FAULT: Final = 400
_W3C: Final = TraceContextTextMapPropagator()


class Sent(NamedTuple):
    """A request: so many `events` in a body of `size` bytes (none when a user is to be deleted), which try it was, how long it took."""

    events: int
    size: int
    attempt: int
    seconds: float

    @property
    def deletion(self) -> bool:
        """Whether it had no body."""
        return self.size == 0


class Traces:
    """Makes the spans of one storefront's batches. `system`: the kind of log that they come from."""

    def __init__(self, storefront: StorefrontSettings, system: str, tracer: Tracer) -> None:
        self._storefront = storefront.name
        self._system = _SYSTEMS.get(system, system)
        self._tracer = tracer
        url = urlsplit(storefront.ingestion.url)
        self._server: dict[str, str | int] = {
            "server.address": url.hostname or "",
            "server.port": url.port or _PORTS[url.scheme],
        }
        self._base = storefront.ingestion.url.rstrip("/")

    @classmethod
    def wanted(cls, storefront: StorefrontSettings, system: str) -> Self | None:
        """Return what makes them; None when nobody listens. An SDK has to be there before this is asked."""
        tracer = get_tracer("sluice.forwarder", _VERSION)
        return None if isinstance(tracer, NoOpTracer | ProxyTracer) else cls(storefront, system, tracer)

    async def follow(self, deliver: Callable[[Flight], Awaitable[None]], flight: Flight) -> None:
        """Deliver `flight` within a span. Raises what `deliver` does."""
        records = flight.batch.records
        topic = records[0].topic
        attributes: dict[str, str | int] = {
            "messaging.system": self._system,
            "messaging.operation.name": "forward",
            "messaging.operation.type": "process",
            "messaging.destination.name": topic,
            "messaging.consumer.group.name": FORWARDER_GROUP,
            "messaging.batch.message_count": len(records),
            "sluice.storefront": self._storefront,
        }
        with self._tracer.start_as_current_span(
            f"forward {topic}", kind=SpanKind.CONSUMER, links=links(records), attributes=attributes
        ) as span:
            await deliver(flight)
            if flight.withdrawn:
                span.add_event("withdrawn")

    def request(self, sent: Sent, answer: Answer | NoAnswer, kind: Kind, now: float) -> None:
        """Make the span of a request that is over at `now` (Unix seconds), within the present span."""
        if not get_current_span().is_recording():
            return
        # A user's id is nobody's business who looks at traces.
        method, path = ("DELETE", f"{USER_PATH}REDACTED") if sent.deletion else ("POST", PATH)
        attributes: dict[str, str | int] = {
            "http.request.method": method,
            "url.full": self._base + path,
            **self._server,
            "http.request.body.size": sent.size,
            "messaging.batch.message_count": sent.events,
            "sluice.storefront": self._storefront,
            "sluice.outcome": str(kind),
        }
        if sent.attempt > 1:
            attributes["http.request.resend_count"] = sent.attempt - 1
        problem: str | None = str(kind)
        if isinstance(answer, Answer):
            attributes["http.response.status_code"] = answer.status
            problem = str(answer.status) if answer.status >= _FIRST_FAULT else None
        if problem is not None:
            attributes["error.type"] = problem
        span = self._tracer.start_span(
            method, kind=SpanKind.CLIENT, attributes=attributes, start_time=round((now - sent.seconds) * 1e9)
        )
        if problem is not None:
            span.set_status(StatusCode.ERROR)
        span.end(round(now * 1e9))


def links(records: Iterable[Record]) -> Sequence[Link]:
    """Return a link to each trace context that the records carry, once, in their order."""
    found: dict[tuple[bytes, bytes | None], None] = {}
    for record in records:
        headers = dict(record.headers)
        parent = headers.get(TRACEPARENT)
        if parent is not None:
            found[parent, headers.get(TRACESTATE)] = None
    linked: list[Link] = []
    for parent, state in found:
        carrier = {"traceparent": parent.decode(errors="replace")}
        if state is not None:
            carrier["tracestate"] = state.decode(errors="replace")
        context = get_current_span(_W3C.extract(carrier)).get_span_context()
        # Others may write to the topic as well.
        if context.is_valid:
            linked.append(Link(context))
    return linked
