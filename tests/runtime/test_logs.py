from __future__ import annotations

import logging
import os
import re
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from pydantic import SecretBytes, SecretStr

from runtime.errors import OperatorError
from runtime.logs import Logs, from_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Output:
    """Where lines go, and what came there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def text(self) -> str:
        return self._path.read_text(encoding="utf-8")

    def lines(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.text().splitlines()]

    def wait_for(self, count: int, seconds: float) -> list[dict[str, Any]]:
        deadline = time.monotonic() + seconds
        while len(self.lines()) < count and time.monotonic() < deadline:
            time.sleep(0.005)
        return self.lines()


@pytest.fixture
def output(tmp_path: Path) -> Iterator[Output]:
    output = Output(tmp_path / "log")
    yield output
    os.close(output.descriptor)


@pytest.fixture
def logs(output: Output) -> Iterator[Logs]:
    logs = Logs("gateway", output.descriptor)
    yield logs
    logs.close()


def test_a_line_is_one_json_object(logs: Logs, output: Output) -> None:
    before = time.time()
    logs.log.bind(storefront="acme").info("request", status=200, seconds=0.5, sites=[1], ratio=None)
    logs.flush()
    (line,) = output.lines()
    stamp = line.pop("timestamp")

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", stamp)
    assert time.strftime("%Y-%m-%dT%H:%M", time.gmtime(before)) <= stamp
    assert line == {
        "level": "info",
        "event": "request",
        "role": "gateway",
        "storefront": "acme",
        "status": 200,
        "seconds": 0.5,
        "sites": [1],
        "ratio": None,
    }


def test_no_secret_is_written(logs: Logs, output: Output) -> None:
    logs.log.info(
        "key", key=SecretStr("hunter2"), inner={"keys": [SecretStr("hunter2")], "bytes": SecretBytes(b"hunter2")}
    )
    logs.flush()
    (line,) = output.lines()

    assert line["key"] == "**********"
    assert line["inner"] == {"keys": ["**********"], "bytes": "**********"}
    assert "hunter2" not in output.text()


def test_an_exception_is_written_without_its_local_variables(logs: Logs, output: Output) -> None:
    password = "hunter2"
    try:
        raise ValueError("went wrong" if password else "")
    except ValueError as error:
        caught = error
        logs.log.exception("failed")
    for information in (caught, (type(caught), caught, caught.__traceback__), True):
        logs.log.warning("failed", exc_info=information)
    logs.flush()
    *told, none = output.lines()

    assert len(told) == 3
    for line in told:
        assert line["exception"].startswith("Traceback")
        assert line["exception"].endswith("ValueError: went wrong")
    assert none["exception"] is None
    assert "hunter2" not in output.text()


class Broken:
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_whatever_is_logged_becomes_a_line(logs: Logs, output: Output) -> None:
    endless: list[Any] = []
    endless.append(endless)
    logs.log.info("odd", raw=b"\xffx", names={"b", "a"}, path=output, broken=Broken())
    logs.log.info("surrogate \udc80", big=2**70)
    logs.log.info("endless", endless=endless)
    logs.log.info("keys", table={1: 2, (3,): 4})
    logs.flush()
    odd, surrogate, circle, keys = output.lines()

    assert (odd["raw"], odd["names"], odd["broken"]) == ("\\xffx", ["a", "b"], "<Broken>")
    assert (surrogate["event"], surrogate["big"]) == ("surrogate ?", float(2**70))
    assert circle["endless"] == "<class 'list'>"
    assert keys["table"]["1"] == 2


def test_lines_come_out_in_time_without_being_asked_for(logs: Logs, output: Output) -> None:
    logs.log.info("lingers")

    assert [line["event"] for line in output.wait_for(1, seconds=5)] == ["lingers"]


@pytest.mark.parametrize("method", ["warning", "error", "critical"])
def test_a_warning_brings_out_at_once_what_waited(logs: Logs, output: Output, method: str) -> None:
    started = time.monotonic()
    logs.log.info("lingers")
    getattr(logs.log, method)("at once")
    lines = output.wait_for(2, seconds=5)

    assert [line["level"] for line in lines] == ["info", method]
    assert time.monotonic() - started < 0.095


def test_lines_of_many_threads_stay_whole_and_in_order(logs: Logs, output: Output) -> None:
    def write(worker: int) -> None:
        for number in range(500):
            logs.log.info("line", worker=worker, number=number, padding="x" * (number % 97))

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    logs.flush(5)
    lines = output.lines()

    assert len(lines) == 2000
    for worker in range(4):
        assert [line["number"] for line in lines if line["worker"] == worker] == list(range(500))


def test_levels_below_are_not_written(output: Output) -> None:
    logs = Logs("gateway", output.descriptor, level="warning")
    logs.log.info("quiet")
    logs.log.warning("loud")
    logs.close()

    assert [line["event"] for line in output.lines()] == ["loud"]


def test_after_close_lines_are_written_by_whoever_brings_them(output: Output) -> None:
    logs = Logs("gateway", output.descriptor)
    logs.log.info("before")
    logs.close()
    logs.close()
    logs.log.info("after")

    assert [line["event"] for line in output.lines()] == ["before", "after"]


def test_a_reader_that_stalls_costs_lines_but_neither_time_nor_memory() -> None:
    reader, writer = os.pipe()
    logs = Logs("gateway", writer)
    padding = "x" * 100_000
    started = time.monotonic()
    for number in range(400):
        logs.log.info("line", number=number, padding=padding)
    taken = time.monotonic() - started
    lines: list[dict[str, Any]] = []

    def read() -> None:
        with os.fdopen(reader, "rb") as pipe:
            lines.extend(map(orjson.loads, pipe))

    thread = threading.Thread(target=read)
    thread.start()
    logs.flush(10)
    logs.close()
    os.close(writer)
    thread.join()
    dropped = [line for line in lines if line["event"] == "log lines dropped"]

    assert taken < 5
    assert len(dropped) == 1
    assert dropped[0]["role"] == "gateway"
    assert dropped[0]["count"] > 0
    assert len(lines) - 1 + dropped[0]["count"] == 400


def test_a_reader_that_is_gone_and_one_that_does_not_block_are_borne() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)  # its only argument
    logs = Logs("gateway", writer)
    logs.log.warning("large", padding="x" * 200_000)
    size = 0
    while size < 200_000:
        size += len(os.read(reader, 65_536))
    os.close(reader)
    logs.log.warning("nobody reads this")
    logs.close()
    os.close(writer)

    assert size > 200_000


def test_a_terminal_gets_a_readable_line_and_no_traceback(output: Output) -> None:
    logs = Logs("gateway", output.descriptor, console=True)
    logs.log.info("admin listening", port=9100, key=SecretStr("hunter2"))
    logs.log.error("failed", exc_info=ValueError("went wrong"), error="went wrong")
    logs.close()
    first, second = output.text().splitlines()

    assert "admin listening" in first
    assert "port=9100" in first
    assert "hunter2" not in first
    assert "error='went wrong'" in second


def test_a_terminal_gets_tracebacks_when_debugging(output: Output) -> None:
    logs = Logs("gateway", output.descriptor, console=True, debug=True)
    logs.log.error("failed", exc_info=ValueError("went wrong"))
    logs.close()

    assert "ValueError: went wrong" in output.text()


@pytest.fixture
def _standard_library() -> Iterator[None]:
    """Leaves the standard library's logging as pytest set it up."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    yield
    root.handlers = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


