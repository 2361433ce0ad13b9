"""How each metric follows from the measures: what is added up, and what is divided by what.

The page names the metrics and explains none. Here customers count once for each of their orders, so that they can be
added up like everything else; `CONTRIBUTION_MARGIN` is gross profit less variable expenses, `NET_PROFIT` what ad spend
and the other expenses leave of it, and a customer's lifetime value what the period's customers brought on average.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from sandbox.profitmetrics.measures import INDEX, MEASURES, adspend
from schemas.profitmetrics import CHANNELS, METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


Unit: TypeAlias = Literal["plain", "percent", "average"]


@dataclass(frozen=True, slots=True)
class Total:
    """A sum of measures: their places in `MEASURES`, each with what it counts. `money`: an amount."""

    terms: tuple[tuple[int, int], ...]
    money: bool


@dataclass(frozen=True, slots=True)
class Ratio:
    """A product of sums divided by another. average: an amount; percent: a hundredfold."""

    numerator: tuple[Total, ...]
    divisor: tuple[Total, ...]
    unit: Unit


Formula: TypeAlias = Total | Ratio

# Each name is a measure or a line above; a minus takes it away.
_TOTALS: Final = """
NUMBER_OF_ORDERS = first_orders repeat_orders
TURNOVER = first_turnover repeat_turnover
VAT = first_vat repeat_vat
TURNOVER_WITH_VAT = TURNOVER VAT
SHIPPING_REVENUE_TOTAL = first_shipping_revenue repeat_shipping_revenue
REVENUE_WITHOUT_SHIPPING_REVENUE = TURNOVER -SHIPPING_REVENUE_TOTAL
GROSS_PROFIT = first_profit repeat_profit
SHIPPING_FEE_COST_TOTAL = first_shipping_cost repeat_shipping_cost
PAYMENT_FEE_COST_TOTAL = first_payment_cost repeat_payment_cost
EXTRA_COST_TOTAL = first_extra_cost repeat_extra_cost
EXPENSES_VARIABLE = expenses_variable
EXPENSES_RECURRING = expenses_recurring
EXPENSES_ORDER = SHIPPING_FEE_COST_TOTAL PAYMENT_FEE_COST_TOTAL EXTRA_COST_TOTAL
EXPENSES_FIXED = expenses_fixed
PRODUCTS_COST_TOTAL = TURNOVER -GROSS_PROFIT -EXPENSES_ORDER
CONTRIBUTION_MARGIN = GROSS_PROFIT -EXPENSES_VARIABLE
ADSPEND_MANUAL = adspend_manual
TOTAL_ADSPEND = ADSPEND_MANUAL {channels}
NET_PROFIT = CONTRIBUTION_MARGIN -TOTAL_ADSPEND -EXPENSES_RECURRING -EXPENSES_FIXED
FIRST_TIME_ORDERS = first_orders
FIRST_TIME_ORDERS_TURNOVER = first_turnover
FIRST_TIME_ORDERS_GROSS_PROFIT = first_profit
RECURRING_ORDERS = repeat_orders
RECURRING_ORDERS_TURNOVER = repeat_turnover
RECURRING_ORDERS_GROSS_PROFIT = repeat_profit
NEW_CUSTOMERS = first_orders
NEW_CUSTOMERS_TURNOVER = first_turnover
NEW_CUSTOMERS_GROSS_PROFIT = first_profit
RETURNING_CUSTOMERS = returning_customers
RETURNING_CUSTOMERS_TURNOVER = repeat_turnover
RETURNING_CUSTOMERS_GROSS_PROFIT = repeat_profit
UNIQUE_CUSTOMERS = NEW_CUSTOMERS RETURNING_CUSTOMERS
ADSPEND_OTHER = adspend_Other adspend_Adtraction adspend_Daisycon
GOOGLE_IMPRESSIONS = google_impressions
GOOGLE_CLICKS = google_clicks
GOOGLE_CONVERSIONS = google_conversions
GOOGLE_REVENUE = google_revenue
GOOGLE_GROSS_PROFIT = google_profit
GOOGLE_PROFIT_AFTER_ADSPEND = google_profit -adspend_Google
GOOGLE_PROFIT_AFTER_ADSPEND_ORDER_BASED = google_click_profit -adspend_Google
GOOGLE_NUMBER_OF_ORDERS_WITH_CLICK = google_click_orders
GOOGLE_TURNOVER_FROM_ORDERS_WITH_CLICK = google_click_turnover
GOOGLE_TURNOVER_WITH_VAT_FROM_ORDERS_WITH_CLICK = google_click_turnover google_click_vat
GOOGLE_GROSS_PROFIT_FROM_ORDERS_WITH_CLICK = google_click_profit
MODELLED_LESS_CLICKED = google_revenue -google_click_turnover
GOOGLE_META_NUMBER_OF_ORDERS_WITH_BOTH_CLICKS = both_click_orders
META_IMPRESSIONS = meta_impressions
META_CLICKS = meta_clicks
META_REVENUE = meta_revenue
META_GROSS_PROFIT = meta_profit
META_PROFIT_AFTER_ADSPEND = meta_profit -adspend_Meta
META_NUMBER_OF_ORDERS_WITH_CLICK = meta_click_orders
"""

_RATIOS: Final[Mapping[Unit, str]] = {
    "average": """
