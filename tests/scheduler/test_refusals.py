from __future__ import annotations

from typing import Any

import pytest

from scheduler.errors import AccountRefused, ExportRefused, Parked, PullError, Retryable
from scheduler.refusals import redirected, retry_after, told, usual, words
from tests.scheduler.replies import reply


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, None),
        (204, None),
        (302, ExportRefused),
        (400, ExportRefused),
        (401, AccountRefused),
        (402, Parked),
        (403, AccountRefused),
        (404, ExportRefused),
        (408, Retryable),
        (418, ExportRefused),
        (422, ExportRefused),
        (425, Retryable),
        (429, Retryable),
        (500, Retryable),
        (503, Retryable),
        (599, Retryable),
        (600, Retryable),
    ],
)
async def test_what_a_status_means(status: int, kind: type[PullError] | None) -> None:
    error = usual(await reply(status, {"error": "Not today", "code": "NO"}))
    assert (None if error is None else type(error)) is kind
    if status >= 400:
        assert str(error).endswith(f"({status}): Not today (NO)")
    if isinstance(error, Parked):
        assert error.kind == "plan"
    if isinstance(error, Retryable):
        assert error.whole_account is (status == 429)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("17", 17),
        ("0.5", 0.5),
        ("0", None),
        ("soon", None),
        ("Sat, 21 Nov 2026 12:01:00 GMT", 60),
        ("999999", 3600),
    ],
)
async def test_how_long_it_wants_to_be_left_alone(header: str | None, seconds: float | None) -> None:
    answer = await reply(429, headers={} if header is None else {"retry-after": header})
    assert retry_after(answer) == seconds
    error = usual(answer)
    assert isinstance(error, Retryable)
    assert error.retry_after == seconds


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": "Too many\n requests.", "code": "RATE"}, "Too many requests. (RATE)"),
        (
            {"error": {"title": "Bad", "code": "BAD_REQUEST", "detail": "no such field"}},
            "Bad, no such field (BAD_REQUEST)",
        ),
        ({"success": False, "errorCode": "NO_ACCESS", "errorDetails": {"X": [1]}}, '{"X":[1]} (NO_ACCESS)'),
        ({"success": False, "errorCode": "DB_ERROR", "errorDetails": None}, "DB_ERROR"),
        ({"message": "Forbidden"}, "Forbidden"),
        ({"error": "invalid_client", "error_description": "unknown"}, "invalid_client, unknown"),
        ({"errors": [{"title": "T", "detail": "D", "code": 7}]}, "T, D (7)"),
        ({"errors": ["one", "two"]}, "one"),
        ("plainly", "plainly"),
        ({"error": {}}, ""),
        ({"rows": []}, ""),
        ([], ""),
        (b"<html>", ""),
        (b'{"error":' * 900 + b"1" + b"}" * 900, "…"),
        ({"error": "x" * 500}, "x" * 299 + "…"),
    ],
)
async def test_the_vendors_own_words(body: Any, said: str) -> None:
    assert words(await reply(400, body)) == said


async def test_a_redirection_names_where_without_its_query() -> None:
    answer = await reply(307, headers={"Location": "https://login.example/in?token=abc"})
    reason = "the vendor redirects to https://login.example/in (307), which is not followed: check the account's url"
    assert str(redirected(answer)) == reason
    assert redirected(await reply(400)) is None


async def test_what_is_told() -> None:
    assert told(await reply(400, {"a": 1})) == {"a": 1}
    assert told(await reply(502, b"<html>")) is None
