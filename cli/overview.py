"""All roles of `sluice up` on one admin server: their readiness and their metrics."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from runtime.health import Health

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cli.supervisor import Supervisor

SCRAPE_SECONDS = 2.0
ROLE_LABEL = "role"


class RolesHealth(Health):
    """Ready when every role is; reasons are named `<role>.<check>`."""

    def __init__(self, supervisor: Supervisor) -> None:
        super().__init__()
        self._supervisor = supervisor

    def reasons(self) -> dict[str, str]:
        """Return why not everything is ready."""
        return super().reasons() | self._supervisor.not_ready()


class RolesCollector(Collector):
    """The metrics of every role as it gives them at the scrape, each sample with a label `role`: nothing collides.

    It waits for the roles, so it is for a scraping thread, not the event loop. A role that does not answer is left out.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def collect(self) -> Iterable[Metric]:
        """Return the merged families, one of each name."""
        families: dict[str, Metric] = {}
        for child in tuple(self._supervisor.children):
            for family in text_string_to_metric_families(_page(child.admin_port)):
                merged = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    labels = {**sample.labels, ROLE_LABEL: child.role}
                    merged.add_sample(sample.name, labels, sample.value, sample.timestamp, sample.exemplar)
        return families.values()


def registry(supervisor: Supervisor) -> CollectorRegistry:
    """Return a registry of all roles' metrics."""
    merged = CollectorRegistry(auto_describe=False)
    merged.register(RolesCollector(supervisor))
    return merged


def _page(port: int | None) -> str:
    """Return a role's metrics as text; nothing when it does not answer: /readyz says so."""
    if port is None:
        return ""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SCRAPE_SECONDS)
    try:
        connection.request("GET", "/metrics")
        response = connection.getresponse()
        return response.read().decode() if response.status == http.client.OK else ""
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()
