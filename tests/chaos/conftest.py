from __future__ import annotations

from tests.chaos.fixtures import make_world, session

__all__ = ["make_world", "session"]
