"""How a worker of a role learns that it is one: its parent hands it the socket to listen on."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Final

from runtime.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Mapping

WORKER_FD: Final = "SLUICE_WORKER_FD"


def is_one(environ: Mapping[str, str]) -> bool:
    """Say whether this process is a worker."""
    return bool(environ.get(WORKER_FD))


def listener(environ: Mapping[str, str]) -> socket.socket | None:
    """Return the socket that the parent listens on for this process, the caller's to close; None when it is no worker. What the parent
    handed down stays open for who asks again, until `release`. Raises OperatorError when there is none of that number.
    """
    value = environ.get(WORKER_FD)
    if not value:
        return None
    try:
        descriptor = int(value)
        os.set_inheritable(descriptor, False)  # noqa: FBT003  # it is for this process
        return socket.socket(fileno=os.dup(descriptor))
    except (ValueError, OSError) as error:
        raise OperatorError(
            f'{WORKER_FD}: "{value}" is no open socket; a gateway sets it for its workers, unset it'
        ) from error


def release(environ: Mapping[str, str]) -> None:
    """Close what the parent handed down, if this is a worker: nobody will ask for it again. To be called once. Raises OSError."""
    value = environ.get(WORKER_FD)
    if value:
        os.close(int(value))
