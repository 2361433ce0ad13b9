"""From an answer to rows: what is identity, what number, what neither (RECORDS §2).

A metric that the vendor did not send is not in the row, one that it sent as null is null, and 0 is 0. Fields that seed 003
does not name are kept: numbers among the metrics, the rest among the attributes. Of what stands beside a list only the
fields of the seed are used, as anything else there may differ at every call.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from scheduler.sources.interface import Found
from scheduler.sources.tolinku.answers import Misshapen, is_number, number, scalar
from scheduler.sources.tolinku.days import day

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from zoneinfo import ZoneInfo

    from scheduler.plan import Window
    from scheduler.sources.tolinku.answers import Envelope
    from scheduler.sources.tolinku.datasets import Dataset
    from schemas.exports import Number, Scalar


class Rows:
    """Makes the rows of one answer. `bucket`: of rows that do not name their own; `split`: put into every row's dimensions."""

    def __init__(
        self, dataset: Dataset, envelope: Envelope, zone: ZoneInfo, bucket: Window | None, split: Mapping[str, Scalar]
    ) -> None:
        self._dataset = dataset
        self._fields = envelope.fields
        self._zone = zone
        self._bucket = bucket
        self._split = split

    def of_elements(self, elements: Iterable[Mapping[str, Any]]) -> Iterator[Found]:
        """Yield the rows of the list's elements. Raises Misshapen, also while it is under way."""
        for position, element in enumerate(elements, 1):
            match self._dataset.name:
                case "cohorts":
                    yield from self._cohort(element)
                case "revenue-timeseries":
                    yield self._day(element)
                case "funnel":
                    yield self._element(element, {"step": position})
                case "attribution":
                    yield self._element(element, self._model())
                case _:
                    yield self._element(element, {})

    def of_envelope(self) -> Iterator[Found]:
        """Yield the grand total, where the answer has one: what stands in it beside the list. Raises Misshapen."""
        match self._dataset.name:
            case "overview" | "cart-abandonment":
                yield self._found({}, self._record())
            case "attribution":
                yield from self._unattributed()
            case "cohorts":
                metrics = _given(self._fields, ("avg_ltv", "total_purchasing_users"))
                if metrics:
                    yield self._found({}, metrics)

    def _record(self) -> dict[str, Number]:
        known = _given(self._fields, self._dataset.metrics)
        if not known:
            raise Misshapen(f"it has no {self._dataset.metrics[0]}")
        others = {name: value for name, value in self._fields.items() if is_number(value) and name != "days"}
        return known | others

    def _element(self, element: Mapping[str, Any], more: Mapping[str, Any]) -> Found:
        dimensions = self._identity(element)
        metrics, attributes = self._rest(element)
        return self._found(dimensions, metrics, attributes | dict(more))

    def _identity(self, element: Mapping[str, Any]) -> dict[str, Scalar]:
        names = self._dataset.identity
        if not any(name in element for name in names):
            raise Misshapen(f"an element of {self._dataset.elements} has no {names[0]}")
        # One that is absent beside others is unset: without it the row would look like a sum over it.
        return {name: scalar(name, element.get(name)) for name in names}

    def _rest(self, element: Mapping[str, Any]) -> tuple[dict[str, Number], dict[str, Any]]:
        metrics: dict[str, Number] = {}
        attributes: dict[str, Any] = {}
        dataset = self._dataset
        for name, value in element.items():
            if name in dataset.metrics:
                metrics[name] = number(name, value)
            elif name in dataset.attributes:
                attributes[name] = value
            elif name not in dataset.identity:
                (metrics if is_number(value) else attributes)[name] = value
        return metrics, attributes

    def _day(self, element: Mapping[str, Any]) -> Found:
        try:
            date_of_row = date.fromisoformat(element["date"])
        except (KeyError, TypeError, ValueError) as error:
            raise Misshapen("an element of series has no date") from error
        metrics, attributes = self._rest(element)
        del attributes["date"]  # it is the bucket
        return Found(day(date_of_row, self._zone), self._split, metrics, attributes)

    def _cohort(self, element: Mapping[str, Any]) -> Iterator[Found]:
        name = element.get("month")
        if not isinstance(name, str):
            raise Misshapen("an element of cohorts has no month")
        metrics, attributes = self._rest(element)
        months = attributes.pop("revenue_by_month", None)
        del attributes["month"]  # it is the identity
        yield self._found({"cohort": name}, metrics, attributes)
        if not isinstance(months, dict):
            raise Misshapen("revenue_by_month is no object")
        for month, revenue in months.items():
            if not (month.isascii() and month.isdigit()):
                raise Misshapen(f"revenue_by_month has a month {month!r}")
            yield self._found({"cohort": name, "month": int(month)}, {"revenue": number("revenue", revenue)})

    def _unattributed(self) -> Iterator[Found]:
        unattributed = self._fields.get("unattributed")
        if unattributed is None:
            return
        if not isinstance(unattributed, dict):
            raise Misshapen("unattributed is no object")
        metrics = {
            f"unattributed.{name}": number(name, value)
            for name, value in unattributed.items()
            if name in self._dataset.metrics or is_number(value)
        }
        if metrics:
            yield self._found({}, metrics, self._model())

    def _model(self) -> dict[str, Any]:
        return {name: self._fields[name] for name in ("model", "window_days") if name in self._fields}

    def _found(
        self,
        dimensions: Mapping[str, Scalar],
        metrics: Mapping[str, Number],
        attributes: Mapping[str, Any] | None = None,
    ) -> Found:
        return Found(self._bucket, {**self._split, **dimensions}, metrics, attributes or {})


def _given(fields: Mapping[str, Any], names: Iterable[str]) -> dict[str, Number]:
    return {name: number(name, fields[name]) for name in names if name in fields}