TURNOVER_AVG = TURNOVER / NUMBER_OF_ORDERS
GROSS_PROFIT_AVG = GROSS_PROFIT / NUMBER_OF_ORDERS
SHIPPING_FEE_COST_TOTAL_AVG = SHIPPING_FEE_COST_TOTAL / NUMBER_OF_ORDERS
PAYMENT_FEE_COST_TOTAL_AVG = PAYMENT_FEE_COST_TOTAL / NUMBER_OF_ORDERS
EXTRA_COST_TOTAL_AVG = EXTRA_COST_TOTAL / NUMBER_OF_ORDERS
EXPENSES_ORDER_AVG = EXPENSES_ORDER / NUMBER_OF_ORDERS
PRODUCTS_COST_TOTAL_AVG = PRODUCTS_COST_TOTAL / NUMBER_OF_ORDERS
CONTRIBUTION_MARGIN_AVG = CONTRIBUTION_MARGIN / NUMBER_OF_ORDERS
TOTAL_ADSPEND_AVG = TOTAL_ADSPEND / NUMBER_OF_ORDERS
FIRST_TIME_ORDERS_TURNOVER_AVG = first_turnover / first_orders
FIRST_TIME_ORDERS_GROSS_PROFIT_AVG = first_profit / first_orders
RECURRING_ORDERS_TURNOVER_AVG = repeat_turnover / repeat_orders
RECURRING_ORDERS_GROSS_PROFIT_AVG = repeat_profit / repeat_orders
N_CAC = TOTAL_ADSPEND / NEW_CUSTOMERS
NEW_CUSTOMERS_TURNOVER_AVG = first_turnover / NEW_CUSTOMERS
NEW_CUSTOMERS_GROSS_PROFIT_AVG = first_profit / NEW_CUSTOMERS
RETURNING_CUSTOMERS_TURNOVER_AVG = repeat_turnover / RETURNING_CUSTOMERS
RETURNING_CUSTOMERS_GROSS_PROFIT_AVG = repeat_profit / RETURNING_CUSTOMERS
GOOGLE_CPA = adspend_Google / google_conversions
META_CPA = adspend_Meta / meta_conversions
""",
    "percent": """
GROSS_PROFIT_RATIO = GROSS_PROFIT / TURNOVER
EXPENSES_ORDER_COST_RATIO = EXPENSES_ORDER / TURNOVER
CONTRIBUTION_MARGIN_RATIO = CONTRIBUTION_MARGIN / TURNOVER
NET_PROFIT_RATIO = NET_PROFIT / TURNOVER
TOTAL_ADSPEND_RATIO = TOTAL_ADSPEND / TURNOVER
GOOGLE_DIFFERENCE_MODELLED_VS_ORDERS_WITH_CLICK = MODELLED_LESS_CLICKED / google_click_turnover
""",
    "plain": """
