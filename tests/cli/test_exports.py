"""The whole of `sluice exports` against a scheduler and the vendors' stand-ins, each a process of its own."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

import orjson
import pytest

from cli import main as command_line
from tests.cli.sluice import Done, Installation, install
from tests.kafka.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path

PATIENCE = 30.0
COPENHAGEN = ZoneInfo("Europe/Copenhagen")
EXPORTS = """
[[accounts]]
name = "shop-profit"
source = "profitmetrics"
url = "{sandbox}/profitmetrics"
api_key = "pm_demo"
requests_per_minute = 6000
[[accounts]]
name = "shop-tolinku"
source = "tolinku"
url = "{sandbox}"
api_key = "tolk_sec_shop"
requests_per_minute = 300
[[exports]]
name = "daily"
account = "shop-profit"
dataset = "reports"
every = "1d"
timezone = "Europe/Copenhagen"
lookback = "3d"
query = {{sites = [10000394], currency = "EUR", resolution = "DAY", metrics = ["TURNOVER"]}}
[[exports]]
name = "refused"
account = "shop-profit"
dataset = "reports"
every = "1d"
lookback = "1d"
query = {{sites = [999], currency = "EUR", resolution = "DAY", metrics = ["TURNOVER"]}}
[[exports]]
name = "funnel"
account = "shop-tolinku"
dataset = "funnel"
every = "1d"
lookback = "1d"
"""


class Exports(NamedTuple):
    """The command line of an installation that runs, in this process: a fifth of what another one would cost."""

    sluice: Installation
    captured: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> Done:
        with pytest.raises(SystemExit) as ended:
            command_line.main(["exports", *arguments, "--config", str(self.sluice.config)])
        out, err = self.captured.readouterr()
        assert "\x1b" not in out + err, "no control codes where there is no terminal"
        assert not any(secret in out + err for secret in ("pm_demo", "tolk_sec_shop"))
        assert isinstance(ended.value.code, int)
        return Done(ended.value.code, out, err)

    def status(self, name: str) -> dict[str, object]:
        (found,) = self("status", name, "--json").objects()
        return found


@contextmanager
def role(sluice: Installation, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command beside us; at the end it is asked to stop, and must."""
    command = [sys.executable, "-P", "-m", "cli.main", *arguments]
    (port,) = free_ports(1)
    with (sluice.folder / f"{arguments[0]}.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  # our own command
            command, cwd=sluice.folder, env={"SLUICE_ADMIN__PORT": str(port)}, stdout=subprocess.PIPE, stderr=log
        )
    with process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def exports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Exports]:
    """A scheduler and the stand-ins at work."""
    sluice = install(tmp_path)
    with sluice.config.open("a") as config:
        config.write(EXPORTS.format(sandbox=sluice.url("sandbox")))
    with role(sluice, "sandbox") as sandbox:
        deadline = time.monotonic() + PATIENCE
        while not listens(sluice.ports["sandbox"]):
            assert sandbox.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with role(sluice, "scheduler") as scheduler:
            yield Exports(sluice, capsys)
        assert scheduler.returncode == 0
        assert b"Traceback" not in (tmp_path / "scheduler.log").read_bytes()


def midnight(day: date) -> str:
    """The beginning of a day in Copenhagen, as the ledger writes it."""
    return datetime.combine(day, datetime.min.time(), COPENHAGEN).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def order(sluice: Installation) -> None:
    """Have a user do something, past the gateway."""
    event = {"event_type": "purchase", "user_id": "u1", "transaction_id": "o\x9b1", "revenue": 49.99, "currency": "EUR"}
    connection = http.client.HTTPConnection("127.0.0.1", sluice.ports["sandbox"], timeout=PATIENCE)
    headers = {"X-API-Key": "tolk_pub_shop", "Content-Type": "application/json"}
    connection.request("POST", "/v1/api/analytics/ecommerce/track", orjson.dumps(event), headers)
    assert connection.getresponse().status == 200
    connection.close()


def test_an_operator_looks_after_exports(exports: Exports) -> None:
    pulled_at_once(exports)
    paused_and_resumed(exports)
    backfilled(exports)
    left_running_taken_up_again_and_cancelled(exports)
    listed(exports)
    a_user_followed(exports)


def pulled_at_once(exports: Exports) -> None:
    pulled = exports("run", "daily", "--wait")
    refused = exports("run", "--wait", "refused", "daily")

    assert (pulled.code, pulled.out, pulled.err) == (0, "daily: pulled; 4 rows stand\n", "")
    assert refused.code == 1
    assert "daily: pulled; 4 rows stand\n" in refused.out
    assert "refused: stopped: " in refused.out
    assert "NO_ACCESS_TO_SITES" in refused.out


