"""Every error code of both tables of seed 000, and what has none."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from scheduler.errors import AccountRefused, ExportRefused, Parked, PullError, Retryable
from scheduler.sources.profitmetrics.refusal import MAX_REFUSAL_BYTES, is_whole_account, judge
from tests.sandbox.profitmetrics.asking import NOW
from tests.scheduler.sources.profitmetrics.world import reply


def envelope(code: str | None, details: Any = None) -> dict[str, Any]:
    return {"success": False, "errorCode": code, "errorDetails": details}


async def judged(status: int, body: Any, **headers: str) -> PullError:
    error = judge(await reply(body, status, **headers))
    assert error is not None
    return error


TABLES = [
    (400, "CUSTOMER_SITE_NOT_FOUND", ExportRefused),
    (400, "Validation error", ExportRefused),
    (400, "VALIDATION_ERROR", ExportRefused),
    (400, None, ExportRefused),
    (401, None, AccountRefused),
    (403, None, AccountRefused),
    (403, "INVALID_AUTHENTICATION_TYPE", AccountRefused),
    (500, "DB_ERROR", Retryable),
    (500, "UNKNOWN", Retryable),
    (599, "TIMEOUT", Retryable),
    (400, "NO_REQUESTED_REPORTS", ExportRefused),
    (400, "MISSING_SETTING_FOR_SELECTED_METRIC", ExportRefused),
    (403, "NO_ACCESS_TO_SITES", ExportRefused),
    (500, "FAILED_TO_PROCESS_REPORT", Retryable),
    (403, "SOMETHING_NEW", ExportRefused),
    (400, "SOMETHING_NEW", ExportRefused),
    (404, None, ExportRefused),
    (429, None, Retryable),
    (500, None, Retryable),
    (502, "SOMETHING_NEW", Retryable),
]


@pytest.mark.parametrize(("status", "code", "kind"), TABLES)
async def test_a_code_means(status: int, code: str | None, kind: type[PullError]) -> None:
    error = await judged(status, envelope(code))
    assert isinstance(error, kind)
    assert str(code or status) in str(error)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b'"no"', b'{"errorCode": 7}', b'{"errorCode": ""}', b"\xff"]
)
@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, ExportRefused), (401, AccountRefused), (403, AccountRefused), (503, Retryable), (599, Retryable)],
)
async def test_a_body_that_tells_nothing(status: int, kind: type[PullError], body: bytes) -> None:
    assert isinstance(await judged(status, body), kind)


@pytest.mark.parametrize("body", [b"", b"busy", envelope("TIMEOUT"), envelope("UNKNOWN")])
async def test_599_is_the_whole_accounts(body: Any) -> None:
    error = await judged(599, body, Retry_After="12")
    assert isinstance(error, Retryable)
    assert (error.whole_account, error.retry_after) == (True, 12)
    without = await judged(599, body)
    assert isinstance(without, Retryable)
    assert without.retry_after is None


@pytest.mark.parametrize(
    ("header", "seconds"), [("17", 17), (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90), ("soon", None)]
)
@pytest.mark.parametrize(
    ("status", "code", "whole"),
    [(429, None, True), (429, "UNKNOWN", True), (500, "TIMEOUT", True), (599, None, True), (500, "DB_ERROR", False),
     (503, None, False), (200, "TIMEOUT", True), (202, None, False)],
)  # fmt: skip
async def test_how_long_to_wait_is_the_vendors_to_say(
    status: int,
    code: str | None,
    whole: bool,  # noqa: FBT001  # a case
    header: str,
    seconds: float | None,
) -> None:
    error = await judged(status, envelope(code), Retry_After=header)
    assert isinstance(error, Retryable)
    assert (error.whole_account, error.retry_after) == (whole, seconds)


async def test_missing_settings_are_named() -> None:
    details = {"GOOGLE_GROSS_PROFIT": [10000394, 10000816], "NET_PROFIT": [7]}
    error = await judged(400, envelope("MISSING_SETTING_FOR_SELECTED_METRIC", details))
    assert "GOOGLE_GROSS_PROFIT at 10000394, 10000816; NET_PROFIT at 7" in str(error)
    assert "MISSING" in str(await judged(400, envelope("MISSING_SETTING_FOR_SELECTED_METRIC", {"NET_PROFIT": None})))
    assert "MISSING" in str(await judged(400, envelope("MISSING_SETTING_FOR_SELECTED_METRIC", ["NET_PROFIT"])))


async def test_details_are_told_at_no_great_length() -> None:
    error = await judged(400, envelope("CUSTOMER_SITE_NOT_FOUND", {"csid": 4711, "more": "x" * 10_000}))
    assert "4711" in str(error)
    assert len(str(error)) < 500


async def test_success_is_said() -> None:
    assert judge(await reply({"success": True, "data": {}})) is None
    assert judge(await reply([{"value": "TURNOVER", "label": "Revenue"}])) is None
    assert isinstance(await judged(200, envelope("NO_ACCESS_TO_SITES")), ExportRefused)
    assert isinstance(await judged(200, envelope("SOMETHING_NEW")), Retryable)
    assert isinstance(await judged(200, envelope(None)), Retryable)


async def test_no_large_answer_is_parsed_to_find_a_refusal() -> None:
    broken = b'{"success": false' + b" " * MAX_REFUSAL_BYTES
    assert judge(await reply(broken)) is None


def test_what_ends_the_whole_account() -> None:
    assert is_whole_account(AccountRefused("x"))
    assert is_whole_account(Parked("x", "plan"))
    assert is_whole_account(Retryable("x", whole_account=True))
    assert not is_whole_account(Retryable("x"))
    assert not is_whole_account(ExportRefused("x"))
    assert not is_whole_account(None)
