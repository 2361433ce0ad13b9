"""Values for hypothesis that keep to a JSON Schema, and others that are near it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hypothesis import strategies as st

from tests.schemas.json_schema import schema_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy

TEXT: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
INTEGER: Final = st.integers(-(2**53), 2**53)
NUMBER: Final = INTEGER | st.floats(allow_nan=False, allow_infinity=False)
JSON: Final[SearchStrategy[Any]] = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def values(root: Any, schema: Any) -> SearchStrategy[Any]:
    """Return a strategy for values that keep to a schema of the document `root`; objects get fields of their own now and then."""
    schema = schema_at(root, schema)
    if "anyOf" in schema:
        return st.one_of([values(root, each) for each in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    by_type: dict[str, Callable[[], SearchStrategy[Any]]] = {
        "object": lambda: _objects(root, schema),
        "array": lambda: _arrays(root, schema),
        "string": lambda: TEXT.filter(lambda text: len(text) >= schema.get("minLength", 0)),
        "integer": lambda: INTEGER,
        "number": lambda: NUMBER,
        "boolean": st.booleans,
        "null": st.none,
    }
    return by_type[schema["type"]]()


def near(good: SearchStrategy[Any]) -> SearchStrategy[Any]:
    """Return a strategy for objects of `good` with some fields left out, and others of any value."""
    return st.builds(
        _spoilt, good, st.lists(st.tuples(st.integers(0, 20), JSON), min_size=1, max_size=2), st.booleans()
    )


def _spoilt(fields: Any, changes: list[tuple[int, Any]], leave_out: bool) -> Any:  # noqa: FBT001 - hypothesis calls it
    if not isinstance(fields, dict):
        return fields
    names = list(fields)
    spoilt = dict(fields)
    for place, value in changes:
        name = names[place % len(names)]
        if leave_out:
            spoilt.pop(name, None)
        else:
            spoilt[name] = value
    return spoilt


def _arrays(root: Any, schema: Any) -> SearchStrategy[list[Any]]:
    least = schema.get("minItems", 0)
    return st.lists(values(root, schema["items"]), min_size=least, max_size=least + 2)


def _objects(root: Any, schema: Any) -> SearchStrategy[dict[str, Any]]:
    fields = {name: values(root, each) for name, each in schema.get("properties", {}).items()}
    required = set(schema.get("required", ()))
    named = st.fixed_dictionaries(
        {name: each for name, each in fields.items() if name in required},
        optional={name: each for name, each in fields.items() if name not in required},
    )
    more = values(root, schema["additionalProperties"]) if "additionalProperties" in schema else JSON
    others = st.dictionaries(TEXT.filter(lambda name: name not in fields), more, max_size=2)
    return st.builds(lambda some, own: some | own, others, named)
