"""Chance that can be repeated."""

from __future__ import annotations

from random import Random


def seeded(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - it decides what a test tries, and guards nothing
