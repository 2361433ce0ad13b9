"""What is known of an export before anything is asked: its configuration with what its vendor makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from runtime.settings import AccountSettings, ExportSettings
    from schemas.exports import Resolution


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time, `start` included, `end` not; both aware, in the export's zone."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Shape:
    """How a vendor answers an export.

    `resolution`: of its rows. `zone`: of its buckets. `time_axis`: whether one answer holds many buckets; without, each
    bucket is asked for alone. `max_buckets`: the most that one ask may span; None: no limit is known. `supports_compare`:
    whether the vendor compares by itself. `dated`: whether an ask has dates at all (lookback "query" and record datasets
    have none).
    """

    resolution: Resolution
    zone: ZoneInfo
    time_axis: bool = True
    max_buckets: int | None = None
    dated: bool = True

    @property
    def has_history(self) -> bool:
        """Whether the past is asked for window by window, and what was pulled of it is kept count of."""
        return self.dated and self.resolution not in ("TOTAL", "NONE")


@dataclass(frozen=True, slots=True)
class Plan:
    """One export, ready to be asked for."""

    export: ExportSettings
    account: AccountSettings
    shape: Shape

    @property
    def name(self) -> str:
        """The export's name."""
        return self.export.name
