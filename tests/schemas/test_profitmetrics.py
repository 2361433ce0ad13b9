"""The catalogue of seed 000."""

from __future__ import annotations

import pytest

from schemas.profitmetrics import CHANNELS, METRICS, NAMES


def test_the_catalogue_is_whole_and_labels_can_be_mapped_back() -> None:
    assert len(METRICS) == 151
    assert list(NAMES.values()) == list(METRICS)
    assert all(metric.name == name and metric.label == metric.label.strip() for name, metric in METRICS.items())


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("NUMBER_OF_ORDERS", "Orders"),
        ("BLENDED_ROAS", "Blended ROAS (MER)"),
        ("GOOGLE_ADSPEND", "Google Ads Ad spend (in-platform)"),
        ("ADSPEND_BY_CHANNEL", "Adspend by channel"),
        ("GOOGLE_ADSPEND_TIMESTAMP", "Google Ads Ad spend timestamp"),
        ("GOOGLE_PROFIT_AFTER_ADSPEND_ORDER_BASED", "Google ads Profit after ad spend (orders with click based)"),
        (
            "GOOGLE_DIFFERENCE_MODELLED_VS_ORDERS_WITH_CLICK",
            "% Difference: Google Modelled vs Click ID Orders",
        ),
        (
            "RECURRING_ORDERS_RETURN_EXTRA_PAYMENT_COST_ORDER_TIME",
            "Recurring Order Return Extra Payment Cost (order time)",
        ),
    ],
)
def test_a_label_keeps_its_own_brackets_only(name: str, label: str) -> None:
    assert METRICS[name].label == label


def test_two_metrics_are_no_plain_numbers() -> None:
    kinds = {name: metric.kind for name, metric in METRICS.items() if metric.kind != "number"}
    assert kinds == {"ADSPEND_BY_CHANNEL": "channels", "GOOGLE_ADSPEND_TIMESTAMP": "timestamp"}


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("TURNOVER", set()),
        ("ADSPEND_MANUAL", set()),
        ("NUMBER_OF_RETURNS_ORDER_TIME", set()),
        ("TOTAL_ADSPEND", set(CHANNELS)),
        ("BLENDED_POAS", set(CHANNELS)),
        ("ADSPEND_PARTNERADS", {"Partner Ads"}),
        ("PARTNERADS_ADSPEND", {"Partner Ads"}),
        ("ADSPEND_OTHER", {"Other", "Adtraction", "Daisycon"}),
        ("GOOGLE_NUMBER_OF_ORDERS_WITH_CLICK", {"Google"}),
        ("GOOGLE_META_NUMBER_OF_ORDERS_WITH_BOTH_CLICKS", {"Google", "Meta"}),
        ("META_CPA", {"Meta"}),
    ],
)
def test_what_set_up_a_metric_needs(name: str, channels: set[str]) -> None:
    assert METRICS[name].channels == channels


def test_every_channel_has_a_metric_of_its_own() -> None:
    assert {channel for metric in METRICS.values() if len(metric.channels) < 4 for channel in metric.channels} == set(
        CHANNELS
    )


def test_a_blend_needs_only_what_is_connected() -> None:
    assert METRICS["TOTAL_ADSPEND"].blends
    assert METRICS["ADSPEND_OTHER"].blends
    assert not METRICS["GOOGLE_META_NUMBER_OF_ORDERS_WITH_BOTH_CLICKS"].blends
    assert not METRICS["TURNOVER"].blends
