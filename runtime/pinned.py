"""What a process keeps of the configuration that it was started with, whatever it reads later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.settings import Settings

BY_EVERY_ROLE: Final = ("admin.host", "admin.port", "gateway.drain_seconds")
"""The admin server and the drain's deadline outlive every run of a role."""


def pinned(old: Settings, new: Settings, keys: Iterable[str]) -> tuple[Settings, list[str]]:
    """Return `new` with the values that `old` has under `keys` (`section.name` each), and those keys whose values differ."""
    changed = [key for key in keys if _value(old, key) != _value(new, key)]
    values: dict[str, dict[str, Any]] = {}
    for key in changed:
        section, _, name = key.partition(".")
        values.setdefault(section, {})[name] = _value(old, key)
    sections = {section: getattr(new, section).model_copy(update=update) for section, update in values.items()}
    return new.model_copy(update=sections), changed


def _value(settings: Settings, key: str) -> Any:
    section, _, name = key.partition(".")
    return getattr(getattr(settings, section), name)
