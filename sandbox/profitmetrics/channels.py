"""What a site's set-up lets be calculated: which marketing channels count, and which metrics are "N/A"."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection

    from sandbox.profitmetrics.switches import Site
    from schemas.profitmetrics import Channel, Metric


class Allowance(NamedTuple):
    """The two flags of a report. `missing` (`calculateWithNotConfiguredMarketingChannels`): channels that are not
    configured count as zero. `partial` (`allowPartialMarketingChannels`): channels with some of their actions count.
    """

    missing: bool = False
    partial: bool = False


def counted(site: Site, allowance: Allowance) -> frozenset[Channel]:
    """Return the channels of a site whose figures are part of an answer."""
    states = {"configured", "partial"} if allowance.partial else {"configured"}
    return frozenset(channel for channel, state in site.channels.items() if state in states)


def is_available(metric: Metric, sites: Collection[Site], allowance: Allowance) -> bool:
    """Return whether a metric can be computed for all the sites together."""
    if any(metric.name in site.missing_settings for site in sites):
        return False
    return allowance.missing or all(_configured(metric, site) for site in sites)


def _configured(metric: Metric, site: Site) -> bool:
    needed = metric.channels & site.channels.keys() if metric.blends else metric.channels
    return all(site.channels.get(channel) == "configured" for channel in needed)
