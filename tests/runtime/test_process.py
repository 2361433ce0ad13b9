from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runtime.parent import PARENT_FD, Leash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parent.parent.parent


class Role:
    """A process of tests/runtime/role.py."""

    def __init__(
        self,
        name: str,
        drain_seconds: float = 5,
        admin_port: int = 0,
        environ: dict[str, str] | None = None,
        pass_fds: tuple[int, ...] = (),
    ) -> None:
        self.process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
            [sys.executable, "-m", "tests.runtime.role", name, str(drain_seconds), str(admin_port)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(environ or {})},
            pass_fds=pass_fds,
        )
        self.lines: list[dict[str, Any]] = []

    def wait_for(self, event: str) -> dict[str, Any]:
        """Return the first line of that event, from now on."""
        assert self.process.stderr is not None
        for raw in self.process.stderr:
            self.lines.append(json.loads(raw))
            if self.lines[-1]["event"] == event:
                return self.lines[-1]
        raise AssertionError(f"no line {event!r} in {self.lines}")

    def end(self, number: int | None = None) -> int:
        """Send a signal, wait for the end, read what is left, return the exit code."""
        if number is not None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=20)
        assert out == b""
        self.lines += map(json.loads, err.splitlines())
        return self.process.returncode

    def line(self, event: str) -> dict[str, Any]:
        (line,) = [line for line in self.lines if line["event"] == event]
        return line

    def events(self) -> list[str]:
        return [line["event"] for line in self.lines]


@pytest.fixture
def start() -> Iterator[Callable[..., Role]]:
    roles: list[Role] = []

    def start(name: str, **arguments: Any) -> Role:
        roles.append(Role(name, **arguments))
        return roles[-1]

    yield start
    for role in roles:
        role.process.kill()
        role.process.wait()
        for pipe in (role.process.stdout, role.process.stderr):
            if pipe is not None:
                pipe.close()


