"""Answers that nobody had to send."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
from multidict import CIMultiDict

from scheduler.body import Body
from scheduler.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


async def reply(
    status: int, body: Any = b"", headers: Mapping[str, str] | None = None, directory: Path | None = None
) -> Reply:
    """Return an answer with `body`, as JSON unless it is bytes."""
    staged = Body(directory)
    await staged.write(body if isinstance(body, bytes) else orjson.dumps(body))
    await staged.finish()
    return Reply(status, CIMultiDict(headers or {}), staged, NOW)
