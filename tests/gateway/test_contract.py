"""The gateway keeps to its OpenAPI document, whatever it is sent: never a 5xx, and no answer that the document does not have."""

from __future__ import annotations

import asyncio
import gzip
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import brotli
import orjson
import zstandard
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from yarl import URL

from gateway import passage, routes
from gateway.contract import openapi
from gateway.errors import STATUS
from runtime.settings import Settings
from tests.gateway.conftest import BATCH, PUBLISHABLE, SECRET, TRACK
from tests.schemas.json_schema import faults, resolved
from tests.schemas.json_values import JSON, near, values

if TYPE_CHECKING:
    from tests.gateway.conftest import Gateway

DOCUMENT: dict[str, Any] = orjson.loads(openapi(Settings()))
EVENT = {"$ref": "#/components/schemas/Event"}
GOOD = values(DOCUMENT, EVENT)
DELETION = f"{routes.USER}/{{userId}}"
EXAMPLES = 200


class Sent(NamedTuple):
    """A request, and the status that its answer must have; None: any that is documented and no fault of ours."""

    path: str
    body: bytes
    headers: dict[str, str]
    status: int | None = None
    method: str = "POST"
    template: str = ""
    """Under which path the document has it, where it is another."""


def spellings(event: Any, noise: bytes) -> list[Sent]:
    """One event, or what is near one, in every way in which it may be sent, and in some in which it may not."""
    if isinstance(event, dict):
        event.pop("apiKey", None)
    one, batch = orjson.dumps(event), orjson.dumps({"events": [event, event]})
    status = 400 if any(faults(DOCUMENT, EVENT, event)) else 200
    key = {"X-API-Key": PUBLISHABLE}
    word = noise.hex()
    # One named by dots alone, or with slashes, is none: it leads elsewhere.
    user = f"u{quote(noise, safe='')}"
    keyed = orjson.dumps({"events": [event], "apiKey": PUBLISHABLE})
    return [
        Sent(TRACK, one, key, status),
        Sent(TRACK, one, {"Authorization": f"Bearer {SECRET}", "Content-Type": "text/plain;charset=UTF-8"}, status),
        Sent(TRACK, gzip.compress(one, 1), key | {"Content-Encoding": "gzip"}, status),
        Sent(TRACK, one, key | {"Idempotency-Key": f"k{word}"[:255]}, status),
        Sent(BATCH, batch, key, 200),
        Sent(BATCH, keyed, {"Content-Type": "text/plain"}, 200),
        Sent(BATCH, zstandard.compress(batch), key | {"Content-Encoding": "zstd"}, 200),
        Sent(BATCH, brotli.compress(batch, quality=1), key | {"Content-Encoding": "br"}, 200),
        Sent(BATCH, batch, {"X-API-Key": f"tolk_pub_{word}"}, 401),
        Sent(BATCH, batch, {}, 401),
        Sent(BATCH, orjson.dumps(event), key),
        Sent(BATCH, one[: len(noise)] + noise + one[len(noise) :], key),
        Sent(TRACK, noise + one, key),
        Sent(TRACK, batch[:-1], key, 400),
        Sent(TRACK, noise, key | {"Content-Encoding": "deflate"}),
        Sent(TRACK, gzip.compress(one)[:-3], key | {"Content-Encoding": "gzip"}, 400),
        Sent(TRACK, one, key | {"Content-Type": f"application/{word}json"} if word else key),
        Sent(TRACK, one, {"Origin": "https://shop.example", "X-API-Key": word}, 401),
        Sent(f"/v1/api/analytics/ecommerce/%{word}", one, key),
        Sent(BATCH, one, key, 405, "PUT"),
        Sent(f"{routes.USER}/{user}", b"", {"X-API-Key": SECRET}, None, "DELETE", DELETION),
        Sent(f"{routes.USER}/{user}", b"", {"X-API-Key": word}, None, "DELETE", DELETION),
        Sent(f"{routes.ECOMMERCE}/overview?{quote(noise)}", b"", key, 403, "GET", f"{routes.ECOMMERCE}/overview"),
    ]


def complaints(sent: Sent, status: int, body: Any) -> list[str]:
    """What is wrong with an answer."""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or sent.status not in (None, status):
        return [f"status {status}, {body}"]
    operation = DOCUMENT["paths"].get(sent.template or sent.path, {}).get(sent.method.lower(), {"responses": {}})
    response = operation["responses"].get(str(status), {"$ref": f"#/components/responses/Refused{status}"})
    return list(faults(DOCUMENT, resolved(DOCUMENT, response)["content"]["application/json"]["schema"], body))


async def answer(gateway: Gateway, sent: Sent) -> tuple[int, Any]:
    headers = {"Content-Type": "application/json"} | sent.headers
    url = URL(gateway.url + sent.path, encoded=True)
    async with gateway.session.request(sent.method, url, data=sent.body, headers=headers) as response:
        return response.status, await response.json()


@given(event=GOOD | near(GOOD) | JSON, noise=st.binary(max_size=64))
@example(event={"event_type": "view_cart", "properties": {"deep": [[[[]]]]}}, noise=b"\x00")
@example(event={"event_type": "purchase", "transaction_id": "a", "revenue": 1e308}, noise=b"\xff")
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    # One gateway for all of them is what is meant.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_thousands_of_requests_are_answered_as_the_document_says(
    gateway: Gateway, event: Any, noise: bytes
) -> None:
    sent = spellings(event, noise)
    assert len(sent) * EXAMPLES >= 2000
    answers = await asyncio.gather(*(answer(gateway, each) for each in sent))
    gateway.publisher.published.clear()
    for each, (status, body) in zip(sent, answers, strict=True):
        assert complaints(each, status, body) == [], each


def test_every_code_is_in_the_document_with_its_status() -> None:
    found = {
        code: int(name.removeprefix("Refused"))
        for name, response in DOCUMENT["components"]["responses"].items()
        for code in response["content"]["application/json"]["schema"]["properties"]["code"]["enum"]
    }
    assert found == STATUS


def test_the_paths_are_those_that_the_gateway_knows() -> None:
    queries = {f"{routes.ECOMMERCE}/{name}" for name in routes.QUERIES}
    others = {routes.TRACK, routes.BATCH, DELETION, f"{routes.API}{{path}}"}
    assert DOCUMENT["paths"].keys() == queries | others
    passed = DOCUMENT["paths"][f"{routes.API}{{path}}"].keys() - {"parameters"}
    assert passed == {method.lower() for method in passage.METHODS}


async def test_what_the_document_gives_as_examples_is_answered_as_it_says(gateway: Gateway) -> None:
    for path in (TRACK, BATCH):
        operation = DOCUMENT["paths"][path]["post"]
        (request,) = operation["requestBody"]["content"]["application/json"]["examples"].values()
        expected = operation["responses"]["200"]["content"]["application/json"]["examples"]
        status, body = await answer(gateway, Sent(path, orjson.dumps(request["value"]), {"X-API-Key": PUBLISHABLE}))
        assert status == 200
        assert body in [each["value"] for each in expected.values()]
