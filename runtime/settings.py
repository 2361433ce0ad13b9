"""The configuration as types: DESIGN §4, name for name. `runtime.config` loads it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class Section(BaseModel):
    """A table of the configuration: unknown keys are faults, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


Port = Annotated[int, Field(ge=0, le=65535)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,63}$")]


ADMIN_PORTS = {"up": 9100, "gateway": 9100, "forwarder": 9101, "scheduler": 9102, "sandbox": 9103}
"""Where a role's admin server is when the configuration does not say."""


class BrokerSettings(Section):
    """Where the log is kept."""

    kind: Literal["embedded", "kafka"] = "embedded"
    path: str = "sluice-data"
    bootstrap_servers: str = "localhost:9092"
    partitions: int = Field(default=6, ge=1, le=1000)
    replication_factor: int = Field(default=3, ge=1, le=32767)
    create_topics: bool = True
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    sasl_plain_username: str | None = None
    sasl_plain_password: SecretStr | None = None
    ssl_cafile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    ssl_password: SecretStr | None = None
    ssl_check_hostname: bool = True


class GatewaySettings(Section):
    """The HTTP edge."""

    host: str = "127.0.0.1"
    port: Port = 8080
    workers: int = Field(default=1, ge=1, le=256)
    max_body_bytes: int = Field(default=1_048_576, ge=1024)
    max_event_bytes: int = Field(default=524_288, ge=256, le=1_048_576)
    max_batch_events: int = Field(default=100, ge=1, le=1000)
    record_client: Literal["none", "truncated", "full"] = "none"
    spool_path: str = "sluice-data/spool"
    spool_max_bytes: int = Field(default=1_073_741_824, ge=0)
    drain_seconds: float = Field(default=20, gt=0, le=3600)


class AdminSettings(Section):
    """Where a role's /livez, /readyz and /metrics are. Port None: the role's own, see `ADMIN_PORTS`."""

    host: str = "127.0.0.1"
    port: Port | None = None

    def port_of(self, role: str) -> int:
        """Return the admin port of `role`: the configured one for every role, else the role's own."""
        return ADMIN_PORTS[role] if self.port is None else self.port


class IngestionSettings(Section):
    """The ingestion API of one storefront."""

    url: str
    api_key: SecretStr
    requests_per_minute: int | None = Field(default=None, ge=1)


class StorefrontSettings(Section):
    """One shop: its keys, its origins, its limits, its ingestion API."""

    name: Name
    publishable_keys: list[SecretStr] = []
    secret_keys: list[SecretStr] = []
    origins: list[str] = []
    events_per_second: int | None = Field(default=None, ge=1)
    partitions: int | None = Field(default=None, ge=1, le=1000)
    ingestion: IngestionSettings


class ForwarderSettings(Section):
    """How events are delivered."""

    max_batch_events: int = Field(default=100, ge=1, le=100)
    max_batch_wait_ms: int = Field(default=200, ge=0, le=60_000)
    max_in_flight: int = Field(default=16, ge=1, le=1000)


class SandboxSettings(Section):
    """The stand-ins for the vendors, only for development."""

    host: str = "127.0.0.1"
    port: Port = 8081
    fault_port: Port = 8082
    path: str = "sluice-data/sandbox"


class Settings(Section):
    """The whole configuration of any role."""

    broker: BrokerSettings = BrokerSettings()
    gateway: GatewaySettings = GatewaySettings()
    admin: AdminSettings = AdminSettings()
    storefronts: list[StorefrontSettings] = []
    forwarder: ForwarderSettings = ForwarderSettings()
    sandbox: SandboxSettings = SandboxSettings()
