"""Addresses as the configuration writes them: base URLs, browser origins, Kafka's servers, hosts that overlap."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from runtime.references import fault

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_MAX_PORT: Final = 65_535
_ANY_HOST: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104  # compared with, not listened on
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_SERVER: Final = re.compile(r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})$")


def base_url(value: str) -> str:
    """Return an API's base URL without the slash at its end. Raises `references.fault` for anything but http(s)://host[:port][/path]."""
    parts = _split(value)
    cure = 'write it like "https://acme.tolinku.com"'
    if parts is None or parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise fault("is no http(s) URL with a host", cure)
    if parts.username is not None or parts.password is not None:
        raise fault("holds credentials", "leave them out; the key stands in api_key")
    if parts.query or parts.fragment or "?" in value or "#" in value:
        raise fault("has a query or a fragment", cure)
    return value.rstrip("/")


def origin(value: str) -> str:
    """Return a browser's origin as browsers write it. Raises `references.fault` for what no browser sends."""
    if value == "*":
        raise fault('"*" is no origin', "leave origins empty to allow any")
    parts = _split(value)
    if parts is None or not parts.scheme or not parts.hostname:
        raise fault("is no origin", 'write scheme://host[:port], like "https://shop.acme.example"')
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = "" if parts.port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f":{parts.port}"
    sent = f"{parts.scheme}://{host}{port}"
    if value != sent:
        raise fault("is not as browsers send it: no path, lower case, no default port", f'write "{sent}"')
    return value


def servers(value: str) -> str:
    """Return a list of Kafka servers, `host:port[,host:port…]`. Raises `references.fault`."""
    for server in value.split(","):
        match = _SERVER.match(server.strip())
        if match is None or not 0 < int(match[2]) <= _MAX_PORT:
            raise fault("is no list of servers", 'write it like "kafka-1:9092,kafka-2:9092"')
    return value


def overlap(one: str, other: str) -> bool:
    """Say whether a server on host `one` and one on host `other` cannot have the same port."""
    return one == other or bool({one, other} & _ANY_HOST) or {one, other} <= _LOOPBACK


def url_of(host: str, port: int) -> str:
    """Return the URL at which a server that listens on `host`:`port` is reached from the same machine."""
    reached = "127.0.0.1" if host in _ANY_HOST else host
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def _split(value: str) -> SplitResult | None:
    if not value.isascii() or not value.isprintable() or " " in value:
        return None
    try:
        parts = urlsplit(value)
        if parts.port == 0:
            return None
    except ValueError:  # brackets, a port that is no number or too high
        return None
    return parts
