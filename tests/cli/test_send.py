from __future__ import annotations

import asyncio
import signal
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from aiohttp import web

from examples import shop
from examples.figures import tally
from tests.cli.sluice import Installation, finish, install
from tests.cli.stub import RESET, Stub, error, serving
from tests.cli.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def sluice(tmp_path: Path) -> Installation:
    return install(tmp_path)


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    async with serving() as stub:
        yield stub


def view(user: str, number: int, **more: Any) -> dict[str, Any]:
    return {"event_type": "view_cart", "user_id": user, "number": number, **more}


def ndjson(*events: Any) -> bytes:
    return b"".join(orjson.dumps(event) + b"\n" for event in events)


async def test_a_day_of_traffic_gets_its_answers_and_keeps_the_order_of_each_key(
    sluice: Installation, stub: Stub, tmp_path: Path
) -> None:
    lines = shop.lines(1, events=3000)
    day = tmp_path / "day.ndjson"
    day.write_bytes(b"".join(line.text + b"\n" for line in lines))
    figures = tally(lines)

    done = await sluice.run("send", str(day), "--url", stub.url, "--json")

    (summary,) = done.objects()
    assert done.code == 0
    assert (summary["accepted"], summary["refused"], summary["failed"]) == (
        figures.accepted,
        figures.refused.total(),
        0,
    )
    assert {entry["reason"]: entry["events"] for entry in summary["reasons"]} == dict(figures.refused)
    assert stub.requests[0]["X-API-Key"] == "tolk_pub_shop"

    def by_key(events: list[Any]) -> dict[str, list[Any]]:
        found = defaultdict(list)
        for event in events:
            found[event.get("user_id") or event.get("cart_id") or ""].append(event)
        found.pop("")  # without a key there is no order
        return dict(found)

    good = [orjson.loads(line.text) for line in lines if line.fault is None]
    assert by_key(stub.accepted) == by_key(good)


async def test_refused_events_are_told_by_reason_with_their_lines(sluice: Installation, stub: Stub) -> None:
    text = ndjson(view("a", 1), {"event_type": "page_view"}) + b"\n{broken\n" + ndjson({"event_type": "purchase"})

    done = await sluice.run("send", "-", "--url", stub.url, stdin=text)

    assert done.code == 0
    assert done.out.splitlines()[:5] == [
        "accepted            1",
        "refused             3",
        "          1  the line is not JSON (line 4)",
        "          1  Invalid ecommerce event_type (line 2)",
        "          1  transaction_id is required for purchase events (line 5)",
    ]
    assert done.out.splitlines()[5] == "failed              0"
    assert done.err == ""


async def test_strict_fails_when_events_are_refused(sluice: Installation, stub: Stub) -> None:
    done = await sluice.run("send", "-", "--url", stub.url, "--strict", stdin=b'{"event_type":"page_view"}\n')

    assert done.code == 1


async def test_what_is_not_answered_is_sent_again_under_the_same_idempotency_key(
    sluice: Installation, stub: Stub
) -> None:
    stub.answers.extend(
        [
            error(429, "Too many requests. Please slow down.", **{"Retry-After": "0.2"}),
            error(503, "not durable", **{"Retry-After": "0"}),
            RESET,
            web.Response(text="<html>a proxy's page</html>", content_type="text/html"),
            web.json_response({"ok": True, "accepted": 7}),
        ]
    )

    done = await sluice.run("send", "-", "--url", stub.url, "--json", stdin=ndjson(view("a", 1), view("a", 2)))

    assert done.code == 0
    assert done.objects()[0]["accepted"] == 2
    assert len(stub.requests) == 6
    assert len({request["Idempotency-Key"] for request in stub.requests}) == 1
    assert [event["number"] for event in stub.accepted] == [1, 2]


async def test_no_answer_in_time_fails_and_nothing_counts_as_accepted(sluice: Installation, stub: Stub) -> None:
    stub.answers.extend(error(503, "The log is away.", **{"Retry-After": "1"}) for _ in range(100))
    text = ndjson(*(view("a", number) for number in range(5)))

    done = await sluice.run("send", "-", "--url", stub.url, "--timeout", "1", "--json", stdin=text)

    assert done.code == 1
    assert (done.objects()[0]["accepted"], done.objects()[0]["failed"]) == (0, 5)
    assert done.err == (
        f"sluice: no answer from {stub.url}/v1/api/analytics/ecommerce/batch in 1 s: it answers 503 The log is away.; "
        "the first line without an answer is 1\n"
    )


