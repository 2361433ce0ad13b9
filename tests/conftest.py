"""What holds for every test: no network but loopback, no blocked event loop, nothing that fails unheard."""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from blockbuster import blockbuster_ctx

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["pytester", "tests.kafka.fixtures"]

TESTS = Path(__file__).parent
# Whose event loop must never wait for a disk, a lock or a socket. The broker's suite sees to its own.
NEVER_BLOCKING = ("gateway", "consumers", "runtime")


def _is_loopback(host: Any) -> bool:
    text = host.decode() if isinstance(host, bytes) else str(host)
    if text in ("", "localhost", socket.gethostname()):
        return True
    try:
        return ipaddress.ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _loopback_only(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse to connect to or look up anything but this machine. uvloop goes past this: real processes are run with it only."""
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        refused = isinstance(address, tuple) and not _is_loopback(address[0])
    elif event == "socket.getaddrinfo":
        refused = arguments[0] is not None and not _is_loopback(arguments[0]) and not _is_any(arguments[0])
    else:
        return
    if refused:
        raise PermissionError(
            f"a test went to the network: {event} {arguments[1:] if event != 'socket.getaddrinfo' else arguments[0]}"
        )


def _is_any(host: Any) -> bool:
    return host in ("0.0.0.0", "::", b"0.0.0.0", b"::")  # noqa: S104  # to listen on


def pytest_configure() -> None:
    for name in [name for name in os.environ if name.startswith("SLUICE_")]:
        del os.environ[name]  # what this shell configures is not what a test expects
    if "KAFKA_BOOTSTRAP_SERVERS" not in os.environ:  # a Kafka that was given may be anywhere
        sys.addaudithook(_loopback_only)


@pytest.fixture(autouse=True)
def _nothing_blocks(request: pytest.FixtureRequest) -> Iterator[None]:
    """A call out of these rooms that blocks a running event loop fails the test."""
    room = request.path.relative_to(TESTS).parts[0]
    if room not in NEVER_BLOCKING:
        yield
        return
    with blockbuster_ctx(["runtime", room]) as watch:
        for function in watch.functions.values():
            function.can_block_in("runtime/metrics.py", "__init__")  # made once, before anything serves
        yield


class _Heard(logging.Handler):
    """Keeps what asyncio complains of: exceptions that nobody retrieved, callbacks that raised."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.complaints: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self.complaints.append(record.getMessage() if error is None else f"{record.getMessage()}: {error!r}")


@pytest.fixture(autouse=True)
def _nothing_is_unheard() -> Iterator[None]:
    """An exception in a task or a callback that nobody looked at fails the test."""
    heard = _Heard()
    logger = logging.getLogger("asyncio")
    logger.addHandler(heard)
    yield
    logger.removeHandler(heard)
    assert heard.complaints == []
