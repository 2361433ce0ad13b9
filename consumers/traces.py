"""Traces, over OpenTelemetry's API: a batch's way is a span of its own, which links the requests that its events came in.

Without an SDK in the process there is nobody to tell, and then nothing is looked for in any record. Which SDK, and where it sends to, is
the operator's choice: `opentelemetry-instrument sluice forwarder`, with the variables that OpenTelemetry documents.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Final, Self

from opentelemetry.trace import (
    Link,
    NoOpTracer,
    ProxyTracer,
    SpanKind,
    get_current_span,
    get_tracer,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from schemas.cloudevents import TRACEPARENT, TRACESTATE
from schemas.topics import FORWARDER_GROUP

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from opentelemetry.trace import Tracer

    from broker.interface import Record
    from consumers.courier import Flight

_VERSION: Final = version("sluice-gateway")
_W3C: Final = TraceContextTextMapPropagator()


class Traces:
    """Makes the spans of one storefront's batches."""

    def __init__(self, storefront: str, tracer: Tracer) -> None:
        self._storefront = storefront
        self._tracer = tracer

    @classmethod
    def wanted(cls, storefront: str) -> Self | None:
        """Return what makes them; None when nobody listens. An SDK has to be there before this is asked."""
        tracer = get_tracer("sluice.forwarder", _VERSION)
        return None if isinstance(tracer, NoOpTracer | ProxyTracer) else cls(storefront, tracer)

    async def follow(self, deliver: Callable[[Flight], Awaitable[None]], flight: Flight) -> None:
        """Deliver `flight` within a span; each of its requests is an event of that (`consumers.report`). Raises what `deliver` does."""
        records = flight.batch.records
        topic = records[0].topic
        attributes: dict[str, str | int] = {
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
