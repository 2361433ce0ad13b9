"""A role's runs, one after the other, each with the configuration of its time."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from pydantic import SecretStr
from structlog.testing import capture_logs

from runtime.clock import SystemClock
from runtime.errors import OperatorError
from runtime.faults import ConfigError, Fault
from runtime.health import Health
from runtime.metrics import Metrics
from runtime.process import Process
from runtime.runs import Runs
from runtime.settings import AdminSettings, ForwarderSettings, IngestionSettings, Settings, StorefrontSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

FAULTS = [Fault("a.b", 3, "is wrong", "put it right", "sluice.toml"), Fault("c", None, "is too", "", "sluice.toml")]


def settings(*names: str, **sections: Any) -> Settings:
    ingestion = IngestionSettings(url="http://127.0.0.1:1", api_key=SecretStr("hunter2"))
    return Settings(storefronts=[StorefrontSettings(name=name, ingestion=ingestion) for name in names], **sections)


class Stage:
    """Runs `main` on what `found` is; `served` is what each run served with."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.health = Health()
        self.found: Settings | Exception = settings("first")
        self.served: list[list[str]] = []
        self.processes: list[Process] = []
        self.fails_with: Callable[[Settings], bool] = lambda _: False
        self.take: Callable[[Settings], Awaitable[None]] | None = None
        self.loads = 0
        self.gate = threading.Event()
        self.gate.set()
        self.runs = Runs(self._process(), settings("first"), self._main, self._load)
        self.task: asyncio.Task[None] | None = None

    @property
    def successful(self) -> float | None:
        return self.metrics.registry.get_sample_value("sluice_config_last_reload_successful")

    async def start(self) -> None:
        self.task = asyncio.create_task(self.runs.run())
        await self.until(lambda: len(self.served) == 1)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110  # what happens in a thread tells nobody
                await asyncio.sleep(0.001)

    def reload(self, found: Settings | Exception) -> None:
        self.found = found
        self.runs.reload()

    async def end(self) -> None:
        self.runs.stop("the test is over")
        assert self.task is not None
        await asyncio.wait_for(self.task, 5)

    def _process(self) -> Process:
        self.metrics.config_last_reload_successful.set(1)
        log = structlog.get_logger()
        return Process(
            "forwarder", log=log, metrics=self.metrics, health=self.health, clock=SystemClock(), drain_seconds=5
        )

    def _load(self) -> Settings:
        self.loads += 1
        self.gate.wait(5)
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    async def _main(self, settings: Settings, process: Process) -> None:
        names = [each.name for each in settings.storefronts]
        if self.take is not None:
            process.on_reload(self.take, pins=["forwarder.max_in_flight"])
        process.health.add(names[0], lambda: "of this run")
        for name in names:
            process.metrics.forwarder_paused.labels(name, "manual").set(1)
            process.metrics.forwarder_events_total.labels(name, "delivered").inc()
        if self.fails_with(settings):
            raise OperatorError("topics are missing")
        process.started()
        self.served.append(names)
        self.processes.append(process)
        await process.stopping.wait()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    yield stage
    stage.gate.set()
    if stage.task is not None and not stage.task.done():
        await stage.end()


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    with capture_logs() as lines:
        yield lines


def of(logged: list[Any], event: str) -> list[Any]:
    return [line for line in logged if line["event"].startswith(event)]


async def test_a_role_is_drained_and_run_again(stage: Stage) -> None:
    await stage.start()
    stage.reload(settings("second"))
    await stage.until(lambda: len(stage.served) == 2)

    assert stage.served == [["first"], ["second"]]
    assert stage.processes[0].stopping.is_set()
    assert not stage.processes[1].stopping.is_set()
    assert stage.health.reasons() == {"second": "of this run"}, "what the run before was asked is forgotten"
    assert stage.successful == 1
    sample = stage.metrics.registry.get_sample_value
    paused = {"reason": "manual"}
    assert sample("sluice_forwarder_paused", paused | {"storefront": "first"}) is None
    assert sample("sluice_forwarder_paused", paused | {"storefront": "second"}) == 1
    assert sample("sluice_forwarder_events_total", {"storefront": "first", "result": "delivered"}) == 1


