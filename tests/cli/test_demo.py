from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson
import pytest

from cli.demo import sums
from cli.demo.days import Days
from cli.demo.pulls import Exports, Overview, Pulled
from cli.demo.stand_in import exports_of, overview_of, storefront_of
from cli.demo.sums import Sums
from cli.demo.verdict import Verdict
from cli.outcome import Outcome
from consumers.audit import Balance
from examples import shop
from examples.figures import Figures, tally
from runtime import config
from runtime.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@dataclass
class Stored:
    """A record as it stands in the log."""

    value: bytes | None
    event_type: str
    topic: str = "ecommerce.events.shop"
    partition: int = 0
    offset: int = 0
    timestamp: int = 0
    key: bytes | None = None
    headers: list[tuple[str, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.headers = [("ce_type", f"ecommerce.{self.event_type}".encode())]


async def log(*records: Stored) -> AsyncIterator[Stored]:
    for record in records:
        yield record


def order(transaction: str, revenue: str, event_type: str = "purchase", **more: str) -> Stored:
    text = orjson.dumps({"transaction_id": transaction, "revenue": orjson.Fragment(revenue), **more})
    return Stored(text, event_type)


def test_days_go_on_where_the_last_run_ended(tmp_path: Path) -> None:
    first = Days.open(tmp_path)
    one = first.begin()
    first.complete(one)
    second = Days.open(tmp_path)
    two = second.begin()
    second.complete(two)
    again = Days.open(tmp_path)

    expected = Figures()
    expected.add(tally(shop.lines(1)))
    expected.add(tally(shop.lines(2)))
    assert (one.number, two.number) == (1, 2)
    assert again.sent() == expected
    assert again.marks() == {"D0001-", "D0002-"}
    assert [file.name for file in tmp_path.glob("*.ndjson")] == ["day-0002.ndjson"]
    assert two.file.read_bytes().splitlines() == [line.text for line in shop.lines(2)]


def test_a_day_that_was_interrupted_counts_for_nothing_and_is_not_sent_again(tmp_path: Path) -> None:
    Days.open(tmp_path).begin()
    after = Days.open(tmp_path)

    assert after.sent() == Figures()
    assert after.marks() == frozenset()
    assert after.begin().number == 2


def test_a_damaged_book_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "days.json").write_text('[{"sent": "many"}]')

    with pytest.raises(OperatorError, match=r"days\.json is damaged"):
        Days.open(tmp_path)


async def test_the_log_is_summed_to_the_cent_each_transaction_once() -> None:
    found = await sums.of_records(
        log(
            order("mine-1", "0.10"),
            order("mine-2", "0.20"),
            order("mine-2", "0.20"),
            order("mine-1", "0.05", "refund"),
            order("D0001-000001", "99"),
            order("D0002-000001", "7"),
            order("yen", "5000", currency="JPY"),
            Stored(b"{}", "view_item"),
        ),
        {"D0001-"},
    )

    assert found == Sums(orders=4, revenue_cents=730, refunds=1, refund_cents=5, foreign=1)
    assert dict(found.rows()) == {"orders": "4", "revenue EUR": "7.30", "refunds": "1", "refunded EUR": "0.05"}


def verdict(**changes: object) -> Verdict:
    day = Figures(sent=10, orders=2, revenue_cents=500, refunds=1, refund_cents=100)
    day.refused["event_type is required"] = 1
    outcome = Outcome(taken=10, accepted=9)
    outcome.refuse(4, "event_type is required")
    parts = {
        "day": day,
        "outcome": outcome,
        "balance": Balance("shop", 9, 9, 0, 0, 0),
        "files": Sums(2, 500, 1, 100),
        "api": Sums(2, 500, 1, 100),
    }
    return Verdict(**{**parts, **changes})  # type: ignore[arg-type]  # each field's own


def test_what_agrees_is_balanced() -> None:
    assert list(verdict().differences()) == []
    assert verdict().balanced


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"balance": Balance("shop", 9, 7, 0, 2, 0)}, "waiting for delivery: 2"),
        ({"balance": Balance("shop", 9, 8, 0, 0, 1)}, "unaccounted for: 1"),
        ({"api": Sums(2, 499, 1, 100)}, "revenue EUR: 4.99 at the ingestion API, 5.00 went in"),
        ({"api": Sums(3, 500, 1, 100)}, "orders: 3 at the ingestion API, 2 went in"),
        ({"api": None, "api_fault": "refused"}, "the ingestion API did not tell its figures (refused)"),
        ({"other": Sums(1, 200, 0, 0)}, "orders: 2 at the ingestion API, 3 went in"),
        ({"outcome": Outcome(taken=10, accepted=8)}, "the gateway answered 8 of 10 events"),
    ],
)
def test_what_does_not_agree_is_told(changes: dict[str, object], told: str) -> None:
    assert told in list(verdict(**changes).differences())