@pytest.mark.usefixtures("_standard_library")
def test_what_libraries_log_comes_the_same_way(logs: Logs, output: Output) -> None:
    logs.route_standard_library()
    logging.getLogger("aiokafka").info("not this")
    logging.getLogger("aiokafka").warning("lost %s\nretrying", "node 1")
    logging.getLogger("aiohttp").log(35, "an odd level")
    try:
        raise ValueError("went wrong")
    except ValueError:
        logging.getLogger("aiokafka").exception("in a callback")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old thing", DeprecationWarning, stacklevel=1)
    logs.flush()
    lost, odd, callback, warned = output.lines()

    assert (lost["level"], lost["event"], lost["logger"]) == ("warning", "lost node 1 retrying", "aiokafka")
    assert (odd["level"], odd["event"]) == ("warning", "an odd level")
    assert callback["exception"].endswith("ValueError: went wrong")
    assert "old thing" in warned["event"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("SLUICE_LOG_LEVEL", 'SLUICE_LOG_LEVEL: "loud" is no level; use one of debug, info, warning, error'),
        ("SLUICE_LOG_FORMAT", 'SLUICE_LOG_FORMAT: "loud" is no format; use one of json, console'),
    ],
)
def test_the_environment_may_not_ask_for_what_there_is_not(name: str, told: str) -> None:
    with pytest.raises(OperatorError) as caught:
        from_environment("gateway", {name: "loud"})

    assert str(caught.value) == told


def test_the_environment_sets_level_and_form(capfd: pytest.CaptureFixture[str]) -> None:
    logs = from_environment("gateway", {"SLUICE_LOG_LEVEL": "DEBUG", "SLUICE_LOG_FORMAT": "console"})
    logs.log.debug("seen")
    logs.close()
    json = from_environment("gateway", {})
    json.log.debug("not seen")
    json.log.info("seen")
    json.close()
    console, line = capfd.readouterr().err.splitlines()

    assert not console.startswith("{")
    assert orjson.loads(line)["event"] == "seen"


def test_a_line_is_cheap() -> None:
    """Not a benchmark: five times what it takes, so that only a change of kind fails it."""
    sink = os.open(os.devnull, os.O_WRONLY)
    logs = Logs("gateway", sink)
    best = float("inf")
    for _ in range(5):
        started = time.thread_time()
        for _ in range(2000):
            logs.log.info("request", route="batch", status=200, storefront="acme", events=100, seconds=0.0123)
        best = min(best, (time.thread_time() - started) / 2000)
    logs.close()
    os.close(sink)

    assert best < 25e-6