def ask(port: int, page: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{page}", timeout=5) as answer:  # http, ours
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_drains_and_ends_cleanly(start: Callable[..., Role], number: signal.Signals) -> None:
    role = start("serve")
    role.wait_for("collector")
    code = role.end(number)

    assert code == 0
    assert role.events() == ["admin listening", "started", "collector", "draining", "drained", "stopped"]
    assert role.line("draining")["reason"] == number.name
    assert role.line("drained")["ready"] == {"process": "draining: no new work is taken"}
    assert {line["role"] for line in role.lines} == {"gateway"}


def test_a_started_role_runs_on_uvloop_with_a_rare_garbage_collector(start: Callable[..., Role]) -> None:
    role = start("serve")
    started, collector = role.wait_for("started"), role.wait_for("collector")

    assert (started["loop"], started["role_of"]) == ("uvloop", "gateway")
    assert (collector["frozen"], collector["threshold"]) == (True, 200_000)


def test_its_admin_server_answers_while_it_serves(start: Callable[..., Role]) -> None:
    role = start("serve")
    port = role.wait_for("admin listening")["port"]
    role.wait_for("started")

    assert ask(port, "/livez") == (200, "ok")
    assert ask(port, "/readyz") == (200, '{"ready":true}')
    assert "sluice_config_last_reload_successful 1.0" in ask(port, "/metrics")[1]


def test_it_is_not_ready_while_it_drains(start: Callable[..., Role]) -> None:
    role = start("drain_for_ever")
    port = role.wait_for("admin listening")["port"]
    role.wait_for("started")
    role.process.send_signal(signal.SIGTERM)
    role.wait_for("draining")

    assert ask(port, "/readyz")[0] == 503
    assert "draining" in ask(port, "/readyz")[1]


def test_a_drain_past_its_deadline_says_what_did_not_finish(start: Callable[..., Role]) -> None:
    role = start("drain_for_ever", drain_seconds=0.2)
    role.wait_for("started")
    began = time.monotonic()
    code = role.end(signal.SIGTERM)

    assert code == 1
    assert 0.2 <= time.monotonic() - began < 2
    line = role.line("drain did not finish in time")
    assert (line["level"], line["seconds"]) == ("error", 0.2)
    assert line["waits_in"] == "drain_for_ever > Publisher.close > Event.wait"
    assert role.events()[-1] == "drain did not finish in time"


def test_a_role_that_will_not_be_cancelled_ends_all_the_same(start: Callable[..., Role]) -> None:
    role = start("ignore_cancellation", drain_seconds=0.1)
    role.wait_for("started")
    began = time.monotonic()

    assert role.end(signal.SIGTERM) == 1
    assert 2 <= time.monotonic() - began < 8


def test_what_fails_while_it_is_cancelled_is_told(start: Callable[..., Role]) -> None:
    role = start("fail_in_cancellation", drain_seconds=0.1)
    role.wait_for("started")

    assert role.end(signal.SIGTERM) == 1
    assert role.line("failed")["error"] == "the lease was lost"


@pytest.mark.parametrize(("second", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_second_signal_ends_at_once(start: Callable[..., Role], second: signal.Signals, code: int) -> None:
    role = start("drain_for_ever", drain_seconds=60)
    role.wait_for("started")
    role.process.send_signal(signal.SIGTERM)
    role.wait_for("draining")
    began = time.monotonic()

    assert role.end(second) == code
    assert time.monotonic() - began < 2


def test_a_blocked_event_loop_can_still_be_ended(start: Callable[..., Role]) -> None:
    role = start("spin", drain_seconds=60)
    role.wait_for("spinning")
    role.process.send_signal(signal.SIGINT)

    assert role.end(signal.SIGTERM) in (130, 143)


@pytest.mark.parametrize(("name", "event"), [("spin", "spinning"), ("leave_a_thread", "started")])
def test_what_keeps_it_from_ending_is_overcome(start: Callable[..., Role], name: str, event: str) -> None:
    role = start(name, drain_seconds=0.1)
    role.wait_for(event)
    began = time.monotonic()

    assert role.end(signal.SIGTERM) == 1
    assert 3 <= time.monotonic() - began < 8
    assert role.line("ended by force: the drain did not end in time")["level"] == "error"


def test_a_role_that_returns_by_itself_is_done(start: Callable[..., Role]) -> None:
    role = start("return_at_once")

    assert role.end() == 0
    assert role.events() == ["admin listening", "started", "stopped"]


def test_an_operators_error_is_one_line_without_a_traceback(start: Callable[..., Role]) -> None:
    role = start("fail_clearly")

    assert role.end() == 1
    failed = role.line("failed")
    del failed["timestamp"]
    assert failed == {
        "level": "error",
        "event": "failed",
        "role": "gateway",
        "error": "another process holds the lease; stop it first",
    }


def test_a_bug_is_one_line_with_the_traceback_in_a_field(start: Callable[..., Role]) -> None:
    role = start("fail_badly")

    assert role.end() == 1
    failed = role.line("failed")
    assert (failed["error"], failed["kind"]) == ("'no such **********'", "KeyError")
    assert failed["at"].startswith("runtime/role.py:")
    assert "hunter2" not in json.dumps(role.lines)


def test_on_a_terminal_a_bug_is_one_line_without_its_traceback(start: Callable[..., Role]) -> None:
    role = start("fail_badly", environ={"SLUICE_LOG_FORMAT": "console"})
    _, err = role.process.communicate(timeout=20)

    assert role.process.returncode == 1
    assert b"no such" in err
    assert b"Traceback" not in err
    assert err.count(b"\n") == 2


def test_what_nobody_awaited_is_a_line_of_the_log(start: Callable[..., Role]) -> None:
    role = start("be_complained_of")
    role.wait_for("collector")

    assert role.end(signal.SIGTERM) == 0
    unhandled = [line for line in role.lines if line["event"] == "unhandled in the event loop"]
    assert {(line["kind"], line["error"]) for line in unhandled} == {
        ("ValueError", "nobody asked"),
        ("ZeroDivisionError", "integer division or modulo by zero"),
    }
    assert role.line("lost node 1")["logger"] == "aiokafka"


def test_an_admin_port_in_use_is_one_clear_line(start: Callable[..., Role]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        role = start("serve", admin_port=port)
        code = role.end()

    assert code == 1
    assert role.events() == ["failed"]
    assert role.line("failed")["error"] == f"the admin server cannot listen on 127.0.0.1:{port}: Address already in use"


def test_the_end_of_its_supervisor_drains_it(start: Callable[..., Role]) -> None:
    leash = Leash()
    role = start("serve", environ=leash.environment(), pass_fds=leash.pass_fds)
    role.wait_for("started")
    leash.close()
    leash.close()

    assert role.end() == 0
    assert role.line("draining")["reason"] == "the supervisor ended"


def test_the_supervisors_end_after_a_signal_is_no_second_one(start: Callable[..., Role]) -> None:
    leash = Leash()
    role = start("drain_for_ever", drain_seconds=0.5, environ=leash.environment(), pass_fds=leash.pass_fds)
    role.wait_for("started")
    role.process.send_signal(signal.SIGTERM)
    role.wait_for("draining")
    leash.close()

    assert role.end() == 1
    assert role.events().count("draining") == 1


@pytest.mark.parametrize("value", ["77", "x"])
def test_a_supervisor_that_is_none_is_an_error(start: Callable[..., Role], value: str) -> None:
    role = start("serve", environ={PARENT_FD: value})

    assert role.end() == 1
    assert role.line("failed")["error"].startswith(f'SLUICE_PARENT_FD: "{value}" is no open file descriptor')
