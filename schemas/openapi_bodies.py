"""What stands in the gateway's requests and answers, as JSON Schema made from the types that decode it."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from schemas.currencies import InForce, Withdrawn
from schemas.events import AnyEvent

REF: Final = "#/components/schemas/{name}"
_CURRENCIES: Final = {"Currency": InForce, "WithdrawnCurrency": Withdrawn}
"""Named: some 300 codes would else stand in every event and every item."""
_API_KEY: Final = {
    "type": "string",
    "description": "The key of a sender that cannot set headers: a beacon. A key in a header counts before it.",
}

Ok = Annotated[bool, msgspec.Meta(extra_json_schema={"const": True})]


class Batch(msgspec.Struct):
    """Events, each judged for itself: a faulty one is skipped, and the answer says why."""

    events: Annotated[list[AnyEvent], msgspec.Meta(min_length=1)]
    api_key: msgspec.Raw | msgspec.UnsetType = msgspec.field(name="apiKey", default=msgspec.UNSET)


class Tracked(msgspec.Struct):
    """The event is on stable storage."""

    ok: Ok


class Batched(msgspec.Struct):
    """`accepted` events are on stable storage. `errors` names the others, as `events[0]: why`; it is absent without any."""

    ok: Ok
    accepted: Annotated[int, msgspec.Meta(ge=0)]
    errors: Annotated[list[str], msgspec.Meta(min_length=1)] | msgspec.UnsetType = msgspec.UNSET


class Deleted(msgspec.Struct):
    """The deletion is on stable storage, behind the events that the user sent before it."""

    ok: Ok
    deleted_user_id: str


def schemas(*, max_batch_events: int) -> dict[str, Any]:
    """Return the schemas of bodies, by name. `Event` is any of the 13; fields that are not named are allowed, and travel unchanged."""
    (event, *_, in_force, withdrawn), named = msgspec.json.schema_components(
        [AnyEvent, Batch, Tracked, Batched, Deleted, *_CURRENCIES.values()], ref_template=REF
    )
    currencies = dict(zip(_CURRENCIES, (in_force, withdrawn), strict=True))
    found = {name: _rewritten(schema, currencies) for name, schema in (named | {"Event": event}).items()}
    events = found["Batch"]["properties"]["events"]
    events.update(items=reference("Event"), maxItems=max_batch_events)
    found["Currency"] = in_force | {"description": "ISO 4217. Taken in small letters too."}
    found["WithdrawnCurrency"] = withdrawn | {"description": "ISO 4217, no longer in force."}
    return dict(sorted(found.items()))


def reference(name: str) -> dict[str, str]:
    """Return what stands in place of the schema of that name."""
    return {"$ref": REF.format(name=name)}


def _rewritten(node: Any, currencies: dict[str, Any]) -> Any:
    """Return the schema with what msgspec does not know put in: the names of the currencies, and that a key is a text."""
    for name, currency in currencies.items():
        if node == currency:
            return reference(name)
    if isinstance(node, list):
        return [_rewritten(each, currencies) for each in node]
    if not isinstance(node, dict):
        return node
    return {name: _API_KEY if name == "apiKey" else _rewritten(each, currencies) for name, each in node.items()}
