"""What ProfitMetrics can be asked for: the catalogue of its public page (seed 000), 151 metrics by enum name and label.

The vendor's `export/metrics` is the live catalogue and decides; this one names, warns and suggests. Labels are unique,
so that answers of `export/v2`, which are keyed by them, can be mapped back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

Channel: TypeAlias = Literal[
    "Google",
    "Meta",
    "Bing",
    "Partner Ads",
    "TikTok",
    "Snapchat",
    "Webgains",
    "Pinterest",
    "PriceRunner",
    "Adtraction",
    "Daisycon",
    "Other",
]
"""The marketing channels that the catalogue's names and labels tell apart."""

CHANNELS: tuple[Channel, ...] = get_args(Channel)

Kind: TypeAlias = Literal["number", "channels", "timestamp"]
"""channels: a number for each channel; timestamp: a local date-time. Only `data/reports` answers these two."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `label` is without the page's remarks in brackets about where it is to be had.

    `channels`: the marketing channels without whose set-up it is "N/A". `blends`: it adds up those of them that a site
    has connected, and needs only these. The page names a few of such metrics, the rest is what the labels say.
    """

    name: str
    label: str
    kind: Kind = "number"
    channels: frozenset[Channel] = frozenset()
    blends: bool = False


_ORDERS = (
    ("NUMBER_OF_ORDERS", "Orders"),
    ("TURNOVER", "Revenue"),
    ("TURNOVER_WITH_VAT", "Revenue with VAT"),
    ("TURNOVER_AVG", "Avg order Revenue"),
    ("REVENUE_WITHOUT_SHIPPING_REVENUE", "Revenue after discounts"),
    ("GROSS_PROFIT", "Gross profit"),
    ("GROSS_PROFIT_RATIO", "Gross profit margin"),
    ("GROSS_PROFIT_AVG", "Avg order Gross profit"),
    ("SHIPPING_REVENUE_TOTAL", "Shipping revenue"),
    ("SHIPPING_FEE_COST_TOTAL", "Shipping cost"),
    ("SHIPPING_FEE_COST_TOTAL_AVG", "Avg order shipping cost"),
    ("PAYMENT_FEE_COST_TOTAL", "Payment cost"),
    ("PAYMENT_FEE_COST_TOTAL_AVG", "Avg order payment fee"),
    ("EXTRA_COST_TOTAL", "Packaging and handling cost"),
    ("EXTRA_COST_TOTAL_AVG", "Avg order handling cost"),
    ("EXPENSES_VARIABLE", "Variable Expenses"),
    ("EXPENSES_RECURRING", "Recurring expenses"),
    ("EXPENSES_ORDER", "Order expenses"),
    ("EXPENSES_ORDER_AVG", "Avg variable order cost"),
    ("EXPENSES_ORDER_COST_RATIO", "Order cost (%)"),
    ("EXPENSES_FIXED", "Fixed expenses"),
    ("PRODUCTS_COST_TOTAL", "Product cost"),
    ("PRODUCTS_COST_TOTAL_AVG", "Avg product cost"),
    ("CONTRIBUTION_MARGIN", "Contribution margin"),
    ("CONTRIBUTION_MARGIN_RATIO", "Contribution margin (%)"),
    ("CONTRIBUTION_MARGIN_AVG", "Avg order Contribution margin"),
    ("NET_PROFIT", "Net profit"),
    ("NET_PROFIT_RATIO", "Net profit margin"),
    ("TOTAL_ADSPEND", "Total adspend"),
    ("TOTAL_ADSPEND_RATIO", "Advertising Cost of Sales"),
    ("TOTAL_ADSPEND_AVG", "Avg order ad spend"),
    ("BLENDED_ROAS", "Blended ROAS (MER)"),
    ("BLENDED_POAS", "Blended POAS"),
    ("ADSPEND_BY_CHANNEL", "Adspend by channel"),
    ("ADSPEND_MANUAL", "Ad Spend Manual"),
    ("FIRST_TIME_ORDERS", "First time orders"),
    ("FIRST_TIME_ORDERS_TURNOVER", "First orders Revenue"),
    ("FIRST_TIME_ORDERS_GROSS_PROFIT", "First orders Gross Profit"),
    ("FIRST_TIME_ORDERS_TURNOVER_AVG", "Avg. First Order Revenue"),
    ("FIRST_TIME_ORDERS_GROSS_PROFIT_AVG", "Avg. First Order Gross Profit"),
    ("RECURRING_ORDERS", "Returning orders"),
    ("RECURRING_ORDERS_TURNOVER", "Returning orders Revenue"),
    ("RECURRING_ORDERS_GROSS_PROFIT", "Returning orders Gross Profit"),
    ("RECURRING_ORDERS_TURNOVER_AVG", "Avg. Returning Order Revenue"),
    ("RECURRING_ORDERS_GROSS_PROFIT_AVG", "Avg. Returning Order Gross Profit"),
    ("FIRST_ORDERS_POAS", "First Order POAS"),
    ("FIRST_ORDERS_ROAS", "First Order ROAS"),
    ("FIRST_ORDERS_PROFIT_OVER_N_CAC", "First Order Gross Profit / nCAC"),
    ("FIRST_ORDERS_TURNOVER_OVER_N_CAC", "First Order Revenue / nCAC"),
    ("N_CAC", "nCAC"),
    ("CLV_PROFIT_OVER_N_CAC", "Gross Profit LTV / nCAC"),
    ("CLV_TURNOVER_OVER_N_CAC", "Revenue LTV / nCAC"),
)

