"""As much of JSON Schema as our documents use: where a value does not keep to a schema. A keyword that is not known here is an error."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_SAY_NOTHING: Final = {"title", "description", "default", "discriminator"}
_KNOWN: Final = _SAY_NOTHING | {
    "anyOf",
    "type",
    "enum",
    "const",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "minimum",
    "pattern",
}


def resolved(root: Any, node: Any) -> Any:
    """Return a part of the document `root`, that which it refers to in its place."""
    while "$ref" in node:
        assert node["$ref"].startswith("#/")
        path = node["$ref"].removeprefix("#/").split("/")
        node = root
        for name in path:
            node = node[name]
    return node


def schema_at(root: Any, schema: Any) -> Any:
    """Return a schema, resolved and known to be understood."""
    schema = resolved(root, schema)
    unknown = schema.keys() - _KNOWN
    assert not unknown, f"keywords of JSON Schema that are not known here: {unknown}"
    return schema


def faults(root: Any, schema: Any, value: Any, path: str = "$") -> Iterator[str]:
    """Yield where a value does not keep to a schema of the document `root`."""
    schema = schema_at(root, schema)
    if "anyOf" in schema and all(any(faults(root, each, value)) for each in schema["anyOf"]):
        yield f"{path}: is none of anyOf"
    if "type" in schema and not _is_a(schema["type"], value):
        yield f"{path}: is no {schema['type']}"
        return
    if value not in schema.get("enum", [value]) or value != schema.get("const", value):
        yield f"{path}: is another value"
    if isinstance(value, str):
        yield from _text_faults(schema, value, path)
    elif isinstance(value, list):
        yield from _array_faults(root, schema, value, path)
    elif isinstance(value, dict):
        yield from _object_faults(root, schema, value, path)
    elif "minimum" in schema and value < schema["minimum"]:
        yield f"{path}: is less than {schema['minimum']}"


def _is_a(name: str, value: Any) -> bool:
    return isinstance(value, _TYPES[name]) and (name == "boolean") == isinstance(value, bool)


def _text_faults(schema: Any, text: str, path: str) -> Iterator[str]:
    if not schema.get("minLength", 0) <= len(text) <= schema.get("maxLength", len(text)):
        yield f"{path}: has {len(text)} characters"
    if re.search(schema.get("pattern", ""), text) is None:
        yield f"{path}: does not match {schema['pattern']}"


def _array_faults(root: Any, schema: Any, items: list[Any], path: str) -> Iterator[str]:
    if not schema.get("minItems", 0) <= len(items) <= schema.get("maxItems", len(items)):
        yield f"{path}: has {len(items)} items"
    for index, each in enumerate(items):
        yield from faults(root, schema.get("items", {}), each, f"{path}[{index}]")


def _object_faults(root: Any, schema: Any, fields: dict[str, Any], path: str) -> Iterator[str]:
    yield from (f"{path}.{name}: is missing" for name in schema.get("required", ()) if name not in fields)
    for name, each in fields.items():
        its = schema.get("properties", {}).get(name, schema.get("additionalProperties", {}))
        yield from faults(root, its, each, f"{path}.{name}")
