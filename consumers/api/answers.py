"""What comes back from the ingestion API, or why nothing does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_WORDS: Final = 1_000
"""How many characters of the API's words are kept."""

_REDACTED: Final = "[key]"


class Answer(NamedTuple):
    """What came back: the status, the headers (looked up in any case) and the body, cut where it was no longer credible."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def said(self) -> dict[str, Any]:
        """Return the body as a JSON object; an empty one when it is none."""
        try:
            value = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return {}
        return value if isinstance(value, dict) else {}


class NoAnswer(NamedTuple):
    """Why nothing came back. `sent` tells whether the request may have reached the API all the same."""

    timed_out: bool
    sent: bool
    words: str


def is_error(said: Mapping[str, Any]) -> bool:
    """Tell whether that has the shape of the API's errors: what stands before the API has words of its own."""
    return isinstance(said.get("error"), str)


def legible(words: str, secret: str) -> str:
    """Return the start of `words` without `secret`, our key: taken out before they are cut, or a part of it could stay."""
    return (words.replace(secret, _REDACTED) if secret else words).strip()[:MAX_WORDS]