_CUSTOMERS = (
    ("UNIQUE_CUSTOMERS", "Total customers"),
    ("NEW_CUSTOMERS", "New customers"),
    ("NEW_CUSTOMERS_TURNOVER", "New customers Revenue"),
    ("NEW_CUSTOMERS_GROSS_PROFIT", "New customers Gross Profit"),
    ("NEW_CUSTOMERS_TURNOVER_AVG", "Avg. New Customer Revenue"),
    ("NEW_CUSTOMERS_GROSS_PROFIT_AVG", "Avg. New Customer Gross Profit"),
    ("NEW_CUSTOMERS_POAS", "New Customer POAS"),
    ("NEW_CUSTOMERS_ROAS", "New Customer ROAS"),
    ("RETURNING_CUSTOMERS", "Returning customers"),
    ("RETURNING_CUSTOMERS_TURNOVER", "Returning customers Revenue"),
    ("RETURNING_CUSTOMERS_GROSS_PROFIT", "Returning customers Gross Profit"),
    ("RETURNING_CUSTOMERS_TURNOVER_AVG", "Avg. Returning Customer Revenue"),
    ("RETURNING_CUSTOMERS_GROSS_PROFIT_AVG", "Avg. Returning Customer Gross Profit"),
)

_BLENDED = (
    ("ADSPEND_GOOGLE", "Ad Spend Google"),
    ("ADSPEND_META", "Ad Spend Meta"),
    ("ADSPEND_BING", "Ad Spend Bing"),
    ("ADSPEND_PARTNERADS", "Ad Spend Partner Ads"),
    ("ADSPEND_TIKTOK", "Ad Spend TikTok"),
    ("ADSPEND_SNAPCHAT", "Ad Spend Snapchat"),
    ("ADSPEND_WEBGAINS", "Ad Spend Webgains"),
    ("ADSPEND_PINTEREST", "Ad Spend Pinterest"),
    ("ADSPEND_OTHER", "Ad Spend Other"),
    ("ADSPEND_PRICERUNNER", "Ad Spend PriceRunner"),
)

