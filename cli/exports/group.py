"""`sluice exports`: its commands by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.lazy_group import LazyGroup

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMANDS: Mapping[str, str] = {
    "list": "cli.exports.listing:command",
    "status": "cli.exports.status:command",
    "run": "cli.exports.run:command",
    "pause": "cli.exports.switches:pause",
    "resume": "cli.exports.switches:resume",
    "cancel": "cli.exports.switches:cancel",
    "backfill": "cli.exports.backfill:command",
    "journey": "cli.exports.journey:command",
}

command = LazyGroup(COMMANDS, name="exports", help="Look after the exports, and steer them.")
