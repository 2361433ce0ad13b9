"""The summary of `sluice send`, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.outcome import Outcome, Refused


def as_json(outcome: Outcome, seconds: float) -> dict[str, object]:
    """Return the summary as JSON data."""
    return {
        "accepted": outcome.accepted,
        "refused": outcome.refused_total,
        "failed": outcome.unanswered,
        "seconds": round(seconds, 3),
        "events_per_second": _rate(outcome, seconds),
        "reasons": [
            {"reason": reason, "events": refused.count, "first_lines": refused.lines}
            for reason, refused in _most_first(outcome)
        ],
    }


def as_text(outcome: Outcome, seconds: float) -> Iterator[str]:
    """Yield the summary's lines."""
    yield f"accepted  {outcome.accepted:>11,}"
    yield f"refused   {outcome.refused_total:>11,}"
    for reason, refused in _most_first(outcome):
        lines = ", ".join(map(str, refused.lines))
        more = ", …" if refused.count > len(refused.lines) else ""
        yield f"  {refused.count:>9,}  {reason} (line {lines}{more})"
    yield f"failed    {outcome.unanswered:>11,}"
    yield f"{outcome.taken:,} events in {seconds:.1f} s: {_rate(outcome, seconds):,} events/s"


def _most_first(outcome: Outcome) -> list[tuple[str, Refused]]:
    return sorted(outcome.refused.items(), key=lambda entry: -entry[1].count)


def _rate(outcome: Outcome, seconds: float) -> int:
    return round((outcome.taken - outcome.unanswered) / max(seconds, 0.001))
