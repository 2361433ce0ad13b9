"""`sluice dead-letters`: its commands by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.lazy_group import LazyGroup

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMANDS: Mapping[str, str] = {
    "list": "cli.dead_letters.listing:command",
    "show": "cli.dead_letters.show:command",
    "replay": "cli.dead_letters.settle:replay",
    "discard": "cli.dead_letters.settle:discard",
}

command = LazyGroup(
    COMMANDS, name="dead-letters", help="Look at what the ingestion API refused for good, and settle it."
)