async def test_a_faulty_file_is_refused_with_every_fault_and_the_old_one_stays(stage: Stage, logged: list[Any]) -> None:
    await stage.start()
    stage.reload(ConfigError(FAULTS))
    await stage.until(lambda: stage.successful == 0)

    (line,) = of(logged, "configuration refused")
    assert line["log_level"] == "error"
    assert line["error"] == "sluice.toml:3: a.b: is wrong; put it right; sluice.toml: c: is too"
    assert stage.health.reasons() == {"first": "of this run"}
    stage.reload(settings("second"))
    await stage.until(lambda: len(stage.served) == 2)
    assert stage.successful == 1


async def test_a_fault_of_ours_while_reading_is_refused_too(stage: Stage, logged: list[Any]) -> None:
    await stage.start()
    stage.reload(ZeroDivisionError("division by zero"))
    await stage.until(lambda: stage.successful == 0)

    (line,) = of(logged, "configuration refused")
    assert (line["kind"], line["error"]) == ("ZeroDivisionError", "division by zero")
    assert stage.served == [["first"]]


async def test_a_role_that_takes_it_over_by_itself_is_not_run_again(stage: Stage, logged: list[Any]) -> None:
    taken: list[Settings] = []

    async def take(new: Settings) -> None:
        taken.append(new)

    stage.take = take
    await stage.start()
    new = settings(
        "second", admin=AdminSettings(port=1), forwarder=ForwarderSettings(max_in_flight=5, max_batch_wait_ms=7)
    )
    stage.reload(new)
    await stage.until(lambda: bool(of(logged, "configuration taken over")))

    assert stage.served == [["first"]]
    assert taken[0].storefronts == new.storefronts
    assert taken[0].forwarder == ForwarderSettings(max_batch_wait_ms=7), "what is pinned stays"
    (line,) = of(logged, "needs a restart")
    assert (line["keys"], line["log_level"]) == ("admin.port, forwarder.max_in_flight", "warning")


async def test_what_a_role_cannot_take_over_is_refused(stage: Stage, logged: list[Any]) -> None:
    async def take(_: Settings) -> None:
        raise OperatorError("the broker is away")

    stage.take = take
    await stage.start()
    stage.reload(settings("second"))
    await stage.until(lambda: stage.successful == 0)

    assert [line["error"] for line in of(logged, "configuration refused")] == ["the broker is away"]
    assert stage.served == [["first"]]


async def test_a_run_that_never_serves_is_followed_by_one_with_the_old_settings(
    stage: Stage, logged: list[Any]
) -> None:
    stage.fails_with = lambda new: new.storefronts[0].name == "second"
    await stage.start()
    stage.reload(settings("second"))
    await stage.until(lambda: len(stage.served) == 2)

    assert stage.served == [["first"], ["first"]]
    assert stage.successful == 0
    assert [line["error"] for line in of(logged, "configuration refused")] == ["topics are missing"]
    stage.reload(settings("third"))
    await stage.until(lambda: len(stage.served) == 3)
    assert stage.successful == 1


async def test_when_the_old_settings_do_not_serve_either_the_role_fails(stage: Stage) -> None:
    await stage.start()
    stage.fails_with = lambda _: True
    stage.reload(settings("second"))
    assert stage.task is not None
    with pytest.raises(OperatorError, match="topics are missing"):
        await asyncio.wait_for(stage.task, 5)
    assert stage.served == [["first"]]


async def test_what_is_asked_for_while_the_file_is_read_leads_to_one_more(stage: Stage) -> None:
    taken: list[Settings] = []

    async def take(new: Settings) -> None:
        taken.append(new)

    stage.take = take
    await stage.start()
    stage.gate.clear()
    stage.reload(settings("second"))
    await stage.until(lambda: stage.loads == 1)
    for _ in range(5):
        stage.runs.reload()
    stage.gate.set()
    await stage.until(lambda: len(taken) == 2)
    await asyncio.sleep(0.01)
    assert stage.loads == len(taken) == 2


async def test_who_is_asked_to_stop_meanwhile_stops(stage: Stage) -> None:
    await stage.start()
    stage.gate.clear()
    stage.reload(settings("second"))
    await stage.until(lambda: stage.loads == 1)
    stage.runs.stop("SIGTERM")
    stage.gate.set()
    assert stage.task is not None
    await asyncio.wait_for(stage.task, 5)
    assert stage.served == [["first"]]
    assert stage.health.reasons()["process"] == "draining: no new work is taken"
