"""Which exports and accounts a command line means."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from runtime.errors import OperatorError
from scheduler.sources.nearest import listed, several_nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runtime.settings import ExportSettings, Settings


_SUGGESTED: Final = 3


class Misused(OperatorError):
    """The command line asks for what there is not; its text names the argument or option and says what to do."""

    exit_code: ClassVar[int] = 2


def configured(settings: Settings, names: Iterable[str]) -> list[ExportSettings]:
    """Return the exports called `names`, each once, in their order. Raises Misused for one that is not configured."""
    exports = {export.name: export for export in settings.exports}
    found = []
    for name in dict.fromkeys(names):
        if name not in exports:
            raise no_such("export", name, list(exports))
        found.append(exports[name])
    return found


def no_such(kind: str, name: str, known: Sequence[str]) -> Misused:
    """Return the error for a `name` that none of the `known` has; `kind`: what they are."""
    near = several_nearest(name, known, _SUGGESTED)
    if near:
        cure = f"did you mean {listed(near)}?"
    else:
        cure = f"there are: {', '.join(known)}" if known else f"none is configured; add it under [[{kind}s]]"
    return Misused(f"no {kind} is called {name}; {cure}")
