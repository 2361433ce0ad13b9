"""The gateway under load, beside a bare aiohttp handler and a bare producer or writer loop."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from bench.load import WARM_UP_SECONDS
from bench.processes import Measured, answer, module, running
from bench.table import Row, Run
from schemas.topics import events_topic
from tests.kafka.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.places import Place

BATCH_CONNECTIONS = 32
SHAPES = {"single": "single events", "batch": "batches of 100"}
BARE_ROWS = 100_000


def measure_edge(
    places: Sequence[Place], directory: Path, *, seconds: float, rounds: int, connections: int
) -> list[Row]:
    """Load every server in turn, `rounds` times; returns a row for each."""
    rows: list[Row] = []
    with ExitStack() as stack:
        [bare_port] = free_ports(1)
        bare = stack.enter_context(
            running(module("bench.bare_handler", bare_port), directory / "bare.log", ready=bare_port)
        )
        gateways = [
            stack.enter_context(running(place.role("gateway"), place.directory / "gateway.log", ready=place.ready_url))
            for place in places
        ]
        loops = _bare_loops(places, directory, seconds, rounds)
        for shape, name in SHAPES.items():
            count = connections if shape == "single" else BATCH_CONNECTIONS
            bare_runs: list[Run] = []
            runs: list[list[Run]] = [[] for _ in places]
            for _ in range(rounds):
                bare_runs.append(load(bare, bare_port, shape, count, seconds))
                for place, gateway, mine in zip(places, gateways, runs, strict=True):
                    mine.append(load(gateway, place.ports["gateway"], shape, count, seconds))
            rows.append(Row(f"bare aiohttp handler, {name}", bare_runs, peak_mb=bare.peak_mb()))
            rows += [
                Row(
                    f"gateway on {place.name}, {name}",
                    mine,
                    [("bare handler", bare_runs), (loop.name, loop.runs)],
                    gateway.peak_mb(),
                )
                for place, gateway, mine, loop in zip(places, gateways, runs, loops, strict=True)
            ]
    return [*loops, *rows]


def load(server: Measured, port: int, shape: str, connections: int, seconds: float) -> Run:
    """Load a server with `shape` for so long, a second of warm-up before; waits until it is done."""
    before = server.cpu_seconds()
    found = answer(module("bench.load", port, shape, connections, seconds))
    used = server.cpu_seconds() - before
    whole = seconds + WARM_UP_SECONDS
    return Run(
        found["events_per_second"],
        per_core=found["events_per_second"] * whole / used,
        cores=used / whole,
        p50_ms=found["p50_ms"],
        p99_ms=found["p99_ms"],
        failures=found["failures"],
    )


def _bare_loops(places: Sequence[Place], directory: Path, seconds: float, rounds: int) -> list[Row]:
    rows = []
    for place in places:
        if place.bootstrap_servers is None:
            command, name = module("bench.bare_log", directory, BARE_ROWS), "bare SQLite loop"
        else:
            command = module("bench.bare_producer", place.bootstrap_servers, events_topic(place.storefront), seconds)
            name = "bare producer loop"
        rows.append(Row(name, [Run(answer(command)["events_per_second"]) for _ in range(rounds)]))
    return rows
