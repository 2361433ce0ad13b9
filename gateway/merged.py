"""The metrics of a gateway's workers, as those of one process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from prometheus_client.samples import Sample

Key = tuple[str, tuple[tuple[str, str], ...]]


def _earliest(values: Iterable[float]) -> float:
    return min((value for value in values if value), default=0.0)


_GAUGES: Final[Mapping[str, Callable[[Iterable[float]], float]]] = {
    # One directory, of which each worker tells the whole.
    "sluice_spool_bytes": max,
    "sluice_broker_disk_bytes": max,
    "sluice_spool_oldest_timestamp_seconds": _earliest,
    "sluice_config_last_reload_successful": min,
    "process_start_time_seconds": min,
    "process_max_fds": max,
    "python_info": max,
    "sluice_build_info": max,
}
"""How a gauge of several processes becomes one; all others are summed."""
_COUNTERS: Final = frozenset({"counter", "histogram", "summary"})


class MergedMetrics(Collector):
    """What the workers said last, at most half a second ago, and `own` metrics of their parent beside it. What those counted that are gone
    stays counted: nothing runs backwards.

    For any thread.
    """

    def __init__(self, *own: Collector) -> None:
        self._own = own
        self._lock = threading.Lock()
        self._pages: dict[int, str] = {}
        self._gone: dict[Key, float] = {}

    def said(self, worker: int, page: str) -> None:
        """Take down the metrics of a worker, in the text format."""
        with self._lock:
            self._pages[worker] = page

    def ended(self, worker: int) -> None:
        """Keep what a worker had counted that has ended."""
        with self._lock:
            for family in text_string_to_metric_families(self._pages.pop(worker, "")):
                if family.type in _COUNTERS:
                    for sample in family.samples:
                        self._gone[_key(sample)] = self._gone.get(_key(sample), 0.0) + sample.value

    def collect(self) -> Iterable[Metric]:
        """Return the merged families."""
        with self._lock:
            pages, gone = list(self._pages.values()), dict(self._gone)
        families: dict[str, Metric] = {}
        values: dict[str, dict[Key, list[float]]] = {}
        told = [family for each in self._own for family in each.collect()]
        for page in pages:
            told += text_string_to_metric_families(page)
        for family in told:
            families.setdefault(family.name, family)
            found = values.setdefault(family.name, {})
            for sample in family.samples:
                found.setdefault(_key(sample), []).append(sample.value)
        for name, family in families.items():
            merged = Metric(name, family.documentation, family.type)
            for (sample_name, labels), its in values[name].items():
                merge = sum if family.type in _COUNTERS else _GAUGES.get(name, sum)
                merged.add_sample(sample_name, dict(labels), merge(its) + gone.get((sample_name, labels), 0.0))
            yield merged


def _key(sample: Sample) -> Key:
    return sample.name, tuple(sorted(sample.labels.items()))
