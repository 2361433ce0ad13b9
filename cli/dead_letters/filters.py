"""Which dead letters are meant: the options that `list`, `replay` and `discard` share."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

import click
from pydantic_core import PydanticCustomError

from consumers.dead_letters import Reason
from runtime import spans
from runtime.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from consumers.letters import Letter

P = ParamSpec("P")
R = TypeVar("R")

_PREFIX: Final = "ecommerce."


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


def with_filters(function: Callable[Concatenate[Filters, P], R]) -> Callable[P, R]:
    """Add the options to a command and hand it the filters as its first argument."""

    @click.option("--storefront", metavar="NAME", help="Only of this storefront.")
    @click.option(
        "--reason",
        type=click.Choice([each.value for each in Reason]),
        help="Only those that are there for this reason.",
    )
    @click.option("--type", "kind", metavar="TYPE", help="Only events of this type, like purchase.")
    @click.option("--since", type=Moment(), help="Only what was dead-lettered from then on: a time, or 12h ago.")
    @click.option("--until", type=Moment(), help="Only what was dead-lettered before that.")
    @click.option("--key", help="Only with this key: a user's id, or a cart's.")
    @click.option("--max", "most", type=click.IntRange(1), metavar="N", help="No more than N.")
    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        given: dict[str, Any] = {name: kwargs.pop(name) for name in Filters.__dataclass_fields__}
        if given["kind"] is not None:
            given["kind"] = given["kind"].removeprefix(_PREFIX)
        return function(Filters(**given), *args, **kwargs)

    return wrapper
