"""The operations that the gateway passes through to the vendor: the seed's queries (003), and whatever else its API has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from schemas.openapi_answers import headers, references
from schemas.openapi_paths import ECOMMERCE, SECRET_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

PASSAGE: Final = "/v1/api/{path}"
METHODS: Final = ("get", "head", "post", "put", "patch", "delete")
_AS_IT_IS: Final = (
    "An answer of the vendor's comes as it is, whatever its status; what is described here is the gateway's own."
)
_QUERY_STATUSES: Final = frozenset({400, 401, 403, 500, 502, 503, 504})
_PASSAGE_STATUSES: Final = frozenset({400, 403, 404, 405, 408, 413, 500, 502, 503, 504})


def _parameter(name: str, schema: Mapping[str, Any], description: str, *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": required, "description": description, "schema": schema}


_RANGE: Final = (
    _parameter("days", {"type": "integer", "default": 30}, "How many days to look back."),
    _parameter("start", {"type": "string", "format": "date"}, "The first day; with `end`."),
    _parameter("end", {"type": "string", "format": "date"}, "The last day; with `start`."),
)
_MODELS: Final = {"type": "string", "enum": ["last_click", "linear", "time_decay"], "default": "last_click"}
_WINDOWS: Final = {"type": "integer", "enum": [7, 14, 30, 60, 90], "default": 30}
_LIMIT: Final = {"type": "integer", "default": 20, "maximum": 100}
_QUERIES: Final[Mapping[str, tuple[str, tuple[dict[str, Any], ...]]]] = {
    "overview": ("Aggregate revenue metrics", ()),
    "revenue-timeseries": ("Revenue by day", ()),
    "funnel": ("Conversion from product views to purchases, step by step", ()),
    "top-products": ("Best-selling products", (_parameter("limit", _LIMIT, "How many products."),)),
    "revenue-by-channel": ("Revenue by campaign, source and medium", ()),
    "revenue-by-coupon": ("Revenue and use of each coupon code", ()),
    "revenue-by-device": ("Revenue by type of device", ()),
    "revenue-by-platform": ("Revenue by operating system", ()),
    "revenue-by-country": ("Revenue by country", ()),
    "cart-abandonment": ("Abandoned carts", ()),
    "attribution": (
        "Revenue by campaign, as a model attributes it",
        (
            _parameter("model", _MODELS, "Which model."),
            _parameter("window", _WINDOWS, "Within how many days."),
        ),
    ),
    "cohorts": (
        "Revenue by month of acquisition",
        (_parameter("months", {"type": "integer", "default": 6}, "How many months."),),
    ),
    "user-journey": (
        "What one user did",
        (_parameter("user_id", {"type": "string"}, "Which user.", required=True),),
    ),
}


def passed_paths(statuses: Mapping[str, int]) -> dict[str, Any]:
    """Return the path items, by path; `statuses`: of each code that a refusal may have."""
    queries = {
        f"{ECOMMERCE}/{name}": {"get": _query(name, summary, [*_RANGE, *own], statuses)}
        for name, (summary, own) in _QUERIES.items()
    }
    return queries | {PASSAGE: _passage(statuses)}


def _query(name: str, summary: str, parameters: list[dict[str, Any]], statuses: Mapping[str, int]) -> dict[str, Any]:
    first, *others = name.split("-")
    return {
        "operationId": first + "".join(word.title() for word in others),
        "summary": summary,
        "description": f"With a secret key. {_AS_IT_IS}",
        "security": SECRET_KEY,
        "parameters": parameters,
        "responses": {
            "200": {
                "description": "The vendor's answer",
                "headers": headers(),
                "content": {"application/json": {"schema": {"type": "object"}}},
            }
        }
        | references(set(statuses.values()) & _QUERY_STATUSES),
    }


def _passage(statuses: Mapping[str, int]) -> dict[str, Any]:
    path = {
        "name": "path",
        "in": "path",
        "required": True,
        "description": "Any path of the vendor's API that is not among the others, slashes included.",
        "schema": {"type": "string"},
    }
    refused = references(set(statuses.values()) & _PASSAGE_STATUSES)
    operations = {
        method: {
            "operationId": f"{method}Passed",
            "summary": "Pass through to the vendor",
            "description": f"With the caller's own credentials. {_AS_IT_IS}",
            "responses": {"default": {"description": "The vendor's answer", "headers": headers()}} | refused,
        }
        for method in METHODS
    }
    return {"parameters": [path]} | operations
