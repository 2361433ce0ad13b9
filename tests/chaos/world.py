"""A whole Sluice on loopback: its configuration, its processes, its data and its logs in one folder."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import structlog

from broker.factory import open_broker
from runtime import config
from runtime.clock import SystemClock
from runtime.metrics import Metrics
from tests.chaos.configuration import Log, Ports, Shop, write
from tests.chaos.role import SLUICE, Role
from tests.kafka.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from broker.interface import Broker

COMMAND_SECONDS = 60.0
MEMBERS = ("forwarder", "scheduler")


class Balance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of `sluice audit --json`."""

    storefront: str
    accepted: int
    delivered: int
    dead_lettered: int
    waiting: int
    unaccounted: int


class Audit(NamedTuple):
    """What `sluice audit` said: its exit code, and a balance for each storefront."""

    code: int
    balances: dict[str, Balance]

    @property
    def waiting(self) -> int:
        return sum(balance.waiting for balance in self.balances.values())


class World:
    """Sluice with `shops` on `log`, everything in `folder`. Nothing runs until `start`.

    Roles are called by their command, a second process of one with a number: `forwarder`, `forwarder-2`. `seed` is
    what chance grows from in this world.
    """

    def __init__(
        self, folder: Path, shops: Sequence[str], *, log: Log | None = None, partitions: int = 3, seed: int = 0
    ) -> None:
        self.shops = {name: Shop(name) for name in shops}
        self.ports = Ports.free()
        self.seed = seed
        self.notes: list[str] = []
        """What is told when the test is over: what the world went through."""
        self.logs = folder / "logs"
        self.data = folder / "data"
        self.config = folder / "sluice.toml"
        self.logs.mkdir()
        write(
            self.config,
            log=log or Log(),
            ports=self.ports,
            shops=list(self.shops.values()),
            data=self.data,
            partitions=partitions,
        )
        self._roles: dict[str, Role] = {}

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.gateway}"

    def shop(self, name: str) -> Shop:
        """Return the storefront whose name begins with `name` and a hyphen."""
        return next(shop for shop in self.shops.values() if shop.name.startswith(f"{name}-"))

    def role(self, name: str) -> Role:
        """Return a role, which may not run yet."""
        if name not in self._roles:
            command = name.rpartition("-")[0] or name
            admin_port = self.ports.admin if command == "up" else free_ports(1)[0]
            arguments = [command, "--config", str(self.config)]
            self._roles[name] = Role(name, arguments, admin_port, self.logs / f"{name}.log")
        return self._roles[name]

    def start(self, *names: str) -> None:
        """Start these roles together; blocks its thread until all are ready."""
        for name in names:
            self.role(name).start()
        for name in names:
            self.role(name).wait_ready()

    async def run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Run a command of `sluice` on this world's configuration to its end."""
        command = [str(SLUICE), *arguments, "--config", str(self.config)]
        return await asyncio.to_thread(
            lambda: subprocess.run(command, capture_output=True, check=False, timeout=COMMAND_SECONDS)  # noqa: S603 - ours
        )

    async def audit(self) -> Audit:
        """Ask `sluice audit --json`."""
        done = await self.run("audit", "--json")
        balances = [msgspec.json.decode(line, type=Balance) for line in done.stdout.splitlines()]
        assert {balance.storefront for balance in balances} == set(self.shops), done.stderr.decode()
        return Audit(done.returncode, {balance.storefront: balance for balance in balances})

    def broker(self) -> Broker:
        """Return this world's log, not started, as another process would open it."""
        settings = config.load(self.config).broker
        return open_broker(settings, Metrics(), structlog.get_logger("test"), SystemClock())

    def close(self) -> None:
        """End everything. Who is in a group and still runs leaves it first: the next test's need not wait for it."""
        members = [role for name, role in self._roles.items() if name.startswith(MEMBERS) and role.running]
        for role in members:
            role.process.terminate()
        for role in members:
            try:
                role.process.wait(5)
            except subprocess.TimeoutExpired:
                continue  # it is killed with the others
        for role in self._roles.values():
            role.close()
