"""The gauges that are looked up now and then rather than counted: lag, the balance of G7, the age of what waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from broker.interface import BrokerError
from consumers.audit import balance
from consumers.pace.backlog import Backlog
from runtime.metrics import AUDIT_STATES
from schemas.topics import FORWARDER_GROUP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from broker.interface import Broker
    from consumers.delivery.route import Route
    from runtime.process import Process
    from runtime.settings import Settings

REFRESH_SECONDS: Final = 15.0


class Gauges:
    """Refreshes them every 15 s. `routes`: by storefront.

    Lag, backlog and balance are the whole group's, and each of its members tells the same; the age is of what this member has read.
    """

    def __init__(self, broker: Broker, settings: Settings, routes: Mapping[str, Route], process: Process) -> None:
        self._broker = broker
        self._settings = settings
        self._routes = routes
        self._process = process
        self._fault: str | None = None
        self._unaccounted: dict[str, int] = {}
        self._backlogs = {storefront: Backlog(process.clock) for storefront in routes}

    async def run(self) -> None:
        """Refresh for ever; to be cancelled. A broker that is away leaves the gauges as they are, and one line in the log."""
        while True:
            try:
                await self.refresh()
            except BrokerError as error:
                if str(error) != self._fault:
                    self._process.log.warning("the balance cannot be read", error=str(error))
                self._fault = str(error)
            else:
                self._fault = None
            await self._process.clock.sleep(REFRESH_SECONDS)

    async def refresh(self) -> None:
        """Refresh once. Raises BrokerError, with the ages refreshed all the same."""
        metrics = self._process.metrics
        for storefront, route in self._routes.items():
            metrics.consumer_oldest_waiting_timestamp_seconds.labels(storefront).set(route.oldest() or 0)
        for each in await balance(self._broker, self._settings):
            metrics.consumer_lag_records.labels(FORWARDER_GROUP, each.storefront).set(each.waiting)
            backlog = self._backlogs[each.storefront].seconds(each.delivered + each.dead_lettered, each.waiting)
            if backlog is not None:
                metrics.forwarder_backlog_seconds.labels(each.storefront).set(backlog)
            for state in AUDIT_STATES:
                metrics.audit_records.labels(each.storefront, state).set(getattr(each, state))
            if each.unaccounted != self._unaccounted.get(each.storefront, 0):
                self._process.log.error(
                    "records are unaccounted for", storefront=each.storefront, unaccounted=each.unaccounted
                )
            self._unaccounted[each.storefront] = each.unaccounted
