from __future__ import annotations

import asyncio
import re
import signal
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import aiohttp
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from cli.crew import roles
from examples import shop
from examples.figures import Figures, tally
from runtime import config
from tests.cli.sluice import Installation, finish, install
from tests.cli.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from prometheus_client import Metric

    from tests.kafka.fixtures import RunningKafka

SERVING = "serving until Ctrl-C"
ROLES = ["gateway", "forwarder", "scheduler", "sandbox"]
WITHOUT_EXPORTS = ["gateway", "forwarder", "sandbox"]

EXPORTS = """
[[accounts]]
name = "{shop}-tolinku"
source = "tolinku"
url = "{sandbox}"
api_key = "tolk_sec_shop"
requests_per_minute = 6000
[[accounts]]
name = "{shop}-profit"
source = "profitmetrics"
url = "{sandbox}/profitmetrics"
api_key = "pm_demo"
requests_per_minute = 6000
[[exports]]
name = "{shop}-overview"
account = "{shop}-tolinku"
dataset = "overview"
every = "1h"
resolution = "TOTAL"
lookback = "all"
[[exports]]
name = "{shop}-profit-daily"
account = "{shop}-profit"
dataset = "reports"
every = "1h"
lookback = "1d"
[exports.query]
sites = [10000394]
currency = "EUR"
resolution = "DAY"
metrics = ["TURNOVER"]
"""


@pytest.fixture
def sluice(tmp_path: Path) -> Installation:
    return install(tmp_path)


@pytest.fixture
def pulling(sluice: Installation) -> Installation:
    """One with exports."""
    add_exports(sluice, "shop")
    return sluice


def add_exports(sluice: Installation, shop: str) -> None:
    with sluice.config.open("a") as file:
        file.write(EXPORTS.format(shop=shop, sandbox=sluice.url("sandbox")))


async def printed(process: asyncio.subprocess.Process, what: str, seconds: float = 60) -> str:
    """Everything that was printed until a line with `what` in it."""
    assert process.stdout is not None
    text = ""
    async with asyncio.timeout(seconds):
        while what not in text:
            line = await process.stdout.readline()
            assert line, f"it ended after:\n{text}"
            text += line.decode()
    return text


def roles_of(process: asyncio.subprocess.Process) -> dict[str, psutil.Process]:
    """The processes of the roles, by role."""
    found: dict[str, psutil.Process] = {}
    for child in psutil.Process(process.pid).children():
        # One that is just ending has no command line any more.
        with suppress(psutil.NoSuchProcess):
            found |= {word: child for word in child.cmdline() if word in ROLES}
    return found


async def ready(sluice: Installation) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.get(sluice.url("admin") + "/readyz") as answer:
        return dict(await answer.json())


async def metrics(sluice: Installation) -> list[Metric]:
    async with aiohttp.ClientSession() as session, session.get(sluice.url("admin") + "/metrics") as answer:
        return list(text_string_to_metric_families(await answer.text()))


async def contract(sluice: Installation) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.get(sluice.url("admin") + "/openapi.json") as answer:
        return dict(await answer.json())


async def something_accepted(sluice: Installation) -> bool:
    samples = (sample for family in await metrics(sluice) for sample in family.samples)
    return any(
        sample.value
        for sample in samples
        if sample.name == "sluice_gateway_events_total" and sample.labels["result"] == "accepted"
    )


def published(families: list[Metric]) -> dict[str, str]:
    """The exports of which a pull was published, with the role that says so."""
    samples = [sample for family in families for sample in family.samples]
    return {
        sample.labels["export"]: sample.labels["role"]
        for sample in samples
        if sample.name == "sluice_export_pulls_total" and sample.labels["result"] == "published" and sample.value
    }


async def order_at(url: str) -> None:
    """Send an order past the gateway."""
    order = {"event_type": "purchase", "transaction_id": "order_456", "revenue": 49.99}
    headers = {"X-API-Key": "tolk_pub_shop"}
    path = "/v1/api/analytics/ecommerce/track"
    async with aiohttp.ClientSession() as session, session.post(url + path, json=order, headers=headers) as answer:
        assert answer.status == 200


async def forget_today(sluice: Installation) -> None:
    """Let the vendor take a report's `end` for the day after its last one, while the scheduler is told otherwise."""
    url = f"http://127.0.0.1:{sluice.ports['fault']}/switches"
    async with aiohttp.ClientSession() as session, session.put(url, json={"end_inclusive": False}) as answer:
        assert answer.status == 200


async def all_ready(sluice: Installation) -> None:
    async with asyncio.timeout(30):
        while not (await ready(sluice))["ready"]:  # noqa: ASYNC110  # another process cannot set our event
            await asyncio.sleep(0.05)


