"""`sluice exports status NAME`: everything of one export."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click
import orjson

from cli import screen
from cli.exports import wording
from cli.exports.listing import read_views
from cli.exports.names import no_such
from cli.exports.view_json import as_json as view_json
from cli.options import json_option, with_settings
from cli.printable import printable, printable_json
from runtime.clock import SystemClock
from scheduler.coverage import Coverage
from scheduler.export_work import REFRESH, unix

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cli.exports.view import View
    from runtime.settings import Settings
    from scheduler.plan import Window
    from schemas.ledger import Span


@click.command
@click.argument("name")
@with_settings
@json_option
def command(settings: Settings, name: str, *, as_json: bool) -> None:
    """Print all that is known of one export.

    What is covered, what is under way, what is wrong, and how its account does.
    """
    found = {view.name: view for view in asyncio.run(read_views(settings))}
    if name not in found:
        raise no_such("export", name, list(found))
    now = SystemClock().now()
    if as_json:
        click.echo(printable_json(view_json(found[name], now)))
        return
    console = screen.console()
    for label, text in lines(found[name], now):
        console.print(f"{label:14}{printable(text)}", soft_wrap=True)


def lines(view: View, now: float) -> Iterator[tuple[str, str]]:
    """Yield what there is to tell of an export, each with its label; a label that repeats is empty."""
    yield "export", view.name
    yield "dataset", f"{view.source} {view.dataset}"
    if view.export is not None:
        export = view.export
        yield "schedule", f"{wording.schedule(export)} in {export.timezone.key}, lookback {export.lookback}"
    yield "state", view.condition + ("" if view.wanted is None else f"; asked to be {view.wanted}, not obeyed yet")
    if view.reason:
        yield "reason", view.reason
    yield from _times(view, now)
    if view.known:
        yield from _history(view)
        yield from _special(view)
    for each in view.waiting:
        yield "backfill", f"{each.start} to {each.end}; not taken up yet"
    yield from _account(view)


def _times(view: View, now: float) -> Iterator[tuple[str, str]]:
    state, due = view.state, view.next_due(now)
    yield "last success", _ago(state.succeeded, now)
    if state.attempted != state.succeeded:
        yield "last attempt", f"{_ago(state.attempted, now)}; {state.failures} failed in a row"
    if due is None:
        yield "next due", "not before somebody acts"
    else:
        yield "next due", "now" if due <= now else f"{wording.moment(due)} (in {wording.duration(due - now)})"


def _history(view: View) -> Iterator[tuple[str, str]]:
    yield "rows", f"{view.state.rows:,}"
    yield from _listed("covered", view, view.covered)
    yield from _listed("to come", view, view.gaps)
    yield from _listed("not at vendor", view, _windows(view.state.lacking))
    for task in view.state.tasks:
        left = ", ".join(wording.days(view, each) for each in _windows(task.left))
        (asked,) = _windows([task.asked])
        yield "refresh" if task.id == REFRESH else "backfill", f"{wording.days(view, asked)}; left: {left}"


def _special(view: View) -> Iterator[tuple[str, str]]:
    held, job = view.state.held, view.state.job
    if held is not None:
        yield "held back", f"an answer{_of(view, held.window)} without {held.vanishing:,} of {held.of:,} rows"
    if job is not None:
        yield "vendor job", f"{orjson.dumps(job.handle).decode()}{_of(view, job.window)}"


def _account(view: View) -> Iterator[tuple[str, str]]:
    state = view.account_state
    most = None if view.account is None else view.account.requests_per_month
    used = f"; {state.requests:,} requests in {state.month}" if state.month else ""
    yield "account", view.account_name + used + (f"; {most:,} a month at most" if most is not None else "")
    if state.parked:
        yield "parked", f"for {state.parked} since {state.since}; probed at {state.probe_at}: {state.reason}"


def _listed(label: str, view: View, windows: Iterable[Window]) -> Iterator[tuple[str, str]]:
    for window in windows:
        yield label, wording.days(view, window)
        label = ""


def _of(view: View, span: Span | None) -> str:
    return "" if span is None else f" of {wording.days(view, _windows([span])[0])}"


def _windows(spans: Iterable[Span]) -> list[Window]:
    return Coverage.decode(spans).windows()


def _ago(written: str, now: float) -> str:
    return f"{wording.moment(unix(written))} ({wording.duration(now - unix(written))} ago)" if written else "never"
