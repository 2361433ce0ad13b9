"""Asks a node who is there: the test of whether it really answers, without an event loop."""

from __future__ import annotations

import socket
import struct
from io import BytesIO

from aiokafka.protocol.api import RequestHeader_v1, ResponseHeader_v0
from aiokafka.protocol.metadata import MetadataRequest_v1


def brokers_known(port: int, timeout: float = 2) -> int:
    """Return how many brokers the node at 127.0.0.1:`port` knows to be alive. Waits up to `timeout` s; raises
    OSError without an answer.
    """
    request = MetadataRequest_v1([])
    frame = RequestHeader_v1(request, correlation_id=1, client_id="sluice-tests").encode() + request.encode()
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        connection.sendall(struct.pack(">i", len(frame)) + frame)
        (size,) = struct.unpack(">i", _exactly(connection, 4))
        answer = BytesIO(_exactly(connection, size))
    ResponseHeader_v0.decode(answer)
    return len(request.RESPONSE_TYPE.decode(answer).brokers)


def _exactly(connection: socket.socket, size: int) -> bytes:
    parts = b""
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        if not part:
            raise ConnectionError("the node closed the connection")
        parts += part
    return parts
