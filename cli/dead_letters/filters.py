"""Which dead letters are meant: the options that `list`, `replay` and `discard` share."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

import click
from pydantic_core import PydanticCustomError

from consumers.letters.dead_letters import Reason
from runtime import spans
from runtime.clock import SystemClock
from scheduler.sources.nearest import listed, several_nearest
from schemas.cloudevents import DELETION_TYPE_HEADER, TYPE_PREFIX
from schemas.events import EVENT_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable

    from consumers.letters.letter import Letter

P = ParamSpec("P")
R = TypeVar("R")

_TYPES: Final = (*EVENT_TYPES, DELETION_TYPE_HEADER[1].decode().removeprefix(TYPE_PREFIX))
_SUGGESTED: Final = 3


class Moment(click.ParamType[Any]):
    """A point in time: ISO 8601, in UTC unless it says otherwise, or how long ago, like `90m`, `12h` or `3d`."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the time. Fails with what is accepted."""
        if isinstance(value, datetime):
            return value
        with contextlib.suppress(PydanticCustomError):  # what is no time ago is to be a date
            return datetime.fromtimestamp(SystemClock().now(), UTC) - spans.interval(value)
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time: write it like 2026-01-31, 2026-01-31T15:00 or 12h (ago)", param, ctx)
        return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What a dead letter has to be like; None: anything. `most`: no more of them than so many."""

    storefront: str | None = None
    reason: str | None = None
    kind: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    key: str | None = None
    most: int | None = None

    @property
    def none_given(self) -> bool:
        """Whether they mean everything."""
        return self == Filters()

    def admits(self, letter: Letter) -> bool:
        """Say whether a dead letter is like that. Times are those at which it was dead-lettered; `until` is not part of it."""
        at = letter.record.timestamp / 1000
        return (
            self.storefront in (None, letter.storefront)
            and self.reason in (None, letter.reason)
            and self.kind in (None, letter.kind)
            and (self.since is None or at >= self.since.timestamp())
            and (self.until is None or at < self.until.timestamp())
            and (self.key is None or self.key.encode() == letter.record.key)
        )


class EventType(click.ParamType[Any]):
    """The type of an event, as the API names it or as `ce_type` does."""

    name = "type"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the API's name. Fails with what was probably meant."""
        kind = str(value).removeprefix(TYPE_PREFIX)
        if kind not in _TYPES:
            near = several_nearest(kind, _TYPES, _SUGGESTED)
            cure = f"did you mean {listed(near)}?" if near else f"there are: {', '.join(_TYPES)}"
            self.fail(f"there is no event type {kind}; {cure}", param, ctx)
        return kind


def with_filters(end: str) -> Callable[[Callable[Concatenate[Filters, P], R]], Callable[P, R]]:
    """Return what adds the options to a command and hands it the filters as its first argument; of too many it takes those at one `end`."""
    return functools.partial(_with_filters, end)


def _with_filters(end: str, function: Callable[Concatenate[Filters, P], R]) -> Callable[P, R]:
    @click.option("--storefront", metavar="NAME", help="Only of this storefront.")
    @click.option(
        "--reason",
        type=click.Choice([each.value for each in Reason]),
        help="Only those that are there for this reason.",
    )
    @click.option("--type", "kind", type=EventType(), help="Only events of this type, like purchase.")
    @click.option("--since", type=Moment(), help="Only what was dead-lettered from then on: a time, or 12h ago.")
    @click.option("--until", type=Moment(), help="Only what was dead-lettered before that.")
    @click.option("--key", help="Only with this key: a user's id, or a cart's.")
    @click.option("--max", "most", type=click.IntRange(1), metavar="N", help=f"No more than N, the {end}.")
    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        given: dict[str, Any] = {name: kwargs.pop(name) for name in Filters.__dataclass_fields__}
        if given["since"] is not None and given["until"] is not None and given["since"] >= given["until"]:
            raise click.UsageError("--since is to be before --until")
        return function(Filters(**given), *args, **kwargs)

    return wrapper
