"""What is wrong with a configuration, told so that it can be put right at once."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from runtime.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.toml_lines import Path

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. It never holds a value: that might be a secret.

    `key` is dotted and indexed (`storefronts[0].ingestion.url`; empty: the file as a whole), `line` counts from 1
    (None: not from a file, or the file as a whole), `message` says what is wrong, `cure` what to do, `source` names the
    file or the environment variable.
    """

    key: str
    line: int | None
    message: str
    cure: str
    source: str

    def __str__(self) -> str:
        """Return the fault on one line: `sluice.toml:12: broker.knid: unknown key; did you mean "kind"?`."""
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        said = f"{self.key}: {self.message}" if self.key else self.message
        return f"{place}: {said}; {self.cure}" if self.cure else f"{place}: {said}"


class ConfigError(OperatorError):
    """The configuration is faulty. `faults` holds every fault that was found, never none; its text is one of them a line."""

    exit_code: ClassVar[int] = 2

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = list(faults)


def dotted(path: Path) -> str:
    """Return a path as faults name it: `("storefronts", 0, "name")` is `storefronts[0].name`. Odd keys stand in quotes."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{_key(part)}" for part in path)
    return text.removeprefix(".")


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name)
