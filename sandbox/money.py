"""Currencies: their minor units, and fixed rates in place of the vendors' current ones.

Seed 003 (Tolinku): revenue is converted to the appspace's base currency, zero-decimal currencies are handled, amounts
are kept in cents. Here an amount is rounded to its own currency's minor unit when it arrives, and converted (and
rounded again) when it is asked for. Seed 000 (ProfitMetrics): all history is converted at current rates. Halves round
away from zero.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

# fmt: off
MINOR_UNITS: dict[str, int] = {
    **dict.fromkeys((
        "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG",
        "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF",
    ), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
# fmt: on
"""Decimals of the currencies that have not two (ISO 4217)."""

# fmt: off
EUROS: dict[str, Decimal] = {currency: Decimal(euros) for currency, euros in (
    ("EUR", "1"), ("AED", "0.25"), ("AUD", "0.60"), ("BGN", "0.51129"), ("BHD", "2.44"), ("BRL", "0.16"),
    ("CAD", "0.67"), ("CHF", "1.05"), ("CLP", "0.00097"), ("CNY", "0.127"), ("CZK", "0.0402"), ("DKK", "0.134"),
    ("GBP", "1.17"), ("HKD", "0.118"), ("HUF", "0.0025"), ("IDR", "0.000056"), ("ILS", "0.25"), ("INR", "0.0108"),
    ("ISK", "0.0067"), ("JPY", "0.0062"), ("KRW", "0.00067"), ("KWD", "2.98"), ("MXN", "0.0495"), ("MYR", "0.197"),
    ("NOK", "0.086"), ("NZD", "0.55"), ("PHP", "0.0160"), ("PLN", "0.234"), ("RON", "0.199"), ("SAR", "0.245"),
    ("SEK", "0.088"), ("SGD", "0.685"), ("THB", "0.0255"), ("TND", "0.295"), ("TRY", "0.0245"), ("TWD", "0.0284"),
    ("UAH", "0.0222"), ("USD", "0.92"), ("VND", "0.000036"), ("XOF", "0.00152449"), ("ZAR", "0.0505"),
)}
# fmt: on
"""What one unit is worth in euros. A currency that is not here cannot be converted: its orders count, their revenue
does not.
"""

RATE_DIGITS = Decimal("1e-10")


def minor_units(currency: str) -> int:
    """Return how many decimals a currency has."""
    return MINOR_UNITS.get(currency, 2)


def to_minor_unit(amount: Decimal, currency: str) -> Decimal:
    """Return an amount rounded to its currency's minor unit."""
    return amount.quantize(Decimal(1).scaleb(-minor_units(currency)), ROUND_HALF_UP)


def rates_to(base: str) -> dict[str, Decimal]:
    """Return what one unit of each known currency is worth in `base`, to ten decimals. `base` must be one of `EUROS`."""
    return {currency: (euros / EUROS[base]).quantize(RATE_DIGITS, ROUND_HALF_UP) for currency, euros in EUROS.items()}
