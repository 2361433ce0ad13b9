"""`python -m examples`: writes a day of the made-up shop's traffic as NDJSON."""

from __future__ import annotations

import sys
from typing import BinaryIO

import click
import orjson

from examples import shop
from examples.figures import tally


@click.command
@click.option("--day", type=click.IntRange(1), default=1, show_default=True, help="Which day; days add up.")
@click.option("--seed", default=shop.SEED, show_default=True, help="Another seed is another shop.")
@click.option("--events", type=click.IntRange(1), default=shop.EVENTS, show_default=True, help="At least so many.")
@click.option("--sample", is_flag=True, help="The short day that examples/sample.ndjson holds.")
@click.option("--figures", is_flag=True, help="Write what the day must come to instead, as JSON.")
@click.option("-o", "--output", type=click.File("wb"), default="-", help="A file instead of the standard output.")
def main(*, day: int, seed: str, events: int, sample: bool, figures: bool, output: BinaryIO) -> None:
    """Write a day of the made-up shop's traffic, one event per line."""
    lines = shop.sample() if sample else shop.lines(day, seed=seed, events=events)
    if figures:
        output.write(orjson.dumps(tally(lines).as_json(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        return
    output.writelines(line.text + b"\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main(prog_name="python -m examples"))
