"""Every rule of the page and both tables of errors, in the one envelope."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.profitmetrics.asking import EUROS, KEY, KRONER, METRICS, NARROW_KEY, REPORTS, V2, Asking, report

VALID: dict[str, Any] = {"csids": [EUROS], "resolution": "DAY", "lookbackWindow": 1, "metrics": ["TURNOVER"]}
DAY = ("2026-06-15T00:00:00", "2026-06-16T00:00:00")
MISSING = object()


def envelope(code: str | None, details: Any = None) -> dict[str, Any]:
    return {"success": False, "errorCode": code, "errorDetails": details}


def without(body: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {key: value for key, value in {**body, **changes}.items() if value is not MISSING}


@pytest.mark.parametrize(
    "changes",
    [
        {"csids": []},
        {"csids": MISSING},
        {"csids": ["10000394"]},
        {"csids": [True]},
        {"csids": [EUROS, KRONER]},
        {"resolution": MISSING},
        {"resolution": "day"},
        {"resolution": "YEAR"},
        {"lookbackWindow": -1},
        {"lookbackWindow": 1.5},
        {"lookbackWindow": "3"},
        {"metrics": ["TURNOVER", "REVENUE"]},
        {"metrics": ["Revenue"]},
        {"metrics": "TURNOVER"},
        {"currency": "XXX"},
        {"currency": "eur"},
        {"timezone": "Mars/Olympus"},
        {"timezone": "Europe"},
        {"timezone": "../../etc/passwd"},
        {"timezone": ""},
    ],
)
async def test_an_export_that_fails_validation(vendor: Asking, changes: dict[str, Any]) -> None:
    answer = await vendor.ask(V2, without(VALID, **changes))
    assert (answer.status, answer.body) == (400, envelope("VALIDATION_ERROR"))
    (visit,) = (await vendor.asked())["last"]
    assert visit["code"] == "VALIDATION_ERROR"
    assert visit["reason"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"\xff"', b"[" * 100_000])
@pytest.mark.parametrize("path", [V2, REPORTS])
async def test_no_json_at_all(vendor: Asking, body: bytes, path: str) -> None:
    answer = await vendor.ask(path, body)
    assert (answer.status, answer.body) == (400, envelope("VALIDATION_ERROR"))


@pytest.mark.parametrize(
    "changes",
    [
        {"id": MISSING},
        {"sites": []},
        {"sites": MISSING},
        {"currency": MISSING},
        {"currency": "DOGE"},
        {"period": MISSING},
        {"period": {"fromIncl": "2026-06-15T00:00:00"}},
        {"period": {"fromIncl": "2026-06-15", "toExcl": "2026-06-16"}},
        {"period": {"fromIncl": "2026-06-15T00:00:00Z", "toExcl": "2026-06-16T00:00:00Z"}},
        {"period": {"fromIncl": "2026-06-15T00:00:00+02:00", "toExcl": "2026-06-16T00:00:00+02:00"}},
        {"period": {"fromIncl": "2026-06-31T00:00:00", "toExcl": "2026-07-01T00:00:00"}},
        {"period": {"fromIncl": DAY[1], "toExcl": DAY[0]}},
        {"period": {"fromIncl": DAY[0], "toExcl": DAY[0]}},
        {"comparePeriod": {"fromIncl": DAY[1], "toExcl": DAY[0]}},
        {"metrics": MISSING},
        {"metrics": []},
        {"metrics": ["REVENUE"]},
        {"resolution": MISSING},
        {"resolution": "QUARTER"},
        {"timezone": "Europe/Kopenhagen"},
        {"exchangeType": "HISTORIC"},
        {"allowPartialMarketingChannels": True},
    ],
)
async def test_a_report_that_fails_validation(vendor: Asking, changes: dict[str, Any]) -> None:
    good = report(["TURNOVER"], *DAY, exchangeType="CURRENT", allowPartialMarketingChannels=False)
    assert (await vendor.ask(REPORTS, {"reports": [good]})).status == 200
    answer = await vendor.ask(REPORTS, {"reports": [{**good, "id": "other"}, without(good, **changes)]})
    assert (answer.status, answer.body) == (400, envelope("VALIDATION_ERROR"))


async def test_an_id_stands_once(vendor: Asking) -> None:
    answer = await vendor.ask(REPORTS, {"reports": [report(["TURNOVER"], *DAY)] * 2})
    assert (answer.status, answer.body) == (400, envelope("VALIDATION_ERROR"))


@pytest.mark.parametrize("body", [{}, {"reports": None}, {"reports": None, "chartReports": None}])
async def test_nothing_is_asked_for(vendor: Asking, body: dict[str, Any]) -> None:
    answer = await vendor.ask(REPORTS, body)
    assert (answer.status, answer.body) == (400, envelope("NO_REQUESTED_REPORTS"))


@pytest.mark.parametrize(("key", "site"), [(KEY, 4711), (NARROW_KEY, KRONER)])
async def test_a_site_that_the_key_may_not_read(vendor: Asking, key: str, site: int) -> None:
    export = {**VALID, "csids": [EUROS, site], "currency": "EUR"}
    answer = await vendor.ask(V2, export, key=key)
    assert (answer.status, answer.body) == (400, envelope("CUSTOMER_SITE_NOT_FOUND"))
    await vendor.set(forbidden_site_code="NO_ACCESS_TO_SITES")
    answer = await vendor.ask(V2, export, key=key)
    assert (answer.status, answer.body) == (403, envelope("NO_ACCESS_TO_SITES"))
    good, bad = report(["TURNOVER"], *DAY), {**report(["TURNOVER"], *DAY, sites=[EUROS, site]), "id": "bad"}
    answer = await vendor.ask(REPORTS, {"reports": [good, bad]}, key=key)
    assert (answer.status, answer.body) == (403, envelope("NO_ACCESS_TO_SITES"))
    assert (await vendor.ask(REPORTS, {"reports": [good]}, key=key)).status == 200


async def test_a_site_is_forbidden_from_now_on(vendor: Asking) -> None:
    await vendor.set(forbidden_sites={KEY: [EUROS]})
    assert (await vendor.ask(V2, VALID)).body == envelope("CUSTOMER_SITE_NOT_FOUND")
    assert (await vendor.ask(V2, VALID, key=NARROW_KEY)).status == 200


async def test_settings_are_missing(vendor: Asking) -> None:
    site = {"channels": {"Google": "configured"}, "missing_settings": ["GOOGLE_GROSS_PROFIT"]}
    await vendor.set(sites={EUROS: site, KRONER: {**site, "missing_settings": ["GOOGLE_GROSS_PROFIT", "TURNOVER"]}})
    asked = report(["GOOGLE_GROSS_PROFIT", "TURNOVER"], *DAY, sites=[EUROS, KRONER])
    answer = await vendor.ask(REPORTS, {"reports": [asked, {**asked, "id": "again"}]})
    details = {"GOOGLE_GROSS_PROFIT": [EUROS, KRONER], "TURNOVER": [KRONER]}
    assert (answer.status, answer.body) == (400, envelope("MISSING_SETTING_FOR_SELECTED_METRIC", details))
    (bucket,) = await vendor.export(["GOOGLE_GROSS_PROFIT", "TURNOVER"], resolution="TOTAL", lookbackWindow=1)
    assert bucket["metrics"]["Google Ads Gross Profit (in-platform)"] == "N/A"
    assert bucket["metrics"]["Revenue"] > 0


@pytest.mark.parametrize(
    ("key", "headers", "status", "code"),
    [
        (None, {}, 401, None),
        ("pm_unknown", {}, 401, None),
        (None, {"Authorization": f"Bearer {KEY}"}, 403, "INVALID_AUTHENTICATION_TYPE"),
        (None, {"Cookie": "session=1"}, 403, "INVALID_AUTHENTICATION_TYPE"),
    ],
)
@pytest.mark.parametrize(("path", "body"), [(V2, VALID), (REPORTS, {}), (METRICS, None)])
async def test_without_a_good_key(
    vendor: Asking, key: str | None, headers: dict[str, str], status: int, code: str | None, path: str, body: Any
) -> None:
    answer = await vendor.ask(path, body, key=key, **headers)
    assert (answer.status, answer.body) == (status, envelope(code))


async def test_a_key_loses_its_rights(vendor: Asking) -> None:
    for switches, status in (({"revoked_keys": [KEY]}, 401), ({"unscoped_keys": [KEY]}, 403), ({}, 200)):
        await vendor.set(**switches)
        assert (await vendor.ask(V2, VALID)).status == status
        assert (await vendor.ask(V2, VALID, key=NARROW_KEY)).status == 200


async def test_the_envelope_is_everywhere(vendor: Asking) -> None:
    assert (await vendor.ask("export/v3", {})).body == envelope(None)
    wrong_method = await vendor.ask(V2, None)
    assert (wrong_method.status, wrong_method.body) == (405, envelope(None))
    wrong_type = await vendor.ask(V2, VALID, **{"Content-Type": "text/plain"})
    assert (wrong_type.status, wrong_type.body) == (415, envelope(None))


async def test_unknown_fields_are_ignored(vendor: Asking) -> None:
    assert (await vendor.ask(V2, {**VALID, "format": "pretty"})).status == 200
