"""The sluice.toml of a world: free ports, short names, two or more storefronts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.kafka.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HEAD = """\
[broker]
partitions = {partitions}
{broker}

[gateway]
port = {ports.gateway}
spool_path = "{data}/spool"
spool_max_bytes = {spool_max_bytes}
drain_seconds = 10

[forwarder]
max_batch_wait_ms = 50
# Many requests, each with a chance to fail.
max_batch_events = 20

[admin]
port = {ports.admin}

[sandbox]
port = {ports.sandbox}
fault_port = {ports.faults}
path = "{data}/sandbox"
"""
STOREFRONT = """
[[storefronts]]
name = "{shop.name}"
publishable_keys = ["{shop.publishable_key}"]
secret_keys = ["{shop.secret_key}"]
[storefronts.ingestion]
url = "http://127.0.0.1:{ports.sandbox}"
api_key = "{shop.ingestion_key}"
"""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where everything listens. A role that stands alone has an admin port of its own, given in its environment."""

    gateway: int
    admin: int
    sandbox: int
    faults: int

    @classmethod
    def free(cls) -> Ports:
        return cls(*free_ports(4))


@dataclass(frozen=True, slots=True)
class Shop:
    """A storefront; its name tells its keys."""

    name: str

    @property
    def publishable_key(self) -> str:
        return f"tolk_pub_{self.name}"

    @property
    def secret_key(self) -> str:
        return f"tolk_sec_{self.name}"

    @property
    def ingestion_key(self) -> str:
        return f"tolk_sec_{self.name}_forwarding"


@dataclass(frozen=True, slots=True)
class Log:
    """Which broker a world uses. Without `bootstrap_servers` it is the embedded one, in the world's own folder."""

    bootstrap_servers: str | None = None
    spool: bool = True
    replicas: int = 1

    def toml(self, data: Path) -> str:
        if self.bootstrap_servers is None:
            return f'kind = "embedded"\npath = "{data}"'
        return f'kind = "kafka"\nbootstrap_servers = "{self.bootstrap_servers}"\nreplication_factor = {self.replicas}'


def write(path: Path, *, log: Log, ports: Ports, shops: Sequence[Shop], data: Path, partitions: int) -> None:
    """Write the configuration to `path`; the world's data is to be in `data`."""
    parts = [
        HEAD.format(
            partitions=partitions,
            broker=log.toml(data),
            ports=ports,
            data=data,
            spool_max_bytes=1 << 30 if log.spool else 0,
        )
    ]
    parts += [STOREFRONT.format(shop=shop, ports=ports) for shop in shops]
    path.write_text("".join(parts))