def money_rows(figures: Figures) -> list[str]:
    return [
        f"{figures.orders:,}",
        f"{figures.revenue_cents / 100:,.2f}",
        f"{figures.refunds:,}",
        f"{figures.refund_cents / 100:,.2f}",
    ]


def assert_shows(text: str, day: Figures, total: Figures, shop: str) -> None:
    lines = [" ".join(line.split()) for line in text.splitlines()]
    for count, what in (
        (day.sent, "events sent"),
        (day.accepted, "accepted by the gateway"),
        (day.refused.total(), "refused by the gateway"),
        (total.accepted, "delivered to the ingestion API"),
        (0, "dead-lettered"),
        (0, "waiting"),
        (0, "unaccounted"),
    ):
        assert any(line.endswith(f"{count:,} {what}") for line in lines), (count, what, text)
    for reason, count in day.refused.items():
        assert f"{count:,} {reason}" in lines
    for name, figure in zip(("orders", "revenue EUR", "refunds", "refunded EUR"), money_rows(total), strict=True):
        assert f"{name} {figure} {figure} {figure}" in lines, (name, figure, text)
    assert f"all days in the files ingestion API {shop}-overview" in lines
    assert_pulled(lines, f"{shop}-overview tolinku overview 1")
    assert_pulled(lines, f"{shop}-profit-daily profitmetrics reports 2")
    assert f"the revenue agrees to the cent, in the export {shop}-overview too" in text


def assert_pulled(lines: list[str], export: str) -> None:
    """A line of the exports' table: rows, how often they were restated, and that they are fresh."""
    (line,) = (line for line in lines if line.startswith(export))
    assert re.fullmatch(r" \d+ \d\.\d s ago", line.removeprefix(export)), line


async def test_the_demo_balances_and_a_second_day_adds_up_although_the_scheduler_dies(pulling: Installation) -> None:
    first, second = tally(shop.lines(1)), tally(shop.lines(2))
    total = Figures()
    total.add(first)
    total.add(second)

    async with pulling.started("up", "--demo") as process:
        text = await printed(process, SERVING)
        answer = await ready(pulling)
        described = await contract(pulling)
        families = await metrics(pulling)
        done = await finish(process, signal.SIGINT)
    assert_shows(text, first, first, "shop")
    assert answer == {"ready": True}
    assert described["servers"] == [{"url": pulling.url("gateway")}]
    (build,) = (family for family in families if family.name == "sluice_build_info")
    assert sorted(sample.labels["role"] for sample in build.samples) == sorted(ROLES)
    assert published(families) == {"shop-overview": "scheduler", "shop-profit-daily": "scheduler"}
    assert (done.code, done.err) == (0, "")
    assert "\x1b" not in text, "no control codes where there is no terminal"

    async with pulling.started("up", "--demo") as process:
        text = await printed(process, "day 2")
        roles_of(process)["scheduler"].kill()
        text += await printed(process, SERVING)
        done = await finish(process, signal.SIGTERM)
    assert_shows(text, second, total, "shop")
    assert "scheduler ended by SIGKILL; it starts again" in text
    assert (done.code, done.err) == (0, "")

    audit = await pulling.run("audit", "--json")
    assert audit.objects() == [
        {
            "storefront": "shop",
            "accepted": total.accepted,
            "delivered": total.accepted,
            "dead_lettered": 0,
            "waiting": 0,
            "unaccounted": 0,
        }
    ]


async def test_an_export_that_says_something_else_is_told_and_a_role_that_dies_starts_again(
    pulling: Installation,
) -> None:
    async with pulling.started("up", "--demo") as process:
        await printed(process, "admin")
        await forget_today(pulling)
        text = await printed(process, SERVING)
        before = roles_of(process)
        before["gateway"].kill()
        told = await printed(process, "gateway   ended by SIGKILL; it starts again")
        reasons = (await ready(pulling))["reasons"]
        await until(lambda: len(roles_of(process)) == len(ROLES))
        await all_ready(pulling)
        after = roles_of(process)
        sent = await pulling.run("send", "-", stdin=b'{"event_type":"view_cart"}\n')
        done = await finish(process, signal.SIGTERM)

    orders = tally(shop.lines(1)).orders
    assert f"does not balance: orders: 0 in shop-overview, {orders:,} at the ingestion API" in text
    assert "balanced:" not in text
    assert str(pulling.data / "logs" / "gateway.log") in told
    assert list(reasons) == ["gateway.process"]
    assert after.pop("gateway").pid != before.pop("gateway").pid
    assert after == before
    assert sent.code == 0
    assert done.code == 1


