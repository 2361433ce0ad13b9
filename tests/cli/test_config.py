from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pytest

from cli import main as command_line
from cli.lazy_group import LazyGroup
from cli.main import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parent.parent.parent

GOOD = """
[broker]
kind = "kafka"
bootstrap_servers = "kafka:9092"
[[storefronts]]
name = "acme"
publishable_keys = ["tolk_pub_hunter2", "env:SECOND_KEY"]
secret_keys = ["tolk_sec_hunter2"]
origins = ["https://shop.acme.example"]
[storefronts.ingestion]
url = "https://acme.tolinku.com"
api_key = "tolk_sec_hunter2_upstream"
[[accounts]]
name = "acme-profit"
source = "profitmetrics"
url = "https://api.my.profitmetrics.io"
api_key = "pm_hunter2"
requests_per_month = 100000
[[accounts]]
name = "acme-spare"
source = "tolinku"
url = "https://acme.tolinku.com"
api_key = "tolk_sec_hunter2_spare"
[[exports]]
name = "acme-profit-daily"
account = "acme-profit"
dataset = "reports"
schedule = "15 * * * *"
timezone = "Europe/Copenhagen"
query = {sites = [1], currency = "EUR", resolution = "DAY", metrics = ["TURNOVER"]}
[[exports]]
name = "acme-profit-total"
account = "acme-profit"
dataset = "reports"
every = "90m"
lookback = "all"
query = {sites = [1], currency = "EUR", resolution = "TOTAL", metrics = ["TURNOVER"]}
"""

BAD = """
[broker]
knid = "hunter2"
[[storefronts]]
nmae = "acme"
secret_keys = ["tolk_pub_hunter2"]
[storefronts.ingestion]
url = "https://acme.tolinku.com"
api_key = "env:NOT_SET"
"""

FAULTS = [
    'sluice.toml:3: broker.knid: unknown key; did you mean "kind"?',
    'sluice.toml:5: storefronts[0].nmae: unknown key; did you mean "name"?',
    "sluice.toml:6: storefronts[0].secret_keys[0]: begins with tolk_pub_; move it to publishable_keys",
    (
        "sluice.toml:9: storefronts[0].ingestion.api_key: the environment variable NOT_SET is not set; "
        "set NOT_SET, or name another one as env:NAME"
    ),
]


