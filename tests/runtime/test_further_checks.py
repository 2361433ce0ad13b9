"""The checks of an upper room are told like the configuration's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime import config
from runtime.cross_checks import Conflict
from tests.runtime.checked import SHOP, Checked
from tests.runtime.checked_exports import ACCOUNT, BEFORE, EXPORT, with_export

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runtime.settings import Settings


@pytest.fixture
def file(tmp_path: Path) -> Checked:
    return Checked(tmp_path)


class Picky:
    """Finds fault with everything, and keeps what it was asked about."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, settings: Settings) -> Iterator[Conflict]:
        for index, account in enumerate(settings.accounts):
            self.asked.append(account.name)
            yield Conflict((("accounts", index, "client_id"),), "is missing", "add it")
        for index, export in enumerate(settings.exports):
            self.asked.append(export.name)
            yield Conflict((("exports", index, "query", "metrics", 1),), "is unknown", "drop it")
            yield Conflict((("exports", index, "lookback"),), "is short", "look further")

    def faults(self, file: Checked, text: str) -> list[str]:
        file.path.write_text(text, encoding="utf-8")
        with pytest.raises(config.ConfigError) as caught:
            config.load(file.path, {}, more=self)
        return [str(fault).removeprefix(f"{file.path.parent}/sluice.toml:") for fault in caught.value.faults]


OTHER = EXPORT.replace("acme-daily", "acme-other")
BROKEN = EXPORT.replace("acme-daily", "broken")


def test_they_are_told_with_key_and_line(file: Checked) -> None:
    query = '[exports.query]\nsites = [1]\nmetrics = [\n  "A",\n  "B",\n]\n'

    assert Picky().faults(file, with_export(query)) == [
        f"{BEFORE - 4}: accounts[0].client_id: is missing; add it",
        f"{BEFORE + 2}: exports[0].lookback: is short; look further",
        f"{BEFORE + 11}: exports[0].query.metrics[1]: is unknown; drop it",
    ]


def test_without_conflicts_there_are_settings(file: Checked) -> None:
    file.path.write_text(with_export(), encoding="utf-8")

    assert config.load(file.path, {}, more=lambda _: []).exports


def test_a_key_that_is_faulty_already_is_not_told_again(file: Checked) -> None:
    picky = Picky()
    faults = picky.faults(file, with_export('lookback = "3"\n'))

    assert picky.asked == ["acme-profit", "acme-daily"]
    assert [fault.partition(": ")[2].partition(":")[0] for fault in faults] == [
        "accounts[0].client_id",
        "exports[0].query.metrics[1]",
        "exports[0].lookback",
    ]
    assert faults[2].startswith(f'{BEFORE + 7}: exports[0].lookback: is no lookback; write it like "3d"')


@pytest.mark.parametrize(
    "broken",
    [
        BROKEN.replace("dataset", "datset"),
        BROKEN.replace('"reports"', '"re ports"'),
        BROKEN.replace('"acme-profit"', '"nobody"'),
        BROKEN.replace('account = "acme-profit"', ""),
    ],
)
def test_they_are_not_asked_about_an_export_of_which_it_is_not_known_what_it_is(file: Checked, broken: str) -> None:
    picky = Picky()
    faults = picky.faults(file, SHOP + ACCOUNT + broken + OTHER)

    assert picky.asked == ["acme-profit", "acme-other"]
    assert [fault.split(": ")[1] for fault in faults if "exports[1]" in fault] == [
        "exports[1].query.metrics[1]",
        "exports[1].lookback",
    ]
    assert len([fault for fault in faults if "exports[0]" in fault]) == 1


@pytest.mark.parametrize("source", ['source = "nobody"', 'suorce = "profitmetrics"', ""])
def test_nor_about_an_account_of_which_it_is_not_known_whose_it_is(file: Checked, source: str) -> None:
    picky = Picky()
    text = with_export().replace('source = "profitmetrics"', source) + ACCOUNT.replace("acme-profit", "second")
    faults = picky.faults(file, text)

    assert picky.asked == ["second"]
    assert sum("accounts[1].client_id: is missing" in fault for fault in faults) == 1
    assert len(faults) == 2


def test_nor_about_what_is_no_table(file: Checked) -> None:
    picky = Picky()
    file.path.write_text("accounts = [1]\nexports = [2]\n" + SHOP, encoding="utf-8")
    with pytest.raises(config.ConfigError) as caught:
        config.load(file.path, {}, more=picky)

    assert picky.asked == []
    assert [fault.key for fault in caught.value.faults] == ["accounts[0]", "exports[0]"]
