"""Our gateway beside one in Go, on the same Kafka, each held to one core: the ratios that the speed of ours is told in."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from bench.cores import one_core
from bench.edge import BATCH_CONNECTIONS, SHAPES, load
from bench.load import KEY
from bench.peers.build import PeerMissingError, build, command
from bench.processes import running
from bench.table import Row, Run, show
from tests.kafka.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from bench.places import Place
    from bench.processes import Measured

OURS = "Sluice"
WARM_ROUNDS = 1
"""Not counted: a Kafka that has just started is slow, and would be so for whoever comes first."""


def show_peers(
    console: Console,
    place: Place,
    kafka: Sequence[int],
    directory: Path,
    *,
    seconds: float,
    rounds: int,
    connections: int,
) -> None:
    """Measure and print a table; without a Go, say so. `kafka`: its processes, which leave the core to the gateways."""
    try:
        binaries = build(directory)
    except PeerMissingError as missing:
        console.print(f"Gateway beside one in Go: not measured, {missing}")
        return
    with one_core(kafka) as held:
        rows = measure_peers(place, binaries, held, directory, seconds=seconds, rounds=rounds, connections=connections)
    cores = "one core each, all else on the others" if held else "not held to one core"
    show(console, f"Gateway beside one in Go, on {place.name}, {cores}", rows)


def measure_peers(
    place: Place,
    binaries: Mapping[str, Path],
    held: Sequence[str],
    directory: Path,
    *,
    seconds: float,
    rounds: int,
    connections: int,
) -> list[Row]:
    """Load ours and Go's in turn, `rounds` times; returns a row for each, ours with its ratios. `binaries`: by their JSON library;
    `held`: put before each gateway's command.
    """
    rows: list[Row] = []
    with ExitStack() as stack:
        servers = _start(stack, place, binaries, held, directory)
        for shape, events in SHAPES.items():
            count = connections if shape == "single" else BATCH_CONNECTIONS
            runs: dict[str, list[Run]] = {name: [] for name in servers}
            for _ in range(WARM_ROUNDS + rounds):
                for name, (server, port) in servers.items():
                    runs[name].append(load(server, port, shape, count, seconds))
            counted = {name: mine[WARM_ROUNDS:] for name, mine in runs.items()}
            baselines = [(name, mine) for name, mine in counted.items() if name != OURS]
            rows += [
                Row(f"{name}, {events}", mine, baselines if name == OURS else (), servers[name][0].peak_mb())
                for name, mine in counted.items()
            ]
    return rows


def _start(
    stack: ExitStack, place: Place, binaries: Mapping[str, Path], held: Sequence[str], directory: Path
) -> dict[str, tuple[Measured, int]]:
    """Start all of them, ours first, for it makes the topics; returns each with its port. Who is not loaded takes next to nothing."""
    if place.bootstrap_servers is None:
        raise ValueError("the Go gateway writes to Kafka only")
    ours = running([*held, *place.role("gateway")], place.directory / "gateway.log", ready=place.ready_url)
    servers = {OURS: (stack.enter_context(ours), place.ports["gateway"])}
    for (name, binary), port in zip(binaries.items(), free_ports(len(binaries)), strict=True):
        started = command(
            binary, port=port, bootstrap_servers=place.bootstrap_servers, storefront=place.storefront, key=KEY
        )
        theirs = running([*held, *started], directory / f"{binary.name}.log", ready=port)
        servers[f"Go with {name}"] = (stack.enter_context(theirs), port)
    return servers
