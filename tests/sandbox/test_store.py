"""What the fault port shows of the store: the tests' oracle."""

from __future__ import annotations

import pytest

from tests.sandbox.running import BATCH, PUBLISHABLE, TRACK, VIEW, Running, purchase, refund

CROOKED = ' { "event_type" : "view_cart",\n\t"user_id":"\\u00fc\\u0000\u00fc" , "revenue": 10.50e0,"n":1.0, "n":2 } '


async def test_bytes_are_kept_as_they_came(sandbox: Running) -> None:
    await sandbox.post(BATCH, f'{{"x": [1], "events" :\n[{CROOKED},{CROOKED}]}}'.encode())
    await sandbox.post(TRACK, CROOKED.encode())
    texts = [each["raw"] for each in await sandbox.arrivals()]
    assert texts == [CROOKED.strip(), CROOKED.strip(), CROOKED]


async def test_the_last_of_two_arrays_counts_for_all(sandbox: Running) -> None:
    answer = await sandbox.post(BATCH, b'{"events": [{"event_type":"share"}, 1], "events": [{"event_type":"rate"}]}')
    assert answer.body == {"ok": True, "accepted": 1}
    assert [each["raw"] for each in await sandbox.arrivals()] == ['{"event_type":"rate"}']


async def test_what_a_line_holds(sandbox: Running) -> None:
    await sandbox.batch(purchase("o1", 10.5, currency="usd", user_id="u1", cart_id="", items=[{"item_id": "a"}]))
    (line,) = await sandbox.arrivals()
    assert line.pop("raw").startswith('{"event_type":"purchase"')
    assert line == {
        "arrival": 1,
        "arrived_at": "2027-01-15T08:00:00.000000Z",
        "appspace": "acme",
        "event_type": "purchase",
        "transaction_id": "o1",
        "user_id": "u1",
        "cart_id": None,
        "currency": "USD",
        "revenue": 10.5,
        "items_sold": 1,
        "ignored": None,
        "flagged": None,
    }


async def test_filters(sandbox: Running) -> None:
    await sandbox.batch(purchase("o1"), refund("o1"), purchase("o1"), VIEW)
    await sandbox.batch(purchase("o1"), key="tolk_pub_other")

    async def found(query: str) -> list[int]:
        return [each["arrival"] for each in await sandbox.arrivals(query + "&fields=arrival")]

    assert await found("") == [1, 2, 3, 4, 5]
    assert await found("appspace=acme&event_type=purchase") == [1, 3]
    assert await found("transaction_id=o1&ignored=true") == [3]
    assert await found("transaction_id=o1&ignored=false") == [1, 2, 5]
    assert await found("after=2&limit=2") == [3, 4]
    assert await found("limit=0") == []
    assert await found("appspace=nobody") == []


async def test_properties_of_events(sandbox: Running) -> None:
    await sandbox.batch(VIEW | {"properties": {"seq": "7"}, "n": {"m": 1.5}}, VIEW)
    lines = await sandbox.arrivals("fields=arrival&property=properties.seq&property=n.m")
    assert lines == [
        {"arrival": 1, "properties.seq": "7", "n.m": "1.5"},
        {"arrival": 2, "properties.seq": None, "n.m": None},
    ]


@pytest.mark.parametrize("query", ["fields=secret", "property=a';drop", "after=x", "limit=-1", "colour=red"])
async def test_crooked_questions_are_a_400(sandbox: Running, query: str) -> None:
    answer = await sandbox.request("GET", f"{sandbox.control_url}/store/arrivals?{query}")
    assert answer.status == 400
    assert answer.body["error"]


async def test_counts(sandbox: Running) -> None:
    await sandbox.batch(purchase("o1"), purchase("o1"), VIEW)
    answer = await sandbox.request("GET", f"{sandbox.control_url}/store")
    assert answer.body == {
        "arrivals": 3,
        "appspaces": {
            "acme": {
                "arrivals": 3,
                "ignored": 1,
                "event_types": {
                    "purchase": {"arrivals": 2, "ignored": 1, "transactions": 1},
                    "view_cart": {"arrivals": 1, "ignored": 0, "transactions": 0},
                },
            }
        },
    }


async def test_more_than_a_page(sandbox: Running) -> None:
    body = {"events": [VIEW] * 100}
    for _ in range(205):
        assert (await sandbox.post(BATCH, body, key=PUBLISHABLE)).status == 200
    lines = await sandbox.arrivals("fields=arrival&after=10&limit=20450")
    assert [each["arrival"] for each in lines] == list(range(11, 20_461))