_GOOGLE = (
    ("GOOGLE_ADSPEND", "Google Ads Ad spend (in-platform)"),
    ("GOOGLE_IMPRESSIONS", "Google Ads Impressions (in-platform)"),
    ("GOOGLE_CLICKS", "Google Ads Clicks (in-platform)"),
    ("GOOGLE_CONVERSIONS", "Google Ads Conversions (in-platform)"),
    ("GOOGLE_REVENUE", "Google Ads Revenue (in-platform)"),
    ("GOOGLE_GROSS_PROFIT", "Google Ads Gross Profit (in-platform)"),
    ("GOOGLE_PROFIT_AFTER_ADSPEND", "Google Ads Profit after ad spend (in-platform)"),
    ("GOOGLE_CPA", "Google Ads CPA (in-platform)"),
    ("GOOGLE_ROAS", "Google Ads ROAS (in-platform)"),
    ("GOOGLE_POAS", "Google Ads POAS (in-platform)"),
    ("GOOGLE_ADSPEND_TIMESTAMP", "Google Ads Ad spend timestamp"),
    ("GOOGLE_PROFIT_AFTER_ADSPEND_ORDER_BASED", "Google ads Profit after ad spend (orders with click based)"),
    ("GOOGLE_ROAS_ORDER_BASED", "Google Ads ROAS (orders with click based)"),
    ("GOOGLE_ROAS_WITH_VAT_ORDER_BASED", "Google Ads ROAS (vat included, orders with click based)"),
    ("GOOGLE_POAS_ORDER_BASED", "Google Ads POAS (orders with click based)"),
    ("GOOGLE_NUMBER_OF_ORDERS_WITH_CLICK", "Orders with Google Click"),
    ("GOOGLE_TURNOVER_FROM_ORDERS_WITH_CLICK", "Revenue from orders with Google Click"),
    ("GOOGLE_TURNOVER_WITH_VAT_FROM_ORDERS_WITH_CLICK", "Revenue with VAT from orders with Google Click"),
    ("GOOGLE_GROSS_PROFIT_FROM_ORDERS_WITH_CLICK", "Gross profit from orders with Google Click"),
    ("GOOGLE_DIFFERENCE_MODELLED_VS_ORDERS_WITH_CLICK", "% Difference: Google Modelled vs Click ID Orders"),
    ("GOOGLE_META_NUMBER_OF_ORDERS_WITH_BOTH_CLICKS", "Orders with Google and Meta Click"),
)

_META = (
    ("META_ADSPEND", "Meta Ad spend (in-platform)"),
    ("META_IMPRESSIONS", "Meta Impressions (in-platform)"),
    ("META_CLICKS", "Meta Clicks (in-platform)"),
    ("META_REVENUE", "Meta Revenue (in-platform)"),
    ("META_GROSS_PROFIT", "Meta Gross Profit (in-platform)"),
    ("META_PROFIT_AFTER_ADSPEND", "Meta Profit after ad spend (in-platform)"),
    ("META_CPA", "Meta CPA (in-platform)"),
    ("META_ROAS", "Meta ROAS (in-platform)"),
    ("META_POAS", "Meta POAS (in-platform)"),
    ("META_NUMBER_OF_ORDERS_WITH_CLICK", "Orders with Meta Click"),
)

_OTHER_CHANNELS = (
    ("PINTEREST_ADSPEND", "Pinterest Ad spend (in-platform)"),
    ("TIKTOK_ADSPEND", "TikTok Ad spend (in-platform)"),
    ("BING_ADSPEND", "Microsoft Ads Ad spend (in-platform)"),
    ("PARTNERADS_ADSPEND", "Partner Ads Ad spend (in-platform)"),
    ("SNAPCHAT_ADSPEND", "Snapchat Ad spend (in-platform)"),
    ("WEBGAINS_ADSPEND", "Webgains Ad spend (in-platform)"),
    ("PRICERUNNER_ADSPEND", "PriceRunner Ad spend (in-platform)"),
    ("ADTRACTION_ADSPEND", "Adtraction Ad spend (in-platform)"),
    ("DAISYCON_ADSPEND", "Daisycon Ad spend (in-platform)"),
)