BLENDED_ROAS = TURNOVER / TOTAL_ADSPEND
BLENDED_POAS = GROSS_PROFIT / TOTAL_ADSPEND
FIRST_ORDERS_POAS = first_profit / TOTAL_ADSPEND
FIRST_ORDERS_ROAS = first_turnover / TOTAL_ADSPEND
FIRST_ORDERS_PROFIT_OVER_N_CAC = first_profit NEW_CUSTOMERS / first_orders TOTAL_ADSPEND
FIRST_ORDERS_TURNOVER_OVER_N_CAC = first_turnover NEW_CUSTOMERS / first_orders TOTAL_ADSPEND
CLV_PROFIT_OVER_N_CAC = GROSS_PROFIT NEW_CUSTOMERS / UNIQUE_CUSTOMERS TOTAL_ADSPEND
CLV_TURNOVER_OVER_N_CAC = TURNOVER NEW_CUSTOMERS / UNIQUE_CUSTOMERS TOTAL_ADSPEND
NEW_CUSTOMERS_POAS = first_profit / TOTAL_ADSPEND
NEW_CUSTOMERS_ROAS = first_turnover / TOTAL_ADSPEND
GOOGLE_ROAS = google_revenue / adspend_Google
GOOGLE_POAS = google_profit / adspend_Google
GOOGLE_ROAS_ORDER_BASED = google_click_turnover / adspend_Google
GOOGLE_ROAS_WITH_VAT_ORDER_BASED = GOOGLE_TURNOVER_WITH_VAT_FROM_ORDERS_WITH_CLICK / adspend_Google
GOOGLE_POAS_ORDER_BASED = google_click_profit / adspend_Google
META_ROAS = meta_revenue / adspend_Meta
META_POAS = meta_profit / adspend_Meta
""",
}

_RETURNS: Final = (
    ("NUMBER_OF_{0}RETURNS", "{1}_returns"),
    ("NUMBER_OF_{0}RETURNED_PRODUCTS", "{1}_returned_products"),
    ("{0}RETURNED_REVENUE_EX_VAT", "{1}_returned_revenue"),
    ("{0}RETURNED_REVENUE_INC_VAT", "{1}_returned_revenue {1}_returned_vat"),
    ("{0}RETURNED_COST", "{1}_returned_cost"),
    ("{0}RETURNED_PAYMENT_COST", "{1}_returned_payment_cost"),
    ("{0}RETURNED_EXTRA_COST", "{1}_returned_extra_cost"),
    ("{0}RETURNED_SHIPPING_COST", "{1}_returned_shipping_cost"),
    (
        "{0}RETURNED_COST_TOTAL",
        "{1}_returned_cost {1}_returned_payment_cost {1}_returned_extra_cost {1}_returned_shipping_cost",
    ),
    ("{0}RETURN_EXTRA_COST", "{1}_return_extra_cost"),
    ("{0}RETURN_EXTRA_SHIPPING_COST", "{1}_return_extra_shipping_cost"),
    ("{0}RETURN_EXTRA_PAYMENT_COST", "{1}_return_extra_payment_cost"),
)


def _sums() -> Iterator[tuple[str, list[str]]]:
    """Yield each sum with what it adds up, such as are above it included."""
    spends = {channel: adspend(channel) for channel in CHANNELS}
    for name, parts in _lines(_TOTALS.format(channels=" ".join(spends.values()))):
        yield name, parts.split()
    for channel, spend in spends.items():
        stem = channel.replace(" ", "").upper()
        for name in (f"ADSPEND_{stem}", f"{stem}_ADSPEND"):
            if name in METRICS and name != "ADSPEND_OTHER":
                yield name, [spend]
    for name, parts in _RETURNS:
        for group, stem in (("FIRST_ORDERS_", "first"), ("RECURRING_ORDERS_", "repeat")):
            yield f"{name.format(group)}_ORDER_TIME", parts.format(group, stem).split()
        either = f"{parts.format('', 'first')} {parts.format('', 'repeat')}"
        yield f"{name.format('')}_ORDER_TIME", either.split()


def _totals() -> dict[str, Total]:
    totals = {measure.name: Total(((index, 1),), measure.money) for index, measure in enumerate(MEASURES)}
    for name, parts in _sums():
        weights: dict[int, int] = {}
        for part in parts:
            sign = -1 if part.startswith("-") else 1
            for index, weight in totals[part.removeprefix("-")].terms:
                weights[index] = weights.get(index, 0) + sign * weight
        totals[name] = Total(tuple(weights.items()), totals[parts[0].removeprefix("-")].money)
    return totals


def _formulas() -> Iterator[tuple[str, Formula]]:
    totals = _totals()
    for name, total in totals.items():
        if name in METRICS:
            yield name, total
    for unit, lines in _RATIOS.items():
        for name, parts in _lines(lines):
            above, _, below = parts.partition(" / ")
            yield (
                name,
                Ratio(
                    tuple(totals[part] for part in above.split()), tuple(totals[part] for part in below.split()), unit
                ),
            )


def _lines(text: str) -> Iterator[tuple[str, str]]:
    for line in text.strip().splitlines():
        name, _, parts = line.partition(" = ")
        yield name, parts


FORMULAS: Final[Mapping[str, Formula]] = dict(_formulas())
"""Every metric of the catalogue that is a number."""

ADSPEND: Final = {channel: INDEX[adspend(channel)] for channel in CHANNELS}
"""Where the ad spend of each channel is among the measures."""
