"""Where a benchmark's roles run: their configuration, ports and directory."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from tests.kafka.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_CONFIG = """
[broker]
{broker}
partitions = 6
replication_factor = 1

[gateway]
port = {gateway}
spool_path = "{directory}/spool"

[[storefronts]]
name = "{storefront}"
publishable_keys = ["tolk_pub_demo"]
[storefronts.ingestion]
url = "http://127.0.0.1:{sink}"
api_key = "tolk_sec_demo"
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A broker with everything around it."""

    name: str
    directory: Path
    ports: Mapping[str, int]
    bootstrap_servers: str | None
    storefront: str

    @classmethod
    def kafka(cls, directory: Path, bootstrap_servers: str, storefront: str) -> Self:
        """Return a place on a real Kafka."""
        broker = f'kind = "kafka"\nbootstrap_servers = "{bootstrap_servers}"'
        return cls._make("Kafka", directory, broker, bootstrap_servers, storefront)

    @classmethod
    def embedded(cls, directory: Path, storefront: str) -> Self:
        """Return a place on the embedded log."""
        return cls._make("embedded", directory, f'kind = "embedded"\npath = "{directory / "data"}"', None, storefront)

    @classmethod
    def _make(cls, name: str, directory: Path, broker: str, bootstrap_servers: str | None, storefront: str) -> Self:
        directory.mkdir(parents=True)
        ports = dict(zip(("gateway", "sink", "admin"), free_ports(3), strict=True))
        (directory / "sluice.toml").write_text(
            _CONFIG.format(broker=broker, storefront=storefront, directory=directory, **ports)
        )
        return cls(name, directory, ports, bootstrap_servers, storefront)

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.directory / "sluice.toml"

    def role(self, name: str) -> list[str]:
        """Return the command of a role; its admin server is at `ports["admin"]`."""
        return [
            "env",
            f"SLUICE_ADMIN__PORT={self.ports['admin']}",
            sys.executable,
            "-m",
            "cli.main",
            name,
            "--config",
            str(self.config),
        ]

    @property
    def ready_url(self) -> str:
        """Where a role of this place says that it is ready."""
        return f"http://127.0.0.1:{self.ports['admin']}/readyz"

    @property
    def metrics_url(self) -> str:
        """Where a role of this place shows its metrics."""
        return f"http://127.0.0.1:{self.ports['admin']}/metrics"