async def test_a_gateway_that_is_not_there_is_one_clear_line(sluice: Installation) -> None:
    done = await sluice.run("send", "-", "--timeout", "1", stdin=ndjson(view("a", 1)))

    assert done.code == 1
    assert done.err == (
        f"sluice: no answer from {sluice.url('gateway')}/v1/api/analytics/ecommerce/batch in 1 s: "
        "cannot connect (Connection refused); the first line without an answer is 1\n"
    )


async def test_a_key_that_is_refused_ends_it_at_once(sluice: Installation, stub: Stub) -> None:
    stub.answers.extend(error(401, "Invalid API key") for _ in range(100))

    done = await sluice.run("send", "-", "--url", stub.url, "--key", "wrong", stdin=ndjson(view("a", 1)))

    assert done.code == 1
    assert "answers 401: Invalid API key" in done.err
    assert len(stub.requests) == 1
    assert "wrong" not in done.out + done.err


async def test_one_event_that_spoils_its_request_takes_no_other_with_it(sluice: Installation, stub: Stub) -> None:
    stub.refuse = lambda body: error(413, "the body is too large") if b"poison" in body else None
    text = ndjson(*(view("a", number) for number in range(30)), view("a", 30, note="poison"), view("a", 31))

    done = await sluice.run("send", "-", "--url", stub.url, "--json", stdin=text)

    assert done.code == 0
    assert done.objects()[0]["reasons"] == [{"reason": "the body is too large", "events": 1, "first_lines": [31]}]
    assert [event["number"] for event in stub.accepted] == [*range(30), 31]


async def test_batches_stay_within_the_gateways_body_limit(sluice: Installation, stub: Stub) -> None:
    sluice.rewrite("[gateway]\n", "[gateway]\nmax_body_bytes = 20000\nmax_event_bytes = 10000\n")
    text = ndjson(*(view("a", number, note="x" * 5000) for number in range(10)))

    done = await sluice.run("send", "-", "--url", stub.url, "--json", stdin=text)

    assert done.objects()[0]["accepted"] == 10
    assert max(int(request["Content-Length"]) for request in stub.requests) <= 20_000


async def test_a_line_without_end_is_refused_and_not_held_in_memory(sluice: Installation, stub: Stub) -> None:
    text = b"x" * 9_000_000 + b"\n" + ndjson(view("a", 1))

    done = await sluice.run("send", "-", "--url", stub.url, "--json", stdin=text)

    reasons = done.objects()[0]["reasons"]
    assert reasons == [{"reason": "the line is longer than 4 MiB", "events": 1, "first_lines": [1]}]
    assert len(stub.accepted) == 1


async def test_a_pipe_that_pauses_is_sent_meanwhile(sluice: Installation, stub: Stub) -> None:
    async with sluice.started("send", "-", "--url", stub.url, stdin=asyncio.subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(ndjson(view("a", 1)))
        await until(lambda: stub.accepted)
        process.stdin.write(ndjson(view("a", 2)))
        process.stdin.close()
        done = await finish(process)

    assert done.code == 0
    assert [event["number"] for event in stub.accepted] == [1, 2]


async def test_ctrl_c_prints_the_summary_so_far(sluice: Installation, stub: Stub) -> None:
    async with sluice.started("send", "-", "--url", stub.url, "--json", stdin=asyncio.subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(ndjson(view("a", 1)))
        await until(lambda: stub.accepted)
        stub.seconds = 60
        process.stdin.write(ndjson(view("a", 2)))
        await until(lambda: len(stub.requests) == 2)
        done = await finish(process, signal.SIGINT)

    assert done.code == 1
    assert done.err == "sluice: interrupted\n"
    assert (done.objects()[0]["accepted"], done.objects()[0]["failed"]) == (1, 1)


async def test_an_unknown_storefront_is_named_with_those_there_are(sluice: Installation) -> None:
    done = await sluice.run("send", "-", "--storefront", "acme", stdin=b"")

    assert done.code == 1
    assert done.err == "sluice: no storefront is called acme; there are: shop\n"


async def test_a_url_that_is_none_is_named_at_once(sluice: Installation) -> None:
    done = await sluice.run("send", "-", "--url", "nonsense", stdin=ndjson(view("a", 1)))

    assert done.code == 1
    assert done.err.startswith("sluice: nonsense/v1/api/analytics/ecommerce/batch is no http URL")
