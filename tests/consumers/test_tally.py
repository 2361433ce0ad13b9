from __future__ import annotations

import pytest

from consumers.offsets.tally import Tally


def test_a_tally_comes_back_from_a_commit_as_it_was_written() -> None:
    tally = Tally(base=7, delivered=1_000_000_000_000, dead_lettered=3)
    metadata = tally.encode()
    assert Tally.decode(metadata) == tally
    assert len(metadata) < 100


def test_a_later_version_may_add_fields() -> None:
    assert Tally.decode('{"base":1,"delivered":2,"dead_lettered":3,"deleted":4}') == Tally(1, 2, 3)


@pytest.mark.parametrize(
    "metadata",
    [
        "",
        "null",
        "[]",
        "{}",
        "checkpoint-17",
        '{"base":-1}',
        '{"base":1.5}',
        '{"base":true}',
        '{"base":1,"delivered":"2"}',
    ],
)
def test_what_somebody_else_committed_is_no_tally(metadata: str) -> None:
    with pytest.raises(ValueError, match="not a tally"):
        Tally.decode(metadata)