async def test_a_killed_up_and_a_second_ctrl_c_leave_nothing_behind(pulling: Installation) -> None:
    async with pulling.started("up", "--demo") as process:
        await printed(process, "admin")
        children = roles_of(process)
        async with asyncio.timeout(30):
            while not await something_accepted(pulling):  # noqa: ASYNC110  # another process cannot set our event
                await asyncio.sleep(0.01)
        children["gateway"].suspend()
        await order_at(pulling.url("sandbox"))
        process.kill()
        await process.wait()
        async with pulling.started("up", "--demo") as again:
            await printed(again, "the processes of the last run have not ended yet")
            children["gateway"].resume()
            text = await printed(again, SERVING)
            assert sorted(children) == sorted(ROLES)
            assert not any(child.is_running() for child in children.values())
            other = await pulling.run("up")
            children = roles_of(again)
            children["gateway"].suspend()  # it will never drain
            again.send_signal(signal.SIGINT)
            await printed(again, "draining")
            done = await finish(again, signal.SIGINT)

    assert "day 2" in text
    assert "other traffic" in text, "what got in before it was killed counts"
    assert "elsewhere" in text, "and what the sandbox was sent directly"
    assert "balanced: every event is accounted for" in text
    assert other.code == 1
    assert other.err == f"sluice: another `sluice up` is running on {pulling.data}; stop it, or change broker.path\n"
    assert done.code == 128 + signal.SIGINT
    await until(lambda: not any(child.is_running() for child in children.values()))


def test_without_exports_there_is_no_scheduler(sluice: Installation) -> None:
    without = config.load(sluice.config, {})
    add_exports(sluice, "shop")

    assert roles(without) == WITHOUT_EXPORTS
    assert roles(config.load(sluice.config, {})) == ROLES


async def test_the_first_export_brings_the_scheduler_and_the_last_one_takes_it_along(sluice: Installation) -> None:
    without = sluice.config.read_text()
    async with sluice.started("up") as process:
        await printed(process, SERVING)
        before = roles_of(process)
        add_exports(sluice, "shop")
        good = sluice.config.read_text()
        sluice.config.write_text(good.replace('"reports"', '"reprots"'))
        process.send_signal(signal.SIGHUP)
        text = await printed(process, "the roles stay as they are")
        sluice.config.write_text(good)
        process.send_signal(signal.SIGHUP)
        text += await printed(process, "scheduler starts")
        await until(lambda: sorted(roles_of(process)) == sorted(ROLES))
        await all_ready(sluice)
        async with asyncio.timeout(30):
            while len(published(await metrics(sluice))) < 2:  # noqa: ASYNC110  # another process cannot set our event
                await asyncio.sleep(0.05)
        sluice.config.write_text(without)
        process.send_signal(signal.SIGHUP)
        text += await printed(process, "scheduler drains")
        await until(lambda: roles_of(process) == before)
        done = await finish(process, signal.SIGTERM)

    assert "exports[1].dataset" in text, text
    assert sorted(before) == sorted(WITHOUT_EXPORTS)
    assert "draining: gateway, forwarder, sandbox" in done.out
    assert (done.code, done.err) == (0, "")


async def test_a_port_in_use_names_the_key_to_change(sluice: Installation) -> None:
    with socket.create_server(("127.0.0.1", sluice.ports["sandbox"])):
        done = await sluice.run("up")

    assert (done.code, done.out) == (1, "")
    assert done.err == (
        f"sluice: cannot listen on 127.0.0.1:{sluice.ports['sandbox']}: it is in use; "
        "change sandbox.port (or set SLUICE_SANDBOX__PORT)\n"
    )


async def test_the_demo_sends_nothing_to_a_real_ingestion_api(sluice: Installation) -> None:
    sluice.rewrite(f'url = "{sluice.url("sandbox")}"', 'url = "https://acme.tolinku.com"')

    done = await sluice.run("up", "--demo")

    assert done.code == 1
    assert done.err == "sluice: --demo: no storefront delivers to the sandbox, and made-up orders go nowhere else\n"


@pytest.mark.kafka
async def test_with_a_kafka_configured_the_roles_run_on_that(tmp_path: Path, kafka: RunningKafka) -> None:
    broker = f'kind = "kafka"\nbootstrap_servers = "{kafka.bootstrap_servers}"\nreplication_factor = 1'
    sluice = install(tmp_path, broker=broker)
    name = f"shop-{sluice.ports['gateway']}"
    sluice.rewrite('name = "shop"', f'name = "{name}"')  # the Kafka is shared: a topic of our own
    add_exports(sluice, name)

    async with sluice.started("up", "--demo") as process:
        text = await printed(process, SERVING)
        done = await finish(process, signal.SIGINT)

    day = tally(shop.lines(1))
    assert_shows(text, day, day, name)
    assert f"from Kafka at {kafka.bootstrap_servers}" in text
    assert done.code == 0
