"""The live catalogue: the page's, less what was withdrawn, with what was renamed or is new."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.profitmetrics.formulas import FORMULAS
from schemas.profitmetrics import METRICS, Metric

if TYPE_CHECKING:
    from sandbox.profitmetrics.formulas import Formula
    from sandbox.profitmetrics.switches import Switches


class Catalogue:
    """The metrics that can be asked for now, by enum name, in the order of `export/metrics`."""

    def __init__(self, switches: Switches) -> None:
        every = {
            **METRICS,
            **{name: Metric(name, label) for name, label in switches.labels.items() if name not in METRICS},
        }
        self.metrics = {name: metric for name, metric in every.items() if name not in switches.withdrawn_metrics}
        self._labels = switches.labels

    def label(self, name: str) -> str:
        """Return what `export/v2` calls a metric."""
        return self._labels.get(name, self.metrics[name].label)

    def formula(self, name: str) -> Formula:
        """Return how a metric that is a number comes about; a new one is the number of orders under another name."""
        return FORMULAS.get(name, FORMULAS["NUMBER_OF_ORDERS"])

    def listed(self) -> list[dict[str, str]]:
        """Return it as `export/metrics` answers."""
        return [{"value": name, "label": self.label(name)} for name in self.metrics]
