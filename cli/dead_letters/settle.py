"""`sluice dead-letters replay|discard`: dead letters sent on their way again, or given up."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING, Final, NoReturn

import click
from rich.console import Console

from broker.interface import BrokerError
from cli import log
from cli.dead_letters import wording
from cli.dead_letters.choice import chosen, confirm, settling_command
from cli.progress import bar
from consumers.letters.letter import Settled
from consumers.letters.replay import Progress, settling
from runtime.errors import OperatorError, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.dead_letters.choice import Choice
    from cli.dead_letters.filters import Filters
    from consumers.letters.letter import Place
    from consumers.letters.replay import TooLarge
    from runtime.settings import Settings

_FOR_DELETIONS: Final = "; a deletion removes also what came of its user since"


@settling_command
def replay(settings: Settings, filters: Filters, places: Sequence[Place], *, everything: bool, yes: bool) -> None:
    """Send dead letters on their way again.

    Each is accepted anew, as it was, behind everything that was accepted since; those of one key stay in their order. What
    is refused again becomes a new dead letter. Ctrl-C ends it after the 500 that it is at; a kill may make those arrive
    twice, none is lost. Whoever starts it while it runs takes over.
    """
    with chosen(settings, filters, places, everything=everything, yes=yes) as choice:
        _refuse_unknown(settings, choice)
        question = f"Replay {wording.summary(choice.counts)}{_FOR_DELETIONS if choice.deletions else ''}"
        _settle(settings, choice, Settled.REPLAYED, question, yes=yes)


@settling_command
def discard(settings: Settings, filters: Filters, places: Sequence[Place], *, everything: bool, yes: bool) -> None:
    """Give dead letters up.

    They are settled and never sent again; `sluice dead-letters list --all` and `show` tell of them until they expire.
    """
    with chosen(settings, filters, places, everything=everything, yes=yes) as choice:
        _settle(settings, choice, Settled.DISCARDED, f"Discard {wording.summary(choice.counts)}", yes=yes)


def _refuse_unknown(settings: Settings, choice: Choice) -> None:
    configured = {each.name for each in settings.storefronts}
    lost = {name: count for name, count in choice.counts.items() if name not in configured}
    if lost:
        raise OperatorError(
            f"{wording.summary(lost)}: nobody forwards for {', '.join(sorted(lost))}; "
            "configure it, choose others with --storefront, or discard them"
        )


def _settle(settings: Settings, choice: Choice, outcome: Settled, question: str, *, yes: bool) -> NoReturn:
    if not choice.total:
        click.echo("no unsettled dead letters")
        sys.exit(0)
    confirm(question, yes=yes)
    sys.exit(asyncio.run(_settled(settings, choice, outcome)))


async def _settled(settings: Settings, choice: Choice, outcome: Settled) -> int:
    """Do it, tell what came of it, and return the exit code."""
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    last = Progress()
    problem: OperatorError | None = None
    with bar(Console(file=sys.stderr), outcome, choice.total, "dead letters") as advance:

        def shown(progress: Progress) -> None:
            nonlocal last
            last = progress
            advance(progress.done, progress.settled)

        async with log.opened(settings) as broker, settling(broker) as settler:
            try:
                last = await settler.settle(choice.letters, outcome, shown, stopping.is_set)
            except OperatorError as error:
                problem = error
    for line in told(last, outcome, choice.total):
        click.echo(line)
    if problem is not None:
        click.echo(f"sluice: {_why(problem, outcome)}", err=True)
    elif last.done < choice.total:
        click.echo("sluice: interrupted; the same command goes on", err=True)
    return 0 if problem is None and last.done == choice.total and not last.too_large else 1


def told(progress: Progress, outcome: Settled, wanted: int) -> list[str]:
    """Return what to say of the end: how many of the `wanted` ones, and what became of the others."""
    of = "" if progress.settled == wanted else f" of {wanted:,}"
    lines = [f"{outcome} {progress.settled:,}{of} {'dead letter' if wanted == 1 else 'dead letters'}"]
    if progress.passed:
        were = "1 was" if progress.passed == 1 else f"{progress.passed:,} were"
        lines.append(f"{were} settled by somebody else, or expired")
    lines += [_too_large(each) for each in progress.too_large]
    return lines


def _too_large(letter: TooLarge) -> str:
    return (
        f"{letter.place}: {letter.size:,} bytes are more than {letter.topic} takes; "
        "raise its max.message.bytes, or discard it"
    )


def _why(problem: OperatorError, outcome: Settled) -> str:
    if isinstance(problem, BrokerError) and outcome is Settled.REPLAYED:
        return f"{one_line(problem)}; the same command goes on, and the last ones may then be replayed twice"
    return one_line(problem)
