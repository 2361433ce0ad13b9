from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from runtime import config
from runtime.clock import ManualClock
from tests.runtime.checked import SHOP, Checked
from tests.runtime.checked_exports import ACCOUNT, BEFORE, EXPORT, with_export

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Checked:
    return Checked(tmp_path)


def test_an_account_without_exports_is_right(file: Checked) -> None:
    settings = file.load(SHOP + ACCOUNT)

    assert (settings.accounts[0].url, settings.exports) == ("https://api.my.profitmetrics.io", [])


def test_secrets_of_accounts_by_reference(file: Checked, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("grüße aus der Datei\n", encoding="utf-8")
    account = ACCOUNT.replace('"pm_acme"', f'"env:KEY"\npassword = "file:{tmp_path}/password"')
    settings = file.load(SHOP + account, {"KEY": "pm_from_env"})
    (taken,) = settings.accounts
    assert taken.api_key is not None
    assert taken.password is not None

    assert taken.api_key.get_secret_value() == "pm_from_env"
    assert taken.password.get_secret_value() == "grüße aus der Datei"  # it goes into a body, where anything may
    assert "pm_from" not in repr(settings)
    assert "Datei" not in repr(settings)


def test_accounts_and_exports_may_come_as_json(file: Checked) -> None:
    account = '[{"name": "a", "source": "tolinku", "url": "http://h", "api_key": "env:KEY"}]'
    export = '[{"name": "e", "account": "a", "dataset": "overview", "every": "1h", "since": "2026-01-01"}]'
    settings = file.load(SHOP, {"SLUICE_ACCOUNTS": account, "SLUICE_EXPORTS": export, "KEY": "k"})

    assert [(each.name, str(each.since)) for each in settings.exports] == [("e", "2026-01-01")]
    assert file.faults(SHOP, {"SLUICE_ACCOUNTS": account, "SLUICE_EXPORTS": export}) == [
        (
            "SLUICE_ACCOUNTS: accounts[0].api_key: the environment variable KEY is not set; "
            "set KEY, or name another one as env:NAME"
        )
    ]
    assert file.faults(SHOP, {"SLUICE_EXPORTS": "daily"}) == ["SLUICE_EXPORTS: exports: is no list; write it as JSON"]


def test_every_fault_is_named_at_once_with_key_line_and_cure(file: Checked) -> None:
    text = """\
[[accounts]]
name = "Acme"
source = "profitmetric"
api_kye = "pm_hunter2"
url = "https://u:hunter2@h"
requests_per_minute = 0
concurrency = true
week_starts = "tuesday"
[[exports]]
name = "daily_reports"
acount = "acme"
dataset = "re ports"
schedule = "61 * * * *"
timezone = "Europe/Kopenhagen"
lookback = "3"
since = 2026-02-28T00:00:00
"""
    faults = file.faults(
        f"{text}refresh = '* *'\nresolution = \"MINUTE\"\ncompare = '1m'\nsplit = 'sites'\nquery = []\npurpose = []\n"
        + SHOP
    )

    five = "write minute, hour, day of the month, month, day of the week"
    assert faults == [
        'sluice.toml:2: accounts[0].name: is no account\'s name; use 1 to 63 of a-z, 0-9 and "-"',
        (
            "sluice.toml:3: accounts[0].source: has a value that is not known; "
            "use 'tolinku', 'profitmetrics', 'admetrics', 'commerce_layer' or 'websale'"
        ),
        'sluice.toml:4: accounts[0].api_kye: unknown key; did you mean "api_key"?',
        "sluice.toml:5: accounts[0].url: holds credentials; leave them out; the key stands in api_key",
        "sluice.toml:6: accounts[0].requests_per_minute: is too small; give at least 1",
        "sluice.toml:7: accounts[0].concurrency: is true or false where a number is expected; give a number",
        "sluice.toml:8: accounts[0].week_starts: has a value that is not known; use 'monday' or 'sunday'",
        'sluice.toml:10: exports[0].name: is no export\'s name; use 1 to 63 of a-z, 0-9 and "-"',
        'sluice.toml:11: exports[0].acount: unknown key; did you mean "account"?',
        'sluice.toml:12: exports[0].dataset: is no dataset\'s name; use letters, digits, "_", "-" and, for a vendor\'s "/", "."',
        (
            "sluice.toml:13: exports[0].schedule: its minute is wrong; "
            "give 0 to 59, *, a list 1,2, a range 1-5 or a step */2"
        ),
        'sluice.toml:14: exports[0].timezone: is no IANA time zone; did you mean "Europe/Copenhagen"?',
        'sluice.toml:15: exports[0].lookback: is no lookback; write it like "3d" or "2w", or "all" or "query"',
        'sluice.toml:16: exports[0].since: is no day; write it like "2026-01-31"',
        f'sluice.toml:17: exports[0].refresh: is no cron expression of five fields; {five}, like "15 * * * *"',
        (
            "sluice.toml:18: exports[0].resolution: has a value that is not known; "
            "use 'HOUR', 'DAY', 'WEEK', 'MONTH', 'QUARTER', 'YEAR' or 'TOTAL'"
        ),
        'sluice.toml:19: exports[0].compare: is no span to compare by; write it like "7d", "4w", "1mo" or "1y"',
        "sluice.toml:20: exports[0].split: is no list; put it in brackets",
        "sluice.toml:21: exports[0].query: is no table; give it keys of its own",
        (
            "sluice.toml:22: exports[0].purpose: unknown key; known are name, account, dataset, schedule, every, timezone, "
            "lookback, since, refresh, resolution, compare, split, id, drop, query"
        ),
    ]


def test_a_key_of_another_table_is_pointed_there(file: Checked) -> None:
    assert file.faults(with_export("requests_per_month = 5\n")) == [
        (
            f"sluice.toml:{BEFORE + 7}: exports[0].requests_per_month: unknown key; "
            'did you mean "accounts.requests_per_month"?'
        )
    ]


@pytest.mark.parametrize(
    ("again", "told"),
    [
        (ACCOUNT, "accounts[1].name: is accounts[0].name too; give each account a name of its own"),
        (EXPORT, "exports[1].name: is exports[0].name too; give each export a name of its own"),
    ],
)
def test_a_name_stands_once(file: Checked, again: str, told: str) -> None:
    line = with_export().count("\n") + 3

    assert file.faults(with_export(again)) == [f"sluice.toml:{line}: {told}"]


@pytest.mark.parametrize(
    ("account", "cure"),
    [("acme-proft", 'did you mean "acme-profit"?'), ("zzz", "name one of acme-profit")],
)
def test_an_account_that_there_is_not(file: Checked, account: str, cure: str) -> None:
    text = with_export(export=EXPORT.replace("acme-profit", account))

    assert file.faults(text) == [f"sluice.toml:{BEFORE + 4}: exports[0].account: there is no such account; {cure}"]


def test_an_export_where_there_are_no_accounts(file: Checked) -> None:
    (fault,) = file.faults(SHOP + EXPORT)

    assert fault.endswith("exports[0].account: there is no such account; add it under [[accounts]]")


@pytest.mark.parametrize(
    ("wrong", "by"),
    [('name = "acme-profit"', 'nmae = "acme-profit"'), ("[[accounts]]", "[[acounts]]")],
)
def test_an_account_whose_name_is_faulty_is_told_once(file: Checked, wrong: str, by: str) -> None:
    (fault,) = file.faults(with_export().replace(wrong, by, 1))

    assert "unknown key; did you mean" in fault


@pytest.mark.parametrize("key", ["api_key", "client_secret"])
def test_a_key_must_fit_into_a_header(file: Checked, key: str) -> None:
    text = SHOP + ACCOUNT.replace('api_key = "pm_acme"', f'{key} = "hunter two"')

    assert file.faults(text) == [
        (
            f"sluice.toml:{BEFORE}: accounts[0].{key}: holds characters that no HTTP header may; "
            "a key is printable ASCII without spaces"
        )
    ]


def test_it_is_known_when_to_pull(file: Checked) -> None:
    (neither,) = file.faults(with_export(export=EXPORT.replace('every = "15m"', "")))
    (both,) = file.faults(with_export('schedule = "15 * * * *"\n'))
    (wrong,) = file.faults(with_export(export=EXPORT.replace('"15m"', '"15"')))

    assert neither == f"sluice.toml:{BEFORE + 2}: exports[0].schedule: is missing; add it, or every"
    assert both == (
        f"sluice.toml:{BEFORE + 7}: exports[0].schedule: is not used with exports[0].every; leave one of them out"
    )
    assert "exports[0].every: is no interval" in wrong


def test_no_history_lies_in_the_future_of_the_exports_zone(file: Checked) -> None:
    file.path.write_text(with_export('since = 2026-06-02\ntimezone = "Europe/Copenhagen"\n'), encoding="utf-8")
    midnight = datetime(2026, 6, 1, 22, tzinfo=UTC).timestamp()

    assert config.load(file.path, {}, clock=ManualClock(midnight)).exports
    with pytest.raises(config.ConfigError) as caught:
        config.load(file.path, {}, clock=ManualClock(midnight - 1))
    assert [str(fault).partition(": ")[2] for fault in caught.value.faults] == [
        (
            "exports[0].since: lies in the future: there is no history to fetch; "
            "give a day that has begun, or leave it out"
        )
    ]


@pytest.mark.parametrize("line", ['since = "2026-01-01"', 'refresh = "0 4 * * 0"', 'compare = "1mo"'])
def test_what_makes_no_sense_where_the_dates_stand_in_the_query(file: Checked, line: str) -> None:
    key = line.partition(" ")[0]

    assert file.load(with_export(f'{line}\nlookback = "all"\n')).exports
    assert file.faults(with_export(f'{line}\nlookback = "query"\n')) == [
        (
            f'sluice.toml:{BEFORE + 7}: exports[0].{key}: is not used with lookback "query": '
            "the dates stand in the query; leave it out, or give another lookback"
        )
    ]


@pytest.mark.parametrize(
    ("split", "told"),
    [
        ('["sites"]', None),
        ('["sites", "metrics"]', None),
        ('["site"]', '[0]: is no list of the query; did you mean "sites"?'),
        ('["sites", "sites"]', "[1]: stands there twice; leave it out once"),
        ('["currency"]', "[0]: is no list of the query; name one that stands under [exports.query]"),
        ('["none"]', "[0]: names a list that cannot be asked value by value; fill it with different texts or numbers"),
        ('["twice"]', "[0]: names a list that cannot be asked value by value; fill it with different texts or numbers"),
        ('["deep"]', "[0]: names a list that cannot be asked value by value; fill it with different texts or numbers"),
    ],
)
def test_what_is_split_are_lists_of_the_query(file: Checked, split: str, told: str | None) -> None:
    query = '{sites = [1, 2], currency = "EUR", metrics = ["A"], none = [], twice = [1, 1], deep = [[1]]}'
    text = with_export(f"query = {query}\nsplit = {split}\n")

    if told is None:
        assert file.load(text).exports[0].split
    else:
        assert file.faults(text) == [f"sluice.toml:{BEFORE + 8}: exports[0].split{told}"]


def test_what_identifies_a_record_is_not_left_out(file: Checked) -> None:
    assert file.faults(with_export('id = ["id"]\ndrop = ["email", "id"]\n')) == [
        f"sluice.toml:{BEFORE + 8}: exports[0].drop[1]: stands in exports[0].id too: it is sent on; leave it out of one of them"
    ]


def test_the_sandbox_counts_where_an_account_asks_it(file: Checked) -> None:
    text = SHOP + ACCOUNT.replace("https://api.my.profitmetrics.io", "http://localhost:8081/profitmetrics")

    assert file.faults(f"[gateway]\nport = 8081\n{text}") == [
        "sluice.toml:2: gateway.port: port 8081 is sandbox.port too; give each a port of its own, or 0 for any"
    ]
