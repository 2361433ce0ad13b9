from __future__ import annotations

from pydantic import SecretStr

from consumers.service import topics
from runtime.settings import IngestionSettings, Settings, StorefrontSettings


def shop(name: str) -> StorefrontSettings:
    ingestion = IngestionSettings(url="http://127.0.0.1:1", api_key=SecretStr("tolk_sec_x"))
    return StorefrontSettings(name=name, publishable_keys=[SecretStr(f"tolk_pub_{name}")], ingestion=ingestion)


def test_a_forwarder_needs_its_storefronts_topics_and_the_dead_letters() -> None:
    names = [spec.name for spec in topics(Settings(storefronts=[shop("acme"), shop("beta")]))]
    assert names == ["ecommerce.events.acme", "ecommerce.events.beta", "ecommerce.dead-letters", "commands"]
