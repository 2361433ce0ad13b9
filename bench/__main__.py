"""`make bench`: rates and memory of gateway and forwarder, and how late a thousand exports begin, each beside a bare loop measured
in the same run; and the gateway beside one in Go.

Machines are noisy: the ratios are what to look at. Events/s by the clock, and by the processor time of the process itself, which is what
one core would do if it had nothing else to run.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import click
from rich.console import Console

from bench.backlog import measure_backlog, measure_long_backlog
from bench.edge import measure_edge
from bench.exports import measure_exports, show_lags
from bench.peers.measure import show_peers
from bench.places import Place
from bench.portfolio import Portfolio
from bench.table import show
from tests.kafka.cluster import KafkaCluster

PARTS = ("gateway", "peers", "forwarder", "backlog", "exports")
LATENCY_MS = 50
WIDTH = 150
"""Columns of the tables where there is no terminal to ask."""


@click.command()
@click.option("--seconds", default=4.0, show_default=True, help="Length of one load.")
@click.option("--rounds", default=3, show_default=True, help="Loads of each kind, in alternation; medians are shown.")
@click.option("--events", default=600_000, show_default=True, help="The forwarder's backlog.")
@click.option("--long", default=5_000_000, show_default=True, help="Events of the large backlog.")
@click.option("--connections", default=100, show_default=True, help="Of the load with single events.")
@click.option("--only", type=click.Choice(PARTS), multiple=True, help="What to measure; without, all.")
@click.option("--every", default="30s", show_default=True, help="Exports: the interval, or a cron expression.")
@click.option("--concurrency", default=4, show_default=True, help="Exports: of each account, of which there are 50.")
def main(  # one parameter for each option
    seconds: float,
    rounds: int,
    events: int,
    long: int,
    connections: int,
    only: tuple[str, ...],
    every: str,
    concurrency: int,
) -> None:
    """Measure, and print tables."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    parts = only or PARTS
    with ExitStack() as stack:
        directory = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="sluice-bench-", dir=Path.cwd() / ".cache"))
        )
        kafka = stack.enter_context(KafkaCluster())
        servers = kafka.bootstrap_servers

        def places(name: str) -> list[Place]:
            on_kafka = Place.kafka(directory / f"{name}-kafka", servers, name)
            return [on_kafka, Place.embedded(directory / name, name)]

        if "gateway" in parts:
            edge = measure_edge(places("edge"), directory, seconds=seconds, rounds=rounds, connections=connections)
            show(console, "Gateway", edge)
        if "peers" in parts:
            place = places("peers")[0]
            show_peers(console, place, kafka.pids, directory, seconds=seconds, rounds=rounds, connections=connections)
        if "forwarder" in parts:
            rows = measure_backlog(places("drain"), directory, events=events, rounds=rounds)
            slow = places("slow")[:1]
            rows += measure_backlog(slow, directory, events=events // 3, rounds=rounds, latency_ms=LATENCY_MS)
            show(console, "Forwarder", rows)
        if "backlog" in parts:
            show(console, "A large backlog", measure_long_backlog(places("backlog")[0], directory, events=long))
        if "exports" in parts:
            portfolio = Portfolio(50, 20, concurrency, {"schedule": every} if " " in every else {"every": every})
            lags = measure_exports(places("exports"), portfolio, directory, rounds=rounds)
            show_lags(console, f"1,000 exports, {every}", lags)


if __name__ == "__main__":
    Path(".cache").mkdir(exist_ok=True)
    main()
