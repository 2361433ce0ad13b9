"""Every topic that the configured roles use."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import consumers.service
import gateway.configured
import scheduler.portfolio

LIKENESS = 0.8
"""How like a name must be to be meant, from 0 to 1: all our topics begin alike."""

if TYPE_CHECKING:
    from runtime.settings import Settings
    from schemas.topics import TopicSpec


def topics(settings: Settings) -> list[TopicSpec]:
    """Return how each topic should be, once."""
    wanted = [*gateway.configured.topics(settings), *consumers.service.topics(settings)]
    if settings.exports:
        wanted += scheduler.portfolio.topics(settings)
    return list({spec.name: spec for spec in wanted}.values())


def near(settings: Settings, topic: str) -> list[str]:
    """Return up to three topics that `topic` may have been meant for, likeliest first; a storefront's name counts too."""
    names = [spec.name for spec in topics(settings)]
    by_end = [name for name in names if name.endswith(f".{topic}")]
    return [
        *by_end,
        *(name for name in difflib.get_close_matches(topic, names, cutoff=LIKENESS) if name not in by_end),
    ][:3]
