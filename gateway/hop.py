"""The headers of what is passed through: what ends here, what goes on, what is added (RFC 9110 §7.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from multidict import CIMultiDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiohttp import web
    from multidict import CIMultiDictProxy

_HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_REQUEST_ENDS_HERE: Final = _HOP_BY_HOP | {"host", "content-length", "expect", "cookie", "cookie2"}
"""The client writes host and length anew; the body is read before the upstream is asked, so that nobody waits for a 100."""
_ANSWER_ENDS_HERE: Final = _HOP_BY_HOP | {
    "set-cookie",
    "set-cookie2",
    "x-request-id",
    # These say something of the upstream's own host, which the page does not see.
    "alt-svc",
    "clear-site-data",
    "strict-transport-security",
}
CREDENTIALS: Final = frozenset({"x-api-key", "authorization"})
_CORS: Final = "access-control-"
EXPOSE: Final = "Access-Control-Expose-Headers"


def request_headers(request: web.BaseRequest, without: frozenset[str] = frozenset()) -> CIMultiDict[str]:
    """Return the headers with which a request goes on; `without`: more that do not, in lower case.

    `X-Forwarded-For` grows by the sender's address; host and scheme are those that a proxy before us gave, else as they are here.
    """
    ends = _REQUEST_ENDS_HERE | without | _named(request.headers.getall("Connection", ()))
    headers = CIMultiDict((name, value) for name, value in request.headers.items() if name.lower() not in ends)
    addresses = [*request.headers.getall("X-Forwarded-For", ()), *([request.remote] if request.remote else ())]
    if addresses:
        headers["X-Forwarded-For"] = ", ".join(addresses)
    headers.setdefault("X-Forwarded-Host", request.headers.get("Host", ""))
    headers.setdefault("X-Forwarded-Proto", request.scheme)
    return headers


def answer_headers(upstream: CIMultiDictProxy[str], ours: Mapping[str, str]) -> CIMultiDict[str]:
    """Return the headers with which an answer goes back, `ours` among them: CORS is our affair alone, though what the upstream lets a
    page read remains readable.
    """
    ends = _ANSWER_ENDS_HERE | _named(upstream.getall("Connection", ()))
    headers = CIMultiDict(
        (name, value)
        for name, value in upstream.items()
        if (folded := name.lower()) not in ends and not folded.startswith(_CORS)
    )
    for name, value in ours.items():
        headers.add(name, value)
    exposed = _words(upstream.getall(EXPOSE, ()))
    if EXPOSE in headers:
        headers[EXPOSE] = ", ".join([headers[EXPOSE], *(name for name in exposed if name != "*")])
    return headers


def _named(connection: Iterable[str]) -> frozenset[str]:
    """Return the headers that `Connection` declares to be for this hop only."""
    return frozenset(name.lower() for name in _words(connection))


def _words(values: Iterable[str]) -> list[str]:
    return [word for value in values for part in value.split(",") if (word := part.strip())]
