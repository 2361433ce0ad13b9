"""Misspelt names."""

from __future__ import annotations

from scheduler.sources.nearest import listed, nearest, several_nearest

WORDS = ("revenue-by-device", "revenue-by-channel", "TURNOVER", "overview")


def test_the_likest_whatever_its_case() -> None:
    assert nearest("turnovr", WORDS) == "TURNOVER"
    assert nearest("Overveiw", WORDS) == "overview"
    assert nearest("revenue-by-chanel", WORDS) == "revenue-by-channel"
    assert nearest("nothing like it", WORDS) is None


def test_several() -> None:
    assert several_nearest("revenue-by-devices", WORDS, 2) == ["revenue-by-device", "revenue-by-channel"]
    assert several_nearest("qq", WORDS, 3) == []


def test_a_list_for_a_reader() -> None:
    assert listed(["a"]) == "a"
    assert listed([7, 14, 30]) == "7, 14 or 30"
    assert listed(["a", "b"], "and") == "a and b"