_RETURNS = (
    ("NUMBER_OF_RETURNS_ORDER_TIME", "Number of returns (order time)"),
    ("NUMBER_OF_RETURNED_PRODUCTS_ORDER_TIME", "Number of returned products (order time)"),
    ("RETURNED_REVENUE_EX_VAT_ORDER_TIME", "Returned Revenue (order time)"),
    ("RETURNED_REVENUE_INC_VAT_ORDER_TIME", "Returned Revenue with VAT (order time)"),
    ("RETURNED_COST_ORDER_TIME", "Returned Cost (order time)"),
    ("RETURNED_PAYMENT_COST_ORDER_TIME", "Returned Payment Cost (order time)"),
    ("RETURNED_EXTRA_COST_ORDER_TIME", "Returned Extra Cost ex VAT (order time)"),
    ("RETURNED_SHIPPING_COST_ORDER_TIME", "Returned Shipping Cost ex VAT (order time)"),
    ("RETURNED_COST_TOTAL_ORDER_TIME", "Returned Cost Total (order time)"),
    ("RETURN_EXTRA_COST_ORDER_TIME", "Return Extra Cost (order time)"),
    ("RETURN_EXTRA_SHIPPING_COST_ORDER_TIME", "Return Extra Shipping Cost (order time)"),
    ("RETURN_EXTRA_PAYMENT_COST_ORDER_TIME", "Return Extra Payment Cost (order time)"),
    ("NUMBER_OF_FIRST_ORDERS_RETURNS_ORDER_TIME", "Number of first orders returns (order time)"),
    ("NUMBER_OF_FIRST_ORDERS_RETURNED_PRODUCTS_ORDER_TIME", "Number of first orders returned products (order time)"),
    ("FIRST_ORDERS_RETURNED_REVENUE_EX_VAT_ORDER_TIME", "First Order Returned Revenue (order time)"),
    ("FIRST_ORDERS_RETURNED_REVENUE_INC_VAT_ORDER_TIME", "First Order Returned Revenue with VAT (order time)"),
    ("FIRST_ORDERS_RETURNED_COST_ORDER_TIME", "First Order Returned Cost (order time)"),
    ("FIRST_ORDERS_RETURNED_PAYMENT_COST_ORDER_TIME", "First Order Returned Payment Cost (order time)"),
    ("FIRST_ORDERS_RETURNED_EXTRA_COST_ORDER_TIME", "First Order Returned Extra Cost ex VAT (order time)"),
    ("FIRST_ORDERS_RETURNED_SHIPPING_COST_ORDER_TIME", "First Order Returned Shipping Cost ex VAT (order time)"),
    ("FIRST_ORDERS_RETURNED_COST_TOTAL_ORDER_TIME", "First Order Returned Cost Total (order time)"),
    ("FIRST_ORDERS_RETURN_EXTRA_COST_ORDER_TIME", "First Order Return Extra Cost (order time)"),
    ("FIRST_ORDERS_RETURN_EXTRA_SHIPPING_COST_ORDER_TIME", "First Order Return Extra Shipping Cost (order time)"),
    ("FIRST_ORDERS_RETURN_EXTRA_PAYMENT_COST_ORDER_TIME", "First Order Return Extra Payment Cost (order time)"),
    ("NUMBER_OF_RECURRING_ORDERS_RETURNS_ORDER_TIME", "Number of recurring orders returns (order time)"),
    (
        "NUMBER_OF_RECURRING_ORDERS_RETURNED_PRODUCTS_ORDER_TIME",
        "Number of recurring orders returned products (order time)",
    ),
    ("RECURRING_ORDERS_RETURNED_REVENUE_EX_VAT_ORDER_TIME", "Recurring Order Returned Revenue (order time)"),
    ("RECURRING_ORDERS_RETURNED_REVENUE_INC_VAT_ORDER_TIME", "Recurring Order Returned Revenue with VAT (order time)"),
    ("RECURRING_ORDERS_RETURNED_COST_ORDER_TIME", "Recurring Order Returned Cost (order time)"),
    ("RECURRING_ORDERS_RETURNED_PAYMENT_COST_ORDER_TIME", "Recurring Order Returned Payment Cost (order time)"),
    ("RECURRING_ORDERS_RETURNED_EXTRA_COST_ORDER_TIME", "Recurring Order Returned Extra Cost ex VAT (order time)"),
    (
        "RECURRING_ORDERS_RETURNED_SHIPPING_COST_ORDER_TIME",
        "Recurring Order Returned Shipping Cost ex VAT (order time)",
    ),
    ("RECURRING_ORDERS_RETURNED_COST_TOTAL_ORDER_TIME", "Recurring Order Returned Cost Total (order time)"),
    ("RECURRING_ORDERS_RETURN_EXTRA_COST_ORDER_TIME", "Recurring Order Return Extra Cost (order time)"),
    (
        "RECURRING_ORDERS_RETURN_EXTRA_SHIPPING_COST_ORDER_TIME",
        "Recurring Order Return Extra Shipping Cost (order time)",
    ),
    ("RECURRING_ORDERS_RETURN_EXTRA_PAYMENT_COST_ORDER_TIME", "Recurring Order Return Extra Payment Cost (order time)"),
)