def exports(overview: Sums | None, fault: str = "") -> Exports:
    pulled = [Pulled("shop-overview", "tolinku", "overview", 1, 0, 0.1, fault)]
    return Exports(pulled, Overview("shop-overview", overview), hopeless=False)


def test_what_an_export_says_must_agree_too() -> None:
    agreed = verdict(exports=exports(Sums(2, 500, 1, 100)))
    foreign = verdict(other=Sums(1, 0, 0, 0, 1), api=Sums(3, 3123, 1, 100), exports=exports(Sums(3, 3123, 1, 100)))
    cents = verdict(exports=exports(Sums(2, 499, 1, 100)))
    nothing = verdict(exports=exports(None, "stopped: bad key"))

    assert agreed.balanced
    assert foreign.balanced, "the vendor's own conversion, in both"
    assert list(cents.differences()) == ["revenue EUR: 4.99 in shop-overview, 5.00 at the ingestion API"]
    assert list(nothing.differences()) == [
        "shop-overview was not pulled: stopped: bad key",
        "shop-overview has no row",
    ]
    assert cents.arrived
    assert not cents.balanced


def test_other_traffic_and_dead_letters_are_reckoned_with() -> None:
    agreed = verdict(other=Sums(1, 200, 0, 0), dead=Sums(0, 0, 1, 100), api=Sums(3, 700, 0, 0))
    direct = verdict(elsewhere=Sums(1, 200, 0, 0), api=Sums(3, 700, 1, 100))
    foreign = verdict(other=Sums(1, 0, 0, 0, 1), api=Sums(3, 3123, 1, 100))

    assert agreed.balanced
    assert direct.balanced
    assert foreign.balanced, "what it converted is not compared"


def test_a_wrong_refusal_is_told() -> None:
    outcome = Outcome(taken=10, accepted=9)
    outcome.refuse(4, "items is required for view_item events")

    told = list(verdict(outcome=outcome).differences())

    assert 'refused because "event_type is required": 0, and 1 should be' in told
    assert 'refused because "items is required for view_item events": 1, and 0 should be' in told


def test_made_up_orders_only_go_to_the_sandbox(tmp_path: Path) -> None:
    file = tmp_path / "sluice.toml"
    file.write_text(
        '[[storefronts]]\nname = "acme"\npublishable_keys = ["tolk_pub_a"]\n'
        '[storefronts.ingestion]\nurl = "https://acme.tolinku.com"\napi_key = "tolk_sec_a"\n'
    )

    assert storefront_of(config.load(None, {})).name == "demo"
    with pytest.raises(OperatorError, match="no storefront delivers to the sandbox"):
        storefront_of(config.load(file, {}))


def test_only_exports_at_the_sandbox_are_pulled_and_one_of_them_tells_the_whole() -> None:
    settings = config.load(None, {})
    overview = overview_of(settings, storefront_of(settings))
    elsewhere = [
        account.model_copy(update={"url": "https://acme.tolinku.com"}) if account.source == "tolinku" else account
        for account in settings.accounts
    ]
    apart = settings.model_copy(update={"accounts": elsewhere})

    assert [export.name for export in exports_of(settings)] == [export.name for export in settings.exports]
    assert overview is not None
    assert overview.name == "demo-overview"
    assert [export.name for export in exports_of(apart)] == ["demo-profit-daily"]
    assert overview_of(apart, storefront_of(apart)) is None
