"""What the embedded log's tests have: a spool is one."""

from __future__ import annotations

from tests.broker.embedded.conftest import directory, opener

__all__ = ["directory", "opener"]
