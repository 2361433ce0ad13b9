from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import aiohttp
import orjson
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from cli import child as children
from cli import overview
from cli.child import Child, RoleCommand, RoleFailedError
from cli.overview import RolesHealth
from cli.role_log import RoleLog
from cli.supervisor import Supervisor
from runtime.admin import AdminServer
from runtime.clock import SystemClock
from runtime.logs import Logs
from runtime.parent import Leash
from tests.cli.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Stage:
    """Makes roles; `told` is what a user would have seen."""

    def __init__(self, folder: Path, leash: Leash) -> None:
        self._folder = folder
        self._leash = leash
        self.told: list[tuple[str, str]] = []

    def child(self, role: str, *behaviour: str, drain_seconds: float = 10) -> Child:
        arguments = (sys.executable, "-m", "tests.cli.trivial_role", role, *behaviour)
        environ = {**os.environ, **self._leash.environment(), "SLUICE_LOG_FORMAT": "json"}
        command = RoleCommand(role, arguments, environ, self._leash.pass_fds, drain_seconds)
        return Child(command, RoleLog(self._folder, role), partial(self._tell, role), SystemClock())

    def _tell(self, role: str, text: str) -> None:
        self.told.append((role, text))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with closing(Leash()) as leash:
        yield Stage(tmp_path, leash)


async def test_roles_drain_in_their_order_and_their_warnings_are_told(stage: Stage) -> None:
    roles = [stage.child("first"), stage.child("second"), stage.child("third")]

    async with Supervisor(roles) as supervisor:
        await asyncio.wait_for(supervisor.ready(), 30)
        pids = [role.pid for role in roles]

    assert stage.told[-3:] == [("first", "drained"), ("second", "drained"), ("third", "drained")]
    assert stage.told.count(("second", "so it is answer=42")) == 1
    assert not any(pid is not None and psutil.pid_exists(pid) for pid in pids)


async def test_every_role_reads_its_configuration_anew_as_soon_as_it_can(stage: Stage) -> None:
    roles = [stage.child("first"), stage.child("second")]

    async with Supervisor(roles) as supervisor:
        supervisor.hang_up()
        await until(lambda: all(stage.told.count((role.role, "so it is answer=42")) == 2 for role in roles))
        pids = [role.pid for role in roles]
        await asyncio.wait_for(supervisor.ready(), 30)
        supervisor.hang_up()
        await until(lambda: all(stage.told.count((role.role, "so it is answer=42")) == 3 for role in roles))
        assert [role.pid for role in roles] == pids


async def test_a_role_that_is_killed_starts_again_and_the_others_stay(stage: Stage) -> None:
    roles = [stage.child("first"), stage.child("second")]

    async with Supervisor(roles) as supervisor:
        await asyncio.wait_for(supervisor.ready(), 30)
        first, second = (role.pid for role in roles)
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: roles[0].pid is None)
        assert list(supervisor.not_ready()) == ["first.process"]
        await asyncio.wait_for(supervisor.ready(), 30)
        again = roles[0].pid

    assert again not in (None, first)
    assert roles[1].pid is None
    assert ("first", f"ended by SIGKILL; it starts again in 0.5 s, see {roles[0].log.path}") in stage.told
    assert second is not None


async def test_a_role_that_cannot_start_ends_it_with_its_own_words(stage: Stage) -> None:
    roles = [stage.child("first"), stage.child("second", "broken")]

    async with Supervisor(roles) as supervisor:
        with pytest.raises(RoleFailedError) as failure:
            await asyncio.wait_for(supervisor.failed(), 30)

    path = roles[1].log.path
    assert str(failure.value) == f"second did not start: failed error=the disk is full; see {path}"
    assert not any("the disk is full" in text for _, text in stage.told), "told once, by whoever started it"


