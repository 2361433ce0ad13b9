"""The Go gateways, each on a real Kafka, and ours to compare them with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.peers.build import PeerMissingError, build
from tests.gateway.conftest import start

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["start"]


@pytest.fixture(scope="session")
def go_gateways(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The Go gateway's binaries by the name of their JSON library; skipped where there is no Go to build them."""
    try:
        return build(tmp_path_factory.mktemp("go-gateway"))
    except PeerMissingError as missing:
        pytest.skip(f"no Go gateway: {missing}")
