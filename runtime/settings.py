"""The configuration as types: DESIGN §4, name for name.

`runtime.config` loads it, resolves its secrets and checks what no single key can tell. Settings made in code are
checked key by key only, and their secrets stand for themselves.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from runtime.addresses import base_url, origin, servers
from runtime.references import fault, resolve
from runtime.schedules import cron, zone
from runtime.spans import Compare, Lookback, compare, day, interval, lookback


class Section(BaseModel):
    """A table of the configuration: unknown keys are faults, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _number_is_no_truth(cls, value: Any, info: ValidationInfo) -> Any:
        # Pydantic would take `port = true` for 1.
        if isinstance(value, bool) and _is_number(cls.model_fields[str(info.field_name)].annotation):
            raise fault("is true or false where a number is expected", "give a number")
        return value


def _is_number(annotation: Any) -> bool:
    return annotation in (int, float) or any(map(_is_number, get_args(annotation)))


Port = Annotated[int, Field(ge=0, le=65535)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,63}$")]
Secret = Annotated[SecretStr, BeforeValidator(resolve)]
BaseUrl = Annotated[str, AfterValidator(base_url)]
Origin = Annotated[str, AfterValidator(origin)]
Servers = Annotated[str, AfterValidator(servers)]
Instance = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]  # what Kafka takes
Text = Annotated[str, Field(min_length=1)]
Dataset = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")]  # it goes into a topic's name
Cron = Annotated[str, BeforeValidator(cron)]
Zone = Annotated[InstanceOf[ZoneInfo], BeforeValidator(zone)]
Interval = Annotated[InstanceOf[timedelta], BeforeValidator(interval)]
LookbackDays = Annotated[InstanceOf[Lookback], BeforeValidator(lookback)]
Earlier = Annotated[InstanceOf[Compare], BeforeValidator(compare)]
Day = Annotated[InstanceOf[date], BeforeValidator(day)]

ADMIN_PORTS = {"up": 9100, "gateway": 9100, "forwarder": 9101, "scheduler": 9102, "sandbox": 9103}
"""Where a role's admin server is when the configuration does not say."""


class BrokerSettings(Section):
    """Where the log is kept. `security_protocol`, `sasl_*` and `ssl_*` mean what they mean to aiokafka."""

    kind: Literal["embedded", "kafka"] = "embedded"
    path: str = Field(default="sluice-data", min_length=1)
    bootstrap_servers: Servers = "localhost:9092"
    partitions: int = Field(default=6, ge=1, le=1000)
    replication_factor: int = Field(default=3, ge=1, le=32767)
    create_topics: bool = True
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    sasl_plain_username: str | None = None
    sasl_plain_password: Secret | None = None
    ssl_cafile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    ssl_password: Secret | None = None
    ssl_check_hostname: bool = True


class GatewaySettings(Section):
    """The HTTP edge. `drain_seconds` is what every role has to finish once it is asked to stop."""

    host: str = "127.0.0.1"
    port: Port = 8080
    workers: int = Field(default=1, ge=1, le=256)
    max_body_bytes: int = Field(default=1_048_576, ge=1024)
    max_event_bytes: int = Field(default=524_288, ge=256, le=1_048_576)
    max_batch_events: int = Field(default=100, ge=1, le=1000)
    record_client: Literal["none", "truncated", "full"] = "none"
    spool_path: str = Field(default="sluice-data/spool", min_length=1)
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
    """The ingestion API of one storefront. `url` has no slash at its end."""

    url: BaseUrl
    api_key: Secret
    requests_per_minute: int | None = Field(default=None, ge=1)


class StorefrontSettings(Section):
    """One shop: its keys, its origins, its limits, its ingestion API."""

    name: Name
    publishable_keys: list[Secret] = []
    secret_keys: list[Secret] = []
    origins: list[Origin] = []
    events_per_second: int | None = Field(default=None, ge=1)
    partitions: int | None = Field(default=None, ge=1, le=1000)
    ingestion: IngestionSettings


class ForwarderSettings(Section):
    """How events are delivered.

    A storefront is parked rather than dead-letter more than `dead_letter_ratio` of its last `dead_letter_window` events
    (of so many also while it had fewer), or more than `dead_letter_run` in a row.

    `instance` (Kafka only) is this forwarder's own name in its group, which no other one bears: two that run under one oust
    each other again and again. It may then restart within 45 s and no partition moves; the partitions of one that does not
    come back are read by others only after these 45 s. A StatefulSet's pod name is such a name, a Deployment's is none.
    """

    max_batch_events: int = Field(default=100, ge=1, le=100)
    max_batch_wait_ms: int = Field(default=200, ge=0, le=60_000)
    max_in_flight: int = Field(default=16, ge=1, le=1000)
    dead_letter_ratio: float = Field(default=0.1, ge=0, le=1)
    dead_letter_window: int = Field(default=1000, ge=1, le=1_000_000)
    dead_letter_run: int = Field(default=50, ge=0, le=1_000_000)
    instance: Instance | None = None


class AccountSettings(Section):
    """A login at a vendor and its budget, which the account's exports share. `url` has no slash at its end.

    `end_inclusive`: whether a query's last day is part of it, where the vendor does not say (tolinku). `week_starts`: the
    first day of its WEEK buckets, where it does not say (profitmetrics).
    """

    name: Name
    source: Literal["tolinku", "profitmetrics", "admetrics", "commerce_layer", "websale"]
    url: BaseUrl
    api_key: Secret | None = None
    client_id: Text | None = None
    client_secret: Secret | None = None
    login: Text | None = None
    password: Secret | None = None
    scope: Text | None = None
    requests_per_minute: int = Field(default=30, ge=1)
    requests_per_month: int | None = Field(default=None, ge=1)
    concurrency: int = Field(default=1, ge=1, le=100)
    end_inclusive: bool = True
    week_starts: Literal["monday", "sunday"] = "monday"


class ExportSettings(Section):
    """What is pulled from an account, when, and how far back. Of `schedule` and `every` exactly one is given.

    `schedule` and `refresh` are cron expressions in `timezone`. `query` is the vendor's own request body as it stands,
    without the dates.
    """

    name: Name
    account: Name
    dataset: Dataset
    schedule: Cron | None = None
    every: Interval | None = None
    timezone: Zone = ZoneInfo("UTC")
    lookback: LookbackDays = Lookback("days", 3)
    since: Day | None = None
    refresh: Cron | None = None
    resolution: Literal["HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR", "TOTAL"] | None = None
    compare: Earlier | None = None
    split: list[Text] = []
    id: list[Text] = []
    drop: list[Text] = []
    query: dict[str, Any] = {}


class SandboxSettings(Section):
    """The stand-ins for the vendors, only for development."""

    host: str = "127.0.0.1"
    port: Port = 8081
    fault_port: Port = 8082
    path: str = Field(default="sluice-data/sandbox", min_length=1)


class Settings(Section):
    """The whole configuration of any role."""

    broker: BrokerSettings = BrokerSettings()
    gateway: GatewaySettings = GatewaySettings()
    admin: AdminSettings = AdminSettings()
    storefronts: list[StorefrontSettings] = []
    forwarder: ForwarderSettings = ForwarderSettings()
    accounts: list[AccountSettings] = []
    exports: list[ExportSettings] = []
    sandbox: SandboxSettings = SandboxSettings()