async def test_a_role_comes_later_and_one_goes_before_the_others(stage: Stage) -> None:
    first, last, between = stage.child("first"), stage.child("last"), stage.child("between")
    why: list[BaseException] = []

    async with Supervisor([first, last]) as supervisor:
        await asyncio.wait_for(supervisor.ready(), 30)
        supervisor.take_on(between, 1, why.append)
        assert list(supervisor.not_ready()) == ["between.process"]
        await asyncio.wait_for(supervisor.ready(), 30)
        failed = asyncio.create_task(supervisor.failed())
        await supervisor.dismiss(first)
        assert not failed.done(), "it was asked to"
        failed.cancel()

    assert why == []
    assert [told for told in stage.told if told[1] == "drained"] == [
        ("first", "drained"),
        ("between", "drained"),
        ("last", "drained"),
    ]


async def test_one_that_comes_later_and_cannot_start_leaves_the_others_alone(stage: Stage) -> None:
    first, second, why = stage.child("first"), stage.child("second", "broken"), list[BaseException]()

    async with Supervisor([first]) as supervisor:
        await asyncio.wait_for(supervisor.ready(), 30)
        supervisor.take_on(second, 1, why.append)
        await until(lambda: why)
        assert supervisor.children == [first]
        assert supervisor.not_ready() == {}

    assert "second did not start: failed error=the disk is full" in str(why[0])


async def test_a_role_that_does_not_drain_in_time_is_killed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "GRACE_SECONDS", 0.1)
    role = stage.child("first", "stubborn", drain_seconds=0.1)

    async with Supervisor([role]) as supervisor:
        await asyncio.wait_for(supervisor.ready(), 30)
        pid = role.pid

    assert stage.told[-1][1].startswith("did not end in time and is killed")
    assert pid is not None
    assert not psutil.pid_exists(pid)


async def test_one_admin_server_shows_all_roles(stage: Stage) -> None:
    roles = [stage.child("first"), stage.child("second")]
    supervisor = Supervisor(roles)
    health = RolesHealth(supervisor)
    log = Logs("up", 2, level="error").log
    admin = AdminServer("127.0.0.1", 0, registry=overview.registry(supervisor), health=health, log=log)

    async with admin, aiohttp.ClientSession(f"http://127.0.0.1:{admin.port}") as session, supervisor:
        async with session.get("/readyz") as answer:
            assert answer.status == 503
            assert set((await answer.json())["reasons"]) == {"process", "first.process", "second.process"}
        await asyncio.wait_for(supervisor.ready(), 30)
        health.started()
        async with session.get("/readyz") as answer:
            assert await answer.json() == {"ready": True}
        async with session.get("/metrics") as answer:
            page = await answer.text()

    families = {family.name: family for family in text_string_to_metric_families(page)}
    in_flight = {sample.labels["role"]: sample.value for sample in families["sluice_gateway_in_flight_bytes"].samples}
    assert in_flight == {"first": 5, "second": 6}
    assert page.count("# TYPE sluice_gateway_in_flight_bytes gauge") == 1
    assert all(sample.labels["role"] for family in families.values() for sample in family.samples)
    names = [line for line in page.splitlines() if line and not line.startswith("#")]
    assert len({name.rsplit(" ", 1)[0] for name in names}) == len(names)


def test_a_log_that_grows_too_long_is_moved_and_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.role_log.MAX_BYTES", 100)
    log = RoleLog(tmp_path, "gateway")
    line = b'{"level":"warning","event":"slow","seconds":3}\n'

    with log.opened() as descriptor:
        os.write(descriptor, line * 3)
        first = log.news()
        os.write(descriptor, line + b"Traceback (most recent call last):\nMemoryError\n")
        second = log.news()

    assert first == [("slow seconds=3", False)] * 3
    assert second == [("slow seconds=3", False)]
    assert log.last_line == "MemoryError"
    assert log.path.with_suffix(".log.1").read_bytes() == line * 3
    assert log.path.read_bytes().startswith(line)


def test_of_a_long_fact_the_beginning_is_shown(tmp_path: Path) -> None:
    log = RoleLog(tmp_path, "scheduler")
    line = {"level": "warning", "event": "vendor refused", "answer": "x" * 4096, "reason": "no"}
    log.path.write_bytes(orjson.dumps(line) + b"\n")
    (alarm,) = log.news()
    assert alarm.text == f"vendor refused answer={'x' * 300}… reason=no"