def paused_and_resumed(exports: Exports) -> None:
    assert exports("pause", "daily") == Done(0, "daily: paused\n", "")
    status, run = exports("status", "daily"), exports("run", "daily")
    assert "state         paused\n" in status.out
    assert run == Done(1, "", "sluice: daily is paused; `sluice exports resume daily` comes first\n")

    assert exports("resume", "daily", "refused") == Done(0, "daily: resumed\nrefused: resumed\n", "")
    assert exports.status("daily")["state"] == "active"
    assert exports("run", "daily") == Done(0, "daily: is being pulled\n", "")


def backfilled(exports: Exports) -> None:
    first, last, after = (datetime.now(COPENHAGEN).date() - timedelta(days=ago) for ago in (60, 30, 29))

    done = exports("backfill", "daily", "--from", str(first), "--to", str(last))

    assert done.out.splitlines() == [
        f"daily: backfill of {first} to {last} asked for",
        "daily: done; 35 rows stand",
    ]
    assert (done.code, done.err) == (0, "")
    state = exports.status("daily")
    assert state["tasks"] == state["waiting_backfills"] == []
    assert isinstance(state["covered"], list)
    assert state["covered"][0] == [midnight(first), midnight(after)]


def left_running_taken_up_again_and_cancelled(exports: Exports) -> None:
    # A request for each of 200 days, at five a second.
    last = datetime.now(UTC).date() - timedelta(days=10)
    asked = ["backfill", "funnel", "--from", str(last - timedelta(days=199)), "--to", str(last)]
    with role(exports.sluice, "exports", *asked) as looking:
        assert looking.stdout is not None
        assert b"asked for" in looking.stdout.readline()
        looking.send_signal(signal.SIGINT)
        assert looking.wait(PATIENCE) == 1
    said = (exports.sluice.folder / "exports.log").read_text()
    assert said.startswith("sluice: interrupted; the backfill goes on")

    again = exports(*asked, "--no-wait")
    assert (again.code, again.out.split()[-4:]) == (0, ["is", "asked", "for", "already"])
    assert exports.status("funnel")["state"] == "backfilling"
    assert exports("cancel", "funnel") == Done(0, "funnel: cancelled\n", "")
    assert (exports.status("funnel")["state"], exports.status("funnel")["tasks"]) == ("active", [])


def listed(exports: Exports) -> None:
    for_people, objects = exports("list"), exports("list", "--json").objects()

    header, daily, refused, funnel, reason = for_people.out.splitlines()
    assert header.split()[:3] == ["export", "dataset", "state"]
    assert daily.split()[:4] == ["daily", "profitmetrics", "reports", "active"]
    assert daily.rstrip().endswith(", in 2 parts")
    assert "stopped" in refused
    assert "active" in funnel
    assert reason.startswith("refused: the key may not read every CSID")
    assert [each["name"] for each in objects] == ["daily", "refused", "funnel"]
    assert objects[0]["rows"] == 35


def a_user_followed(exports: Exports) -> None:
    assert exports("journey", "u1") == Done(0, "the vendor has no events of this user\n", "")
    order(exports.sluice)

    deadline = time.monotonic() + PATIENCE
    while not (events := exports("journey", "u1", "--json").objects()):
        assert time.monotonic() < deadline
    (line,) = exports("journey", "u1", "--account", "shop-tolinku").out.splitlines()[1:]

    assert [(each["event_type"], each["transaction_id"]) for each in events] == [("purchase", "o\x9b1")]
    assert line.split()[1:] == ["purchase", "o·1", "49.99"]


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["run", "dialy"], "sluice: no export is called dialy; did you mean daily?"),
        (["status", "funel"], "sluice: no export is called funel; did you mean funnel?"),
        (
            ["journey", "u1", "--account", "tolinku"],
            "sluice: no tolinku account is called tolinku; did you mean shop-tolinku?",
        ),
        (["backfill", "daily", "--from", "1.1.", "--to", "2026-01-02"], "sluice: --from: '1.1.' is no day"),
        (["sttus"], "Error: No such command 'sttus'. Did you mean 'status'?"),
    ],
)
def test_what_is_misspelt_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], fault: str
) -> None:
    sluice = install(tmp_path)
    with sluice.config.open("a") as config:
        config.write(EXPORTS.format(sandbox=sluice.url("sandbox")))

    done = Exports(sluice, capsys)(*arguments)

    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines()[-1].startswith(fault)


def test_without_exports_the_list_says_where_they_go(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = Exports(install(tmp_path), capsys)("list")

    assert done == Done(0, "no exports are configured; add them under [[exports]]\n", "")
