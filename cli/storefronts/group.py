"""`sluice storefronts`: its commands by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.lazy_group import LazyGroup

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMANDS: Mapping[str, str] = {
    "list": "cli.storefronts.listing:command",
    "pause": "cli.storefronts.switches:pause",
    "resume": "cli.storefronts.switches:resume",
}

command = LazyGroup(COMMANDS, name="storefronts", help="See how each storefront's forwarding does, and hold it back.")
