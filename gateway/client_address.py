"""Who sent an event, as far as the operator wants to know: the record headers `client_address` and `user_agent` (DESIGN §4)."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

CLIENT_ADDRESS = "client_address"
USER_AGENT = "user_agent"
LONGEST_USER_AGENT = 512
"""Characters. What browsers send has less than 300; what is longer is a sender's own idea, and it stands on every event."""
IPV4_PREFIX = 24
IPV6_PREFIX = 48

ClientHeaders: TypeAlias = "tuple[tuple[str, bytes], ...]"


def client_headers(record_client: Literal["none", "truncated", "full"]) -> Callable[[web.BaseRequest], ClientHeaders]:
    """Return what gives the headers of a request's sender; with "none" there are none, of any request.

    The address is the connection's: a header that names another can be written by anyone. "truncated" keeps a network of it, a /24 of
    IPv4 and a /48 of IPv6. The user agent has at most `LONGEST_USER_AGENT` printable ASCII characters, others become `?`. What the
    request does not have has no header.
    """
    if record_client == "none":
        return _none
    truncated = record_client == "truncated"

    def headers(request: web.BaseRequest) -> ClientHeaders:
        address = address_of(request.remote, truncated=truncated)
        agent = _printable(request.headers.get("User-Agent", ""))
        both = ((CLIENT_ADDRESS, address), (USER_AGENT, agent))
        return tuple((name, text.encode()) for name, text in both if text)

    return headers


def address_of(remote: str | None, *, truncated: bool) -> str:
    """Return the address of the other end, without its zone, and as IPv4 where that is mapped into IPv6; empty when there is none."""
    if not remote:
        return ""
    try:
        address = ipaddress.ip_address(remote.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if truncated:
        prefix = IPV4_PREFIX if address.version == 4 else IPV6_PREFIX  # noqa: PLR2004 - the version's name
        address = ipaddress.ip_network((address, prefix), strict=False).network_address
    return str(address)


def _none(_: web.BaseRequest) -> ClientHeaders:
    return ()


def _printable(text: str) -> str:
    text = text[:LONGEST_USER_AGENT]
    if text.isascii() and text.isprintable():
        return text
    return "".join(each if each.isascii() and each.isprintable() else "?" for each in text)
