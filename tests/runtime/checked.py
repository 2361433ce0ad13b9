"""A configuration file under test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime import config

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from runtime.settings import Settings

SHOP = """
[[storefronts]]
name = "acme"
publishable_keys = ["tolk_pub_acme"]
[storefronts.ingestion]
url = "https://acme.tolinku.com"
api_key = "tolk_sec_acme"
"""


class Checked:
    """A configuration file in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "sluice.toml"

    def load(self, text: str, environ: Mapping[str, str] | None = None) -> Settings:
        self.path.write_text(text, encoding="utf-8")
        return config.load(self.path, environ or {})

    def faults(self, text: str, environ: Mapping[str, str] | None = None) -> list[str]:
        """Each fault as it is shown, without the file's directory."""
        with pytest.raises(config.ConfigError) as caught:
            self.load(text, environ)
        assert caught.value.exit_code == 2
        return [str(fault).removeprefix(f"{self.path.parent}/") for fault in caught.value.faults]