def sluice(
    directory: Path, arguments: Sequence[str], environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  # our own interpreter and module
        [sys.executable, "-m", "cli.main", *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environ or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "good.toml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "sluice.toml").write_text(BAD, encoding="utf-8")
    return tmp_path


def test_every_fault_is_named_and_the_exit_code_is_2(directory: Path) -> None:
    done = sluice(directory, ["config", "check"])

    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.splitlines() == FAULTS


def test_faults_as_json(directory: Path) -> None:
    done = sluice(directory, ["config", "check", "--json"])
    faults = [orjson.loads(line) for line in done.stdout.splitlines()]

    assert done.returncode == 2
    assert faults[1] == {
        "key": "storefronts[0].nmae",
        "line": 5,
        "message": "unknown key",
        "cure": 'did you mean "name"?',
        "source": "sluice.toml",
    }
    assert len(faults) == len(FAULTS)


def test_a_good_one_is_told_in_short_without_secrets(directory: Path) -> None:
    done = sluice(directory, ["config", "check", "--config", "good.toml"], {"SECOND_KEY": "tolk_pub_hunter3"})

    assert (done.returncode, done.stderr) == (0, "")
    assert "hunter" not in done.stdout
    assert done.stdout.splitlines() == [
        "good.toml: no faults",
        "broker      kafka at kafka:9092",
        "gateway     127.0.0.1:8080",
        "storefront  acme: 2 publishable and 1 secret keys, https://shop.acme.example, forwarded to https://acme.tolinku.com",
        "account     acme-profit: profitmetrics at https://api.my.profitmetrics.io, 30 requests a minute, 100000 a month",
        "account     acme-spare: tolinku at https://acme.tolinku.com, 30 requests a minute",
        'export      acme-profit-daily: reports of acme-profit, at "15 * * * *" in Europe/Copenhagen, lookback 3d',
        "export      acme-profit-total: reports of acme-profit, every 90m, lookback all",
    ]


def test_a_good_one_as_json(directory: Path) -> None:
    arguments = ["config", "check", "--json", "--config", "good.toml"]
    done = sluice(directory, arguments, {"SECOND_KEY": "x", "SLUICE_GATEWAY__PORT": "7000"})

    assert done.returncode == 0
    summary = orjson.loads(done.stdout)
    assert (summary["source"], summary["gateway"]) == ("good.toml", "127.0.0.1:7000")
    assert summary["storefronts"][0]["publishable_keys"] == 2
    assert summary["accounts"][0] == {
        "name": "acme-profit",
        "source": "profitmetrics",
        "url": "https://api.my.profitmetrics.io",
        "requests_per_minute": 30,
        "requests_per_month": 100_000,
    }
    assert summary["exports"][1] == {
        "name": "acme-profit-total",
        "account": "acme-profit",
        "dataset": "reports",
        "schedule": None,
        "every": "90m",
        "timezone": "UTC",
        "lookback": "all",
    }


def test_without_a_file_the_development_defaults_are_checked(tmp_path: Path) -> None:
    done = sluice(tmp_path, ["config", "check"])

    assert done.returncode == 0
    assert done.stdout.startswith("development defaults: no faults\nbroker      embedded at sluice-data\n")
    assert "demo: 1 publishable and 1 secret keys, any origin, forwarded to http://127.0.0.1:8081" in done.stdout


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    done = sluice(tmp_path, ["config", "check", "--config", "nowhere.toml"])

    assert done.returncode == 2
    assert done.stdout == "nowhere.toml: cannot be read: No such file or directory; name a TOML file with --config\n"


@pytest.mark.parametrize("command", ["gateway", "forwarder", "sandbox", "up", "audit"])
def test_a_bad_configuration_stops_every_command_with_its_faults(directory: Path, command: str) -> None:
    done = sluice(directory, [command])

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == FAULTS


@pytest.mark.parametrize("arguments", [["confgi"], ["config", "chek"], ["config", "check", "--jsn"]])
def test_a_wrong_use_is_told_and_the_exit_code_is_2(tmp_path: Path, arguments: list[str]) -> None:
    done = sluice(tmp_path, arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert "Did you mean" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_log_level_that_there_is_not_is_one_line(tmp_path: Path) -> None:
    done = sluice(tmp_path, ["gateway"], {"SLUICE_LOG_LEVEL": "loud"})

    assert done.returncode == 1
    assert done.stderr == 'sluice: SLUICE_LOG_LEVEL: "loud" is no level; use one of debug, info, warning, error\n'


def test_all_commands_have_help(tmp_path: Path) -> None:
    done = sluice(tmp_path, ["--help"])

    assert done.returncode == 0
    for name in COMMANDS:
        assert f"\n  {name} " in done.stdout


def test_one_command_loads_no_others(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom cli.main import main\n"
        "try:\n    main(['config', 'check'])\n"
        "finally:\n    print(*{'duckdb', 'aiohttp', 'aiokafka', 'uvloop', 'rich'} & sys.modules.keys(), file=sys.stderr)\n"
    )
    done = subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stderr == "\n"


def planted(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> int | str | None:
    """Run the command line with one more command, which fails unexpectedly; return the exit code."""
    monkeypatch.setattr(command_line, "group", LazyGroup({"fail": "tests.cli.failing:command"}, name="sluice"))
    with pytest.raises(SystemExit) as ended:
        command_line.main(arguments)
    return ended.value.code


def test_an_unexpected_error_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert planted(monkeypatch, ["fail"]) == 1
    assert capsys.readouterr().err == "sluice: it broke\n"


def test_when_debugging_its_traceback_comes_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLUICE_DEBUG", "1")
    assert planted(monkeypatch, ["fail"]) == 1
    err = capsys.readouterr().err

    assert err.startswith("Traceback")
    assert err.endswith("sluice: it broke\n")
