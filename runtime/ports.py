"""Ports for a process's own children."""

from __future__ import annotations

import socket


def free_port() -> int:
    """Return a loopback port on which nothing listens at present."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
