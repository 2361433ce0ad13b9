"""The document is OpenAPI 3.1 in its structure, and says of events what the types and the judge say."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.events import EVENT_TYPES, AnyEvent
from schemas.judge import fault
from schemas.openapi import document
from tests.schemas.json_schema import faults, resolved, schema_at
from tests.schemas.json_values import near, values

if TYPE_CHECKING:
    from collections.abc import Iterator

STATUSES = {
    "INVALID_JSON": 400,
    "INVALID_EVENT": 400,
    "ORIGIN_NOT_ALLOWED": 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "SPOOL_FULL": 503,
}
DOCUMENT = document(version="1.2.3", url="http://127.0.0.1:8080", statuses=STATUSES, max_batch_events=100)
EVENT = {"$ref": "#/components/schemas/Event"}
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Every object in the document."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from nodes(each)


def operations() -> list[dict[str, Any]]:
    return [item[method] for item in DOCUMENT["paths"].values() for method in item.keys() & METHODS]


def media(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every media type in an operation's request and answers."""
    for part in (operation.get("requestBody", {}), *operation["responses"].values()):
        yield from resolved(DOCUMENT, part).get("content", {}).values()


def test_the_document_has_what_openapi_requires() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert DOCUMENT["info"]["title"]
    assert DOCUMENT["info"]["version"] == "1.2.3"
    assert DOCUMENT["servers"] == [{"url": "http://127.0.0.1:8080"}]
    assert orjson.loads(orjson.dumps(DOCUMENT)) == DOCUMENT
    for path, item in DOCUMENT["paths"].items():
        assert path.startswith("/v1/api/")
        assert item.keys() <= METHODS | {"parameters"}
    names = [operation["operationId"] for operation in operations()]
    assert len(names) == len(set(names))


def test_every_reference_leads_somewhere() -> None:
    references = [node for node in nodes(DOCUMENT) if "$ref" in node]
    assert len(references) > 20
    for reference in references:
        assert resolved(DOCUMENT, reference)


def test_every_operation_says_what_goes_in_and_out() -> None:
    schemes = DOCUMENT["components"]["securitySchemes"]
    for operation in operations():
        assert operation["summary"]
        for parameter in operation.get("parameters", []):
            assert parameter.keys() >= {"name", "in", "schema"}
        for status, response in operation["responses"].items():
            assert status == "default" or 200 <= int(status) < 600
            assert resolved(DOCUMENT, response)["description"]
        for requirement in operation.get("security", DOCUMENT["security"]):
            assert requirement.keys() <= schemes.keys()
    for scheme in schemes.values():
        assert scheme["type"] in ("apiKey", "http")


def test_what_a_path_leaves_open_is_a_parameter() -> None:
    for path, item in DOCUMENT["paths"].items():
        open_ = {name for _, name, _, _ in string.Formatter().parse(path) if name is not None}
        assert {
            each["name"] for each in item.get("parameters", []) if each["in"] == "path" and each["required"]
        } == open_


def test_every_schema_is_understood() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        assert schema_at(DOCUMENT, schema).keys() & {"type", "anyOf", "enum"}


def test_every_example_keeps_to_its_schema() -> None:
    examples = 0
    for operation in operations():
        for content in media(operation):
            for example in content.get("examples", {}).values():
                examples += 1
                assert list(faults(DOCUMENT, content["schema"], example["value"])) == []
    assert examples >= 7


def test_every_code_stands_with_its_status() -> None:
    found = {
        code: int(name.removeprefix("Refused"))
        for name, response in DOCUMENT["components"]["responses"].items()
        for code in response["content"]["application/json"]["schema"]["properties"]["code"]["enum"]
    }
    assert found == STATUSES


def test_the_events_are_the_thirteen() -> None:
    event = DOCUMENT["components"]["schemas"]["Event"]
    assert set(event["discriminator"]["mapping"]) == set(EVENT_TYPES)
    assert sorted(event["discriminator"]["mapping"].values()) == sorted(each["$ref"] for each in event["anyOf"])


def test_a_batch_may_be_as_large_as_the_configuration_says() -> None:
    other = document(version="1", url="http://a", statuses=STATUSES, max_batch_events=500)
    assert other["components"]["schemas"]["Batch"]["properties"]["events"]["maxItems"] == 500


@given(values(DOCUMENT, EVENT))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_keeps_to_the_schema_is_a_good_event(event: Any) -> None:
    assert list(faults(DOCUMENT, EVENT, event)) == []
    assert fault(event) is None
    assert msgspec.json.decode(orjson.dumps(event), type=AnyEvent).event_type == event["event_type"]


@given(near(values(DOCUMENT, EVENT)))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_schema_refuses_what_the_types_refuse(event: Any) -> None:
    try:
        msgspec.json.decode(orjson.dumps(event), type=AnyEvent)
    except msgspec.ValidationError:
        refused = True
    else:
        # A key is looked at by whom it lets in; to the types it may be anything.
        refused = not isinstance(event.get("apiKey", ""), str)
    assert bool(list(faults(DOCUMENT, EVENT, event))) == refused


@pytest.mark.parametrize(
    ("value", "missing"),
    [
        ({"event_type": "purchase", "revenue": 1}, "transaction_id"),
        ({"event_type": "view_item", "items": []}, "items"),
        ({"event_type": "nonsense"}, "event_type"),
    ],
)
def test_a_faulty_event_does_not_keep_to_its_schema(value: Any, missing: str) -> None:
    mapping = DOCUMENT["components"]["schemas"]["Event"]["discriminator"]["mapping"]
    its = mapping.get(value["event_type"], mapping["view_cart"])
    assert any(missing in each for each in faults(DOCUMENT, {"$ref": its}, value))


@given(st.sampled_from(["a", "Ok", 1, 1.5, True, None, [], {}]))
def test_the_checker_itself_tells_types_apart(value: Any) -> None:
    names = ("object", "array", "string", "number", "boolean", "null")
    assert sum(not list(faults({}, {"type": name}, value)) for name in names) == 1
