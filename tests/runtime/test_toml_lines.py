from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.toml_lines import Path, lines_of

if TYPE_CHECKING:
    from collections.abc import Iterator


def line_numbers(text: str) -> dict[Path, int]:
    """Each key below its own line number: the document says where it stands."""
    tomllib.loads(text)
    return lines_of(text)


def test_tables_keys_and_dotted_keys() -> None:
    lines = line_numbers('# first\n\n[broker]\nkind = "kafka" # a = 1\n"quoted key".b = 1\n[a.b]\nc.d = 2\n')

    assert lines == {
        ("broker",): 3,
        ("broker", "kind"): 4,
        ("broker", "quoted key"): 5,
        ("broker", "quoted key", "b"): 5,
        ("a", "b"): 6,
        ("a", "b", "c"): 7,
        ("a", "b", "c", "d"): 7,
    }


def test_arrays_of_tables_are_counted_and_their_subtables_belong_to_the_last() -> None:
    text = """[[shops]]
name = "a"
[shops.api]
url = "x"
[[shops.api.keys]]
[[shops.api.keys]]
[[ shops ]]
[ shops . api ]
url = "y"
"""
    lines = line_numbers(text)

    assert lines["shops", 0] == 1
    assert lines["shops", 0, "api", "url"] == 4
    assert lines["shops", 0, "api", "keys", 1] == 6
    assert lines["shops", 1] == 7
    assert lines["shops", 1, "api", "url"] == 9


def test_lists_over_several_lines_and_inline_tables() -> None:
    text = 'keys = [ # one\n  "a", # "b",\n\n  \'c\',\n  { url = "]", more = [1,\n 2] },\n]\nlast = 1\n'
    lines = line_numbers(text)

    assert [lines["keys", index] for index in range(3)] == [2, 4, 5]
    assert lines["keys", 2, "more", 1] == 6
    assert lines["last",] == 8


@pytest.mark.parametrize(
    "value",
    [
        '"""\n[no.table]\nx = 1 \\""" still\n"""',
        "'''\n[no.table]\nx = 1\n\\'''",
        '"""ends with two quotes"""""',
        "'''ends with one quote''''",
        '"an escaped \\" quote # and no comment"',
        "'C:\\no\\escape\\'",
        "1979-05-27 07:32:00",
        "[[1, 2], [], {}]",
        "+1_000.5e-3",
    ],
)
def test_whatever_the_value_the_next_key_is_found(value: str) -> None:
    text = f"first = {value}\nsecond = 1\n"
    lines = line_numbers(text)

    assert lines["second",] == text[: text.index("second")].count("\n") + 1
    assert ("no",) not in lines


def test_windows_line_ends() -> None:
    assert line_numbers('[a]\r\nb = """x\r\ny"""\r\nc = 1\r\n')["a", "c"] == 4


characters = st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"])
names = st.text(characters, min_size=1, max_size=4)
scalars = st.one_of(st.integers(-9, 9), st.booleans(), st.text(characters, max_size=5))
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=6
)


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(key)} = {inline(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",\n".join(map(inline, value)) + " # ]\n]"
    return json.dumps(value, ensure_ascii=False)


def paths(value: Any, at: Path = ()) -> Iterator[Path]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in inner:
        yield (*at, key)
        yield from paths(below, (*at, key))


@given(st.dictionaries(names, st.lists(st.dictionaries(names, values, max_size=3), min_size=1, max_size=2), max_size=3))
def test_every_path_that_tomllib_reads_has_its_line(document: dict[str, list[dict[str, Any]]]) -> None:
    written: list[str] = []
    for name, tables in document.items():
        for table in tables:
            written.append(f"[[{quoted(name)}]]\n")
            written += [f"{quoted(key)} = {inline(value)}\n" for key, value in table.items()]
    text = "".join(written)
    lines = lines_of(text)

    assert tomllib.loads(text) == document
    assert set(paths(document)) == set(lines)
    rows = text.splitlines()
    for path, line in lines.items():
        if isinstance(path[-1], str) and len(path) > 1:
            assert quoted(path[-1]) in rows[line - 1]
