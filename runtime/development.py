"""The development defaults: one storefront and the exports of two vendors, all at the sandbox (DESIGN §4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from runtime.addresses import url_of
from runtime.settings import SandboxSettings

if TYPE_CHECKING:
    from runtime.diagnosis import Origins
    from runtime.faults import Fault

DEMO_KEYS: Final = ("tolk_pub_demo", "tolk_sec_demo")
_REQUESTS_PER_MINUTE: Final = 6000  # of the sandbox, which nobody else asks


def add_development(tree: dict[str, Any], origins: Origins) -> list[Fault]:
    """Add the development storefront, accounts and exports, at the sandbox where that will listen; return what is wrong with that.

    Accounts and exports that are there already stand alone.
    """
    try:
        sandbox = SandboxSettings.model_validate(tree.get("sandbox", {}))
    except ValidationError:  # told among the faults
        sandbox = SandboxSettings()
    faults = []
    if sandbox.port == 0:
        message = "0 stands for any port: the development storefront could not know which"
        faults.append(origins.fault(("sandbox", "port"), message, "give it one"))
    url = url_of(sandbox.host, sandbox.port or SandboxSettings().port)
    tree["storefronts"] = [_storefront(url)]
    if "accounts" not in tree and "exports" not in tree:
        tree["accounts"] = _accounts(url)
        tree["exports"] = _exports()
    return faults


def _storefront(url: str) -> dict[str, Any]:
    publishable, secret = DEMO_KEYS
    return {
        "name": "demo",
        "publishable_keys": [publishable],
        "secret_keys": [secret],
        "ingestion": {"url": url, "api_key": secret},
    }


def _accounts(url: str) -> list[dict[str, Any]]:
    budget = {"requests_per_minute": _REQUESTS_PER_MINUTE}
    return [
        {"name": "demo-tolinku", "source": "tolinku", "url": url, "api_key": DEMO_KEYS[1], **budget},
        {
            "name": "demo-profit",
            "source": "profitmetrics",
            "url": f"{url}/profitmetrics",
            "api_key": "pm_demo",
            **budget,
        },
    ]


def _exports() -> list[dict[str, Any]]:
    return [
        # Everything there ever was, as one row: the demo compares it with what was sent.
        _of_tolinku("overview", "overview", every="10s", resolution="TOTAL", lookback="all"),
        _of_tolinku("revenue", "revenue-timeseries", every="15s", lookback="7d"),
        _of_tolinku("products", "top-products", every="30s", lookback="1d", query={"limit": 50}),
        _of_tolinku(
            "attribution",
            "attribution",
            every="1m",
            resolution="TOTAL",
            lookback="7d",
            split=["model"],
            query={"model": ["last_click", "linear"]},
        ),
        {
            "name": "demo-profit-daily",
            "account": "demo-profit",
            "dataset": "reports",
            "every": "30s",
            "timezone": "Europe/Copenhagen",
            "lookback": "3d",
            "query": {
                "sites": [10000394],
                "currency": "EUR",
                "resolution": "DAY",
                "metrics": ["TURNOVER", "GROSS_PROFIT", "TOTAL_ADSPEND"],
            },
        },
    ]


def _of_tolinku(name: str, dataset: str, **more: Any) -> dict[str, Any]:
    return {"name": f"demo-{name}", "account": "demo-tolinku", "dataset": dataset, **more}