_EVERY: Final = frozenset(CHANNELS)
# fmt: off
_ADD_UP_EVERY_CHANNEL = frozenset((
    "NET_PROFIT", "NET_PROFIT_RATIO", "TOTAL_ADSPEND", "TOTAL_ADSPEND_RATIO", "TOTAL_ADSPEND_AVG",
    "BLENDED_ROAS", "BLENDED_POAS", "ADSPEND_BY_CHANNEL", "N_CAC", "CLV_PROFIT_OVER_N_CAC", "CLV_TURNOVER_OVER_N_CAC",
    "FIRST_ORDERS_POAS", "FIRST_ORDERS_ROAS", "FIRST_ORDERS_PROFIT_OVER_N_CAC", "FIRST_ORDERS_TURNOVER_OVER_N_CAC",
    "NEW_CUSTOMERS_POAS", "NEW_CUSTOMERS_ROAS",
))
# fmt: on
_BLENDS = _ADD_UP_EVERY_CHANNEL | {"ADSPEND_OTHER"}
_KINDS: Mapping[str, Kind] = {"ADSPEND_BY_CHANNEL": "channels", "GOOGLE_ADSPEND_TIMESTAMP": "timestamp"}
_SEVERAL: Mapping[str, frozenset[Channel]] = {
    "ADSPEND_OTHER": frozenset(("Other", "Adtraction", "Daisycon")),  # none of the three has a name of its own there
    "GOOGLE_META_NUMBER_OF_ORDERS_WITH_BOTH_CLICKS": frozenset(("Google", "Meta")),
}


def _channels(name: str) -> frozenset[Channel]:
    if name in _ADD_UP_EVERY_CHANNEL:
        return _EVERY
    if name in _SEVERAL:
        return _SEVERAL[name]
    stems = {channel.replace(" ", "").upper(): channel for channel in CHANNELS}
    first, _, rest = name.partition("_")
    own = stems.get(rest if first == "ADSPEND" else first)
    return frozenset() if own is None else frozenset((own,))


_LISTED = (*_ORDERS, *_CUSTOMERS, *_BLENDED, *_GOOGLE, *_META, *_OTHER_CHANNELS, *_RETURNS)

METRICS: Mapping[str, Metric] = {
    name: Metric(name, label, _KINDS.get(name, "number"), _channels(name), name in _BLENDS) for name, label in _LISTED
}
"""The catalogue by enum name, in the page's order."""

NAMES: Mapping[str, str] = {metric.label: metric.name for metric in METRICS.values()}
"""Label to enum name."""
