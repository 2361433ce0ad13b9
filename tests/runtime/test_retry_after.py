from __future__ import annotations

import pytest

from runtime.retry_after import seconds_to_wait

NOW = 1_445_412_000.0  # Wed, 21 Oct 2015 07:20:00 GMT


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("0", 0),
        ("17", 17),
        (" 17 ", 17),
        ("0.5", 0.5),
        ("-3", 0),
        ("nan", 0),
        ("inf", 0),
        ("soon", 0),
        ("9" * 400, 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 480),
        ("Wed, 21 Oct 2015 07:28:00", 480),
        ("Wed, 21 Oct 2015 09:28:00 +0200", 480),
        ("Wed, 21 Oct 2015 07:00:00 GMT", 0),
        ("Wed, 99 Oct 2015 07:00:00 GMT", 0),
    ],
)
def test_seconds_and_dates_are_read_and_anything_else_asks_for_nothing(header: str | None, seconds: float) -> None:
    assert seconds_to_wait(header, NOW) == pytest.approx(seconds)
