"""The configuration's part that stands in environment variables: `SLUICE_BROKER__KIND` is `broker.kind`."""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING, Any, Final

from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from runtime.faults import Fault
from runtime.settings import Section, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic.fields import FieldInfo

    from runtime.toml_lines import Path

PREFIX: Final = "SLUICE_"
DELIMITER: Final = "__"
NOT_SETTINGS: Final = ("SLUICE_LOG_LEVEL", "SLUICE_LOG_FORMAT", "SLUICE_DEBUG", "SLUICE_PARENT_FD", "SLUICE_WORKER_FD")
"""Variables of ours that set no key: runtime.logs and runtime.parent tell what they do."""

_CLOSE: Final = 0.85

# Kubernetes tells every pod of the services around it: one called `sluice` or `sluice-gateway` looks like ours.
_SERVICE_LINK: Final = re.compile(r"_SERVICE_(HOST|PORT)(_\w+)?$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$")
_SERVICE_URL: Final = re.compile(r"^(tcp|udp|sctp)://")


class _Schema(BaseSettings, Settings):
    """The settings as pydantic-settings wants to see them."""

    model_config = SettingsConfigDict(env_prefix=PREFIX.lower(), env_nested_delimiter=DELIMITER)


class _Source(EnvSettingsSource):
    """pydantic-settings' reading of variables, from a mapping instead of the process; leaves judging the values to validation."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(_Schema)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        # An empty variable counts as absent: what Compose makes of one that is not set.
        return {name.lower(): value for name, value in self._environ.items() if value}

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:  # noqa: ARG002  # given
        try:
            return json.loads(value)
        except ValueError:
            return value  # a list or table that is no JSON is a fault among the others


def read(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return what `environ` sets, as a tree of tables; values are as they stand."""
    return _Source(environ)()


def variable(path: Path) -> str:
    """Return the name of the variable that sets `path`."""
    return PREFIX + DELIMITER.join(str(part) for part in path).upper()


def unknown(environ: Mapping[str, str], referenced: frozenset[str]) -> Iterator[Fault]:
    """Yield a fault for each variable that means to set something and does not: a misspelt section, one underscore for
    two.

    Misspelt keys of known sections are not told here: they are in the tree that `read` returns. A variable that
    resembles none of ours is somebody else's, as are those in `referenced` (secrets).
    """
    sections = set(Settings.model_fields)
    known = [name.removeprefix(PREFIX) for name in (*map(variable, _paths()), *NOT_SETTINGS)]
    for name, value in sorted(environ.items()):
        upper = name.upper()
        if (
            not upper.startswith(PREFIX)
            or name in referenced
            or not value
            or upper.removeprefix(PREFIX) in known
            or _is_service_link(upper, value)
        ):
            continue
        section = upper.removeprefix(PREFIX).partition(DELIMITER)[0].lower()
        if DELIMITER in upper and section in sections:
            continue
        near = difflib.get_close_matches(upper.removeprefix(PREFIX), known, n=1, cutoff=_CLOSE)
        if near or DELIMITER in upper:
            cure = f"did you mean {PREFIX}{near[0]}?" if near else f"sections are {', '.join(sorted(sections))}"
            yield Fault("", None, "sets nothing", cure, name)


def _is_service_link(name: str, value: str) -> bool:
    return _SERVICE_LINK.search(name) is not None or (name.endswith("_PORT") and _SERVICE_URL.match(value) is not None)


def _paths() -> Iterator[Path]:
    """Yield every path that a variable can set."""
    for section, field in Settings.model_fields.items():
        yield (section,)
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            for key in field.annotation.model_fields:
                yield (section, key)
