"""Which dead letters a command settles: the arguments that `replay` and `discard` share, and what they come to."""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from cli import log
from cli.dead_letters import wording
from cli.dead_letters.filters import with_filters
from cli.dead_letters.places import PlaceParameter, known, missing
from cli.exports.names import Misused
from cli.options import with_settings
from consumers.letters.index import LetterIndex
from consumers.letters.search import search
from runtime.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from cli.dead_letters.filters import Filters
    from consumers.letters.letter import Place
    from runtime.settings import Settings

_ALL_BYTES: Final = sys.maxsize


class Choice(NamedTuple):
    """What is to be settled: it stands in line in `letters`. `counts`: how many of which storefront; `deletions`: how many are none."""

    letters: LetterIndex
    counts: Mapping[str, int]
    deletions: int

    @property
    def total(self) -> int:
        """How many they are."""
        return sum(self.counts.values())


def settling_command(function: Callable[..., None]) -> click.Command:
    """Make a command of `function(settings, filters, places, *, everything, yes)`."""
    everything = click.option("--all", "everything", is_flag=True, help="All that are not settled.")
    yes = click.option("--yes", is_flag=True, help="Do not ask. Needed where there is no terminal.")
    places = click.argument("places", nargs=-1, type=PlaceParameter(), metavar="[PLACE]...")
    return click.command(places(with_filters("oldest")(everything(yes(with_settings(function))))))


@contextmanager
def chosen(
    settings: Settings, filters: Filters, places: Sequence[Place], *, everything: bool, yes: bool
) -> Iterator[Choice]:
    """Give what the command line means. Raises click.UsageError, OperatorError, BrokerError."""
    ways = bool(places) + (not filters.none_given)
    if ways > 1:
        raise click.UsageError("give places or filters, not both")
    if not ways and not everything:
        raise click.UsageError("say which: places (see `sluice dead-letters list`), filters, or --all")
    if not yes and not sys.stdin.isatty():
        # Whoever waits for an answer that cannot come hangs in somebody's cron job.
        raise Misused("there is no terminal to ask at: see what `sluice dead-letters list` says, then give --yes")
    with LetterIndex() as index:
        asyncio.run(_find(settings, index, filters, places))
        index.queue_unsettled(filters.most)
        queued = list(index.queued())
        yield Choice(
            index, {name: letters for name, letters, _ in queued}, sum(deletions for _, _, deletions in queued)
        )


def confirm(question: str, *, yes: bool) -> None:
    """Ask, unless `yes`; end the command when the answer is no."""
    if not yes and not click.confirm(f"{question}?", err=True):
        click.echo("nothing was done", err=True)
        sys.exit(1)


async def _find(settings: Settings, index: LetterIndex, filters: Filters, places: Sequence[Place]) -> None:
    named = frozenset(places)
    async with log.opened(settings) as broker:
        await search(broker, index, lambda letter: letter.place in named if named else filters.admits(letter))
        problem = await missing(broker, index, places)
        if problem is not None:
            raise problem
    known(settings, index, filters.storefront)
    if not named:
        return
    index.queue_listed(None, everything=True)
    for entry in index.part(0, _ALL_BYTES)[1]:
        if entry.settled is not None:
            what = f"{entry.settled.outcome} {wording.moment(entry.settled.at)}"
            raise OperatorError(f"dead letter {entry.place} is settled: {what}")
