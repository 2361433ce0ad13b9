"""An account and an export under test."""

from __future__ import annotations

from tests.runtime.checked import SHOP

ACCOUNT = """
[[accounts]]
name = "acme-profit"
source = "profitmetrics"
url = "https://api.my.profitmetrics.io/"
api_key = "pm_acme"
"""
EXPORT = """
[[exports]]
name = "acme-daily"
account = "acme-profit"
dataset = "reports"
every = "15m"
"""
BEFORE = (SHOP + ACCOUNT).count("\n")
"""Lines before the export, itself beginning with an empty one: its first key is on line BEFORE + 3."""


def with_export(lines: str = "", *, export: str = EXPORT) -> str:
    """Return a file with a shop, an account and an export, to which `lines` are added."""
    return SHOP + ACCOUNT + export + lines
