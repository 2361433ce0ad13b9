"""CORS, because the vendor's web SDK talks to the API from any shop's page, and by beacons with credentials
(VENDORS.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import hdrs, web

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

METHODS = "GET, POST, DELETE, OPTIONS"
HEADERS = "Content-Type, X-API-Key, Authorization"
EXPOSED = "Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, X-Usage-Warning"
MAX_AGE_SECONDS = "86400"


@web.middleware
async def cors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer preflights, and let the page that asked read every answer, errors too: beacons send credentials, so it
    is named, never `*`.
    """
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None:
        return await handler(request)
    preflight = request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
    response = web.Response(status=204) if preflight else await handler(request)
    if response.prepared:
        return response
    response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
    response.headers[hdrs.ACCESS_CONTROL_ALLOW_CREDENTIALS] = "true"
    response.headers[hdrs.VARY] = hdrs.ORIGIN
    if preflight:
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = METHODS
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = HEADERS
        response.headers[hdrs.ACCESS_CONTROL_MAX_AGE] = MAX_AGE_SECONDS
    else:
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = EXPOSED
    return response
