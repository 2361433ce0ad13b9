"""What every test can use; it stands here because pytest takes plugins only from the root."""

from __future__ import annotations

pytest_plugins = ["tests.kafka.fixtures"]
