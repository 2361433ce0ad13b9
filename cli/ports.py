"""The ports of `sluice up`: all there before anything starts, or one line that names the key to change."""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from runtime.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Iterable


class Wanted(NamedTuple):
    """A port that the configuration gives with `key`; 0 means any."""

    key: str
    host: str
    port: int


def reserve(wanted: Iterable[Wanted]) -> dict[str, int]:
    """Return the port for each key: the configured one, or a free one for 0.

    Nothing listens on any of them when this returns. Raises OperatorError when one is in use or cannot be had.
    """
    with ExitStack() as held:
        # All are held until the last is had, so that two keys with one port are noticed too.
        return {one.key: held.enter_context(_bound(one)).getsockname()[1] for one in wanted}


def variable(key: str) -> str:
    """Return the environment variable that overrides `key`."""
    return "SLUICE_" + key.upper().replace(".", "__")


def _bound(wanted: Wanted) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(wanted.host, wanted.port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        why = "it is in use" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
        raise OperatorError(
            f"cannot listen on {wanted.host}:{wanted.port}: {why}; change {wanted.key} (or set {variable(wanted.key)})"
        ) from None
