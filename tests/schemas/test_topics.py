"""The topic catalogue of RECORDS §1."""

from __future__ import annotations

import zlib

import pytest

from schemas import topics


def test_events_topics_carry_their_storefront() -> None:
    assert topics.events_topic("acme") == "ecommerce.events.acme"
    assert topics.storefront_of("ecommerce.events.acme") == "acme"
    with pytest.raises(ValueError, match=r"ecommerce\.rejected holds no storefront's events"):
        topics.storefront_of("ecommerce.rejected")


def test_what_each_topic_keeps() -> None:
    events = topics.events_spec("acme", 6)
    assert (events.partitions, events.cleanup, events.retention_ms) == (6, "delete", 40 * 24 * 3600 * 1000)
    assert (events.max_message_bytes, events.log_append_time, events.held_by) == (2 * 2**20, True, "sluice-forwarder")
    assert topics.rejected_spec(3).retention_ms == 7 * 24 * 3600 * 1000
    assert topics.rejected_spec(3).max_message_bytes == topics.dead_letters_spec(3).max_message_bytes == 4 * 2**20
    assert topics.dead_letters_spec(3).retention_ms == 40 * 24 * 3600 * 1000
    assert topics.commands_spec(3).cleanup == "compact"


def test_what_the_scheduler_writes_is_compacted() -> None:
    rows, ledger = topics.metrics_spec("commerce_layer", "orders.stats", 6), topics.ledger_spec(3)

    assert (rows.name, rows.partitions) == ("metrics.commerce_layer.orders.stats", 6)
    assert (ledger.name, ledger.partitions) == ("scheduler.ledger", 3)
    for spec in (rows, ledger):
        assert (spec.cleanup, spec.retention_ms, spec.log_append_time) == ("compact", 7 * 24 * 3600 * 1000, False)
    assert rows.max_message_bytes == 4 * 2**20
    assert ledger.max_message_bytes == 2**20
    assert topics.SCHEDULER_GROUP == "sluice-scheduler"


def test_the_partition_of_a_key_is_librdkafkas_consistent_rule() -> None:
    assert topics.partition_of(b"user_123", 6) == zlib.crc32(b"user_123") % 6
