from __future__ import annotations

from pydantic import SecretStr

from consumers.service import not_in_force, topics
from runtime.settings import IngestionSettings, Settings, StorefrontSettings


def shop(name: str, requests_per_minute: int | None = None) -> StorefrontSettings:
    ingestion = IngestionSettings(
        url="http://127.0.0.1:1", api_key=SecretStr("tolk_sec_x"), requests_per_minute=requests_per_minute
    )
    return StorefrontSettings(name=name, publishable_keys=[SecretStr(f"tolk_pub_{name}")], ingestion=ingestion)


def test_settings_that_this_version_does_not_act_on_are_named() -> None:
    settings = Settings(storefronts=[shop("acme"), shop("beta", 900)])
    assert not_in_force(settings) == ["storefronts[1].ingestion.requests_per_minute"]


def test_a_forwarder_needs_its_storefronts_topics_and_the_dead_letters() -> None:
    names = [spec.name for spec in topics(Settings(storefronts=[shop("acme"), shop("beta")]))]
    assert names == ["ecommerce.events.acme", "ecommerce.events.beta", "ecommerce.dead-letters", "commands"]
