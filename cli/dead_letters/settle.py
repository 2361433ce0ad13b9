"""`sluice dead-letters replay|discard`: dead letters sent on their way again, or given up."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

import click
from rich.console import Console

from broker.interface import BrokerError
from cli import log
from cli.dead_letters import wording
from cli.dead_letters.filters import with_filters
from cli.dead_letters.places import PlaceParameter, missing
from cli.options import with_settings
from cli.progress import bar
from consumers.letter_search import search
from consumers.letters import Settled
from consumers.replay import Progress, settling
from runtime.errors import OperatorError, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.dead_letters.filters import Filters
    from consumers.letter_search import Entry, Found
    from consumers.letters import Letter, Place
    from runtime.settings import Settings

_FOR_DELETIONS: Final = "; a deletion removes also what came of its user since"


class Chosen(NamedTuple):
    """What is to be settled, in the order in which it was accepted, and all that is known of it."""

    entries: Sequence[Entry]
    found: Found


@click.command
@click.argument("places", nargs=-1, type=PlaceParameter(), metavar="[PLACE]...")
@with_filters
@click.option("--all", "everything", is_flag=True, help="All that are not settled.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_settings
def replay(settings: Settings, filters: Filters, places: Sequence[Place], *, everything: bool, yes: bool) -> None:
    """Send dead letters on their way again.

    Each is accepted anew, as it was, behind everything that was accepted since; those of one key stay in their order. Ctrl-C
    ends it between two; a kill may make the last ones arrive twice, none is lost. Whoever starts it while it runs takes over.
    """
    chosen = _chosen(settings, filters, places, everything=everything)
    _refuse_unknown(settings, chosen.entries)
    question = f"Replay {wording.summary(chosen.entries)}"
    if any(entry.is_deletion for entry in chosen.entries):
        question += _FOR_DELETIONS
    _settle(settings, chosen, Settled.REPLAYED, question, yes=yes)


@click.command
@click.argument("places", nargs=-1, type=PlaceParameter(), metavar="[PLACE]...")
@with_filters
@click.option("--all", "everything", is_flag=True, help="All that are not settled.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_settings
def discard(settings: Settings, filters: Filters, places: Sequence[Place], *, everything: bool, yes: bool) -> None:
    """Give dead letters up.

    They are settled and never sent again; they can be read with `sluice dead-letters list --all` until they expire.
    """
    chosen = _chosen(settings, filters, places, everything=everything)
    _settle(settings, chosen, Settled.DISCARDED, f"Discard {wording.summary(chosen.entries)}", yes=yes)


def _chosen(settings: Settings, filters: Filters, places: Sequence[Place], *, everything: bool) -> Chosen:
    """Return what the command line means. Raises click.UsageError, OperatorError, BrokerError."""
    ways = bool(places) + (not filters.none_given)
    if ways > 1:
        raise click.UsageError("give places or filters, not both")
    if not ways and not everything:
        raise click.UsageError("say which: places (see `sluice dead-letters list`), filters, or --all")
    return asyncio.run(_choose(settings, filters, places))


async def _choose(settings: Settings, filters: Filters, places: Sequence[Place]) -> Chosen:
    named = frozenset(places)
    async with log.opened(settings) as broker:
        found = await search(broker, lambda letter: letter.place in named if named else filters.admits(letter))
        problem = await missing(broker, found, places)
        if problem is not None:
            raise problem
    for origin, entry in found.wanted.items():
        settled = found.settled.get(origin)
        if named and settled is not None:
            raise OperatorError(f"dead letter {entry.place} is settled: {settled.outcome} {wording.moment(settled.at)}")
    entries = found.unsettled()
    if filters.most is not None:
        oldest = sorted(entries, key=lambda entry: entry.at)[: filters.most]
        entries = sorted(oldest, key=lambda entry: entry.origin)
    return Chosen(entries, found)


def _refuse_unknown(settings: Settings, entries: Sequence[Entry]) -> None:
    configured = {each.name for each in settings.storefronts}
    lost = [entry for entry in entries if entry.storefront not in configured]
    if lost:
        names = ", ".join(sorted({entry.storefront for entry in lost}))
        raise OperatorError(
            f"{wording.summary(lost)}: nobody forwards for {names}; configure it, choose others with --storefront, or discard them"
        )


def _settle(settings: Settings, chosen: Chosen, outcome: Settled, question: str, *, yes: bool) -> NoReturn:
    if not chosen.entries:
        click.echo("no unsettled dead letters")
        sys.exit(0)
    if not yes:
        click.confirm(f"{question}?", abort=True, err=True)
    sys.exit(asyncio.run(_settled(settings, chosen, outcome)))


async def _settled(settings: Settings, chosen: Chosen, outcome: Settled) -> int:
    """Do it, tell what came of it, and return the exit code."""
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    last = Progress()
    problem: OperatorError | None = None
    with bar(Console(file=sys.stderr), outcome, len(chosen.entries), "dead letters") as advance:

        def shown(progress: Progress) -> None:
            nonlocal last
            last = progress
            advance(progress.done, progress.settled)

        async with log.opened(settings) as broker, settling(broker, chosen.found.copies) as settler:
            try:
                last = await settler.settle(chosen.entries, outcome, shown, stopping.is_set)
            except OperatorError as error:
                problem = error
    for line in told(last, outcome, len(chosen.entries)):
        click.echo(line)
    if problem is not None:
        click.echo(f"sluice: {_why(problem, outcome)}", err=True)
    elif last.done < len(chosen.entries):
        click.echo("sluice: interrupted; the same command goes on", err=True)
    return 0 if problem is None and last.done == len(chosen.entries) and not last.too_large else 1


def told(progress: Progress, outcome: Settled, wanted: int) -> list[str]:
    """Return what to say of the end: how many of the `wanted` ones, and what became of the others."""
    of = "" if progress.settled == wanted else f" of {wanted:,}"
    lines = [f"{outcome} {progress.settled:,}{of} {'dead letter' if wanted == 1 else 'dead letters'}"]
    if progress.passed:
        lines.append(f"{progress.passed:,} were settled by somebody else, or expired")
    lines += [_too_large(letter) for letter in progress.too_large]
    return lines


def _too_large(letter: Letter) -> str:
    size = len(letter.record.value or b"")
    return f"{letter.place}: {size:,} bytes are more than {letter.origin.topic} takes; raise its max.message.bytes, or discard it"


def _why(problem: OperatorError, outcome: Settled) -> str:
    if isinstance(problem, BrokerError) and outcome is Settled.REPLAYED:
        return f"{one_line(problem)}; the same command goes on, and the last ones may then be replayed twice"
    return one_line(problem)
