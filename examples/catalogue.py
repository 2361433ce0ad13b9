"""What the made-up shop sells, to whom, and who sent them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Product:
    """One article; `cents` is its price in euro cents, VAT included."""

    item_id: str
    name: str
    category: str
    brand: str
    variants: tuple[str, ...]
    cents: int


@dataclass(frozen=True, slots=True)
class Campaign:
    """Where a visit came from."""

    campaign: str
    source: str
    medium: str


_SIZES = ("S", "M", "L", "XL")
_SHOES = ("38", "39", "40", "41", "42", "43", "44")
_ONE = ("one size",)

# Best sellers first: `Dice.lean` prefers them.
PRODUCTS: tuple[Product, ...] = (
    Product("sku-1001", "T-Shirt „Køkken“", "Apparel", "Nordlys", ("Red / L", "Black / M", "White / S"), 2499),
    Product("sku-1002", "Hoodie", "Apparel", "Nordlys", _SIZES, 5990),
    Product("sku-2001", "Wollmütze Größe 2", "Accessories", "Strickwerk", ("grau", "grün", "rost"), 1995),
    Product("sku-3001", "Espresso „Crème Brûlée“ 250 g", "Coffee", "Kaffeefräulein", ("ganze Bohne", "gemahlen"), 895),
    Product("sku-3002", "抹茶 Matcha, 30 g tin", "Tea", "宇治園", _ONE, 1850),
    Product("sku-4001", "Trail running shoe", "Shoes", "Fjellsti", _SHOES, 12900),
    Product("sku-4002", "Sandale „Żabka“", "Shoes", "Wędrowiec", _SHOES, 4990),
    Product("sku-1003", "Socks, 3 pairs", "Apparel", "Nordlys", ("36-40", "41-45"), 1295),
    Product("sku-5001", "Notebook, dotted, A5", "Stationery", "Papírna", ("navy", "sand"), 1450),
    Product("sku-5002", "Fountain pen", "Stationery", "Papírna", ("EF", "F", "M"), 3475),
    Product("sku-6001", "Throw pillow ☕", "Home", "Hyggelig", ("linen", "velvet"), 2990),
    Product("sku-6002", "Duvet cover 135 x 200", "Home", "Hyggelig", ("white", "sage"), 7995),
    Product("sku-2002", "Écharpe en soie", "Accessories", "Maison Été", ("ivoire", "nuit"), 8900),
    Product("sku-7001", "Σαπούνι ελαιολάδου", "Body care", "Ελιά", _ONE, 650),
    Product("sku-7002", "Hand cream 75 ml", "Body care", "Maison Été", _ONE, 1190),
    Product("sku-8001", "Wireless earphones", "Electronics", "Lydløs", ("black", "white"), 14999),
    Product("sku-8002", "USB-C cable, 2 m", "Electronics", "Lydløs", _ONE, 1299),
    Product("sku-9001", "Kids' raincoat 🦆", "Kids", "Småfolk", ("92", "98", "104", "110"), 3995),
    Product("sku-9002", "Wooden blocks, 50 pieces", "Kids", "Småfolk", _ONE, 2750),
    Product("sku-9901", "Gift card", "Gift cards", "", ("25", "50"), 2500),
)

# The first stands for no campaign at all.
CAMPAIGNS: tuple[Campaign | None, ...] = (
    None,
    Campaign("spring-sale", "newsletter", "email"),
    Campaign("brand", "google", "cpc"),
    Campaign("frühling-2026", "instagram", "social"),
    Campaign("comeback", "push", "app"),
    Campaign("affiliate-07", "preisvergleich", "referral"),
)

COUPONS: tuple[tuple[str, int], ...] = (("SAVE10", 10), ("WELCOME5", 5), ("SOMMER20", 20))
"""Coupon codes and the per cent they take off."""

PLATFORMS: tuple[str, ...] = ("web", "ios", "android")
COUNTRIES: tuple[str, ...] = ("DE", "NL", "FR", "DK", "PL", "GR", "ES")
SEARCHES: tuple[str, ...] = (
    "hoodie",
    "matcha",
    "größe 42",
    "cadeau d'anniversaire",
    "ραδιο",
    "socks  warm",
    "🎁",
    "50% off",
)
LISTS: tuple[tuple[str, str], ...] = (("search", "Search results"), ("home", "Für dich"), ("sale", "Sale"))
FREE_SHIPPING_CENTS = 7500
SHIPPING_CENTS = 499
