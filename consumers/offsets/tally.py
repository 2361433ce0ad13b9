"""What a forwarder writes beside each committed offset, so that the balance of G7 survives any kill."""

from __future__ import annotations

from typing import Annotated

import msgspec

_Count = Annotated[int, msgspec.Meta(ge=0)]


class Tally(msgspec.Struct, frozen=True):
    """What became of the records of one partition from offset `base` up to the committed offset.

    `delivered` and `dead_lettered` count records, each by its classified outcome. They add up to the committed
    offset minus `base`, or something is unaccounted for.
    """

    base: _Count
    delivered: _Count = 0
    dead_lettered: _Count = 0

    def encode(self) -> str:
        """Return the tally as a commit's metadata: JSON, well under 100 characters."""
        return msgspec.json.encode(self).decode()

    @staticmethod
    def decode(metadata: str) -> Tally:
        """Return the tally that `encode` wrote. Raises ValueError when `metadata` is anything else; unknown fields are ignored."""
        try:
            return msgspec.json.decode(metadata, type=Tally)
        except (msgspec.MsgspecError, UnicodeError) as error:
            raise ValueError(f"not a tally: {error}") from error
