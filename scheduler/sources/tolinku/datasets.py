"""The twelve query endpoints of seed 003: what each takes, and what its answer holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from scheduler.sources.tolinku.parameters import Choice, Day, Whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scheduler.sources.tolinku.parameters import Parameter
    from schemas.exports import Resolution

ROOT: Final = "/v1/api/analytics/ecommerce"

DATES: Final[Mapping[str, Parameter]] = {"days": Whole(1), "start": Day(), "end": Day()}
"""What every endpoint takes: filled in by the scheduler, or in the query itself with lookback "query"."""

WHOLE_DAYS: Final[tuple[Resolution, ...]] = ("DAY", "WEEK", "MONTH", "QUARTER", "YEAR", "TOTAL")
DEFAULT_LIMIT: Final = 20
"""How many products the vendor answers with when no `limit` is given."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """One endpoint.

    `elements`: what the answer calls its list; None: the answer is one record. Of an element (or the record): `identity`
    are the fields that become dimensions, `metrics` the numbers that seed 003 names, `attributes` the rest that it names.
    `resolutions`: what its rows can be, the first by default.
    """

    name: str
    elements: str | None
    metrics: Sequence[str]
    identity: Sequence[str] = ()
    attributes: Sequence[str] = ()
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    resolutions: Sequence[Resolution] = WHOLE_DAYS

    @property
    def path(self) -> str:
        """Where it is asked for."""
        return f"{ROOT}/{self.name}"

    @property
    def time_axis(self) -> bool:
        """Whether one answer holds many buckets."""
        return self.name == "revenue-timeseries"


_CHANNEL: Final = ("campaign", "source", "medium")
_SALES: Final = ("revenue", "orders")

_ALL: Final = (
    Dataset(
        "overview",
        None,
        metrics=(
            "total_revenue",
            "net_revenue",
            "total_orders",
            "total_refunds",
            "refund_amount",
            "avg_order_value",
            "total_items_sold",
            "cart_abandonment_rate",
            "add_to_cart_rate",
        ),
    ),
    Dataset("revenue-timeseries", "series", _SALES, attributes=("date",), resolutions=("DAY",)),
    Dataset("funnel", "steps", ("count", "percentage"), ("name",)),
    Dataset(
        "top-products",
        "products",
        ("revenue", "quantity", "orders"),
        ("item_id",),
        ("item_name",),
        {"limit": Whole(1, 100)},
    ),
    Dataset("revenue-by-channel", "channels", (*_SALES, "conversion_rate"), _CHANNEL),
    Dataset("revenue-by-coupon", "coupons", (*_SALES, "avg_discount"), ("coupon_code",)),
    Dataset("revenue-by-device", "devices", _SALES, ("device_type",)),
    Dataset("revenue-by-platform", "platforms", _SALES, ("platform",)),
    Dataset("revenue-by-country", "countries", _SALES, ("country",)),
    Dataset("cart-abandonment", None, ("abandonment_rate", "abandoned_carts", "abandoned_revenue", "completed_carts")),
    Dataset(
        "attribution",
        "attributed",
        (*_SALES, "pct_of_total"),
        _CHANNEL,
        parameters={"model": Choice(("last_click", "linear", "time_decay")), "window": Choice((7, 14, 30, 60, 90))},
    ),
    Dataset(
        "cohorts",
        "cohorts",
        ("users",),
        attributes=("month", "revenue_by_month"),
        parameters={"months": Whole(1)},
        resolutions=("TOTAL",),
    ),
)

DATASETS: Final[Mapping[str, Dataset]] = {dataset.name: dataset for dataset in _ALL}
"""By name. `user-journey` is none: it is about one user, and asked for by hand."""
