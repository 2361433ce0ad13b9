"""The `sluice` command: its subcommands by name, each loaded only when it is asked for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from cli import errors
from cli.lazy_group import LazyGroup

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COMMANDS: Mapping[str, str] = {
    "up": "cli.up:command",
    "gateway": "cli.roles:gateway",
    "forwarder": "cli.roles:forwarder",
    "scheduler": "cli.roles:scheduler",
    "sandbox": "cli.roles:sandbox",
    "send": "cli.send:command",
    "tail": "cli.tail:command",
    "storefronts": "cli.storefronts.group:command",
    "dead-letters": "cli.dead_letters.group:command",
    "exports": "cli.exports.group:command",
    "topics": "cli.topics:command",
    "config": "cli.config:command",
    "audit": "cli.audit:command",
}


@click.command(
    cls=LazyGroup,
    paths=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="sluice-gateway", message="%(version)s")
def group() -> None:
    """Take ecommerce events from storefronts, keep them durably, forward them to the ingestion API."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line (None: this process's) and end the process: 0 done, 1 failed, 2 used or configured wrongly."""
    try:
        group.main(args=arguments if arguments is None else list(arguments), prog_name="sluice")
    except Exception as error:  # noqa: BLE001  # the last floor: whatever it is, a user sees one line
        sys.exit(errors.report(error))


if __name__ == "__main__":
    main()
