from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.sluice import Installation, install

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ["ecommerce.events.shop", "ecommerce.rejected", "ecommerce.dead-letters", "commands"]


@pytest.fixture
def sluice(tmp_path: Path) -> Installation:
    return install(tmp_path)


async def test_missing_topics_are_created_once(sluice: Installation) -> None:
    first = await sluice.run("topics", "ensure", "--json")
    second = await sluice.run("topics", "ensure")

    assert first.objects() == [{"topic": name, "state": "created", "differences": []} for name in NAMES]
    assert second.out.splitlines() == [f"as is     {name}" for name in NAMES]
    assert first.code == second.code == 0


async def test_a_difference_is_told_and_nothing_is_changed(sluice: Installation) -> None:
    await sluice.run("topics", "ensure")
    sluice.rewrite("partitions = 3", "partitions = 4")

    first = await sluice.run("topics", "ensure", "--json")
    second = await sluice.run("topics", "ensure")

    assert first.code == second.code == 1
    assert [entry["state"] for entry in first.objects()] == ["differs"] * len(NAMES)
    assert first.objects()[0]["differences"] == [{"setting": "partitions", "wanted": "4", "found": "3"}]
    assert second.out.splitlines()[:2] == [
        "differs   ecommerce.events.shop",
        "          partitions is 3, configured is 4",
    ]


async def test_without_create_topics_it_only_checks(tmp_path: Path) -> None:
    sluice = install(tmp_path, broker="create_topics = false")

    first = await sluice.run("topics", "ensure")
    second = await sluice.run("topics", "ensure", "--json")

    assert first.code == second.code == 1
    assert first.out.splitlines() == [f"missing   {name}" for name in NAMES]
    assert [entry["state"] for entry in second.objects()] == ["missing"] * len(NAMES)
