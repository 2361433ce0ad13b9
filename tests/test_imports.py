"""Imports between rooms only go down (DESIGN §2)."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent

# What each room may import of the others.
MAY_IMPORT = {
    "runtime": set[str](),
    "schemas": {"runtime"},
    "broker": {"schemas", "runtime"},
    "gateway": {"broker", "schemas", "runtime"},
    "consumers": {"broker", "schemas", "runtime"},
    "scheduler": {"broker", "schemas", "runtime"},
    "sandbox": {"broker", "schemas", "runtime"},
    "examples": {"schemas"},
    "cli": {"gateway", "consumers", "scheduler", "sandbox", "broker", "schemas", "runtime", "examples"},
}
# Nothing of production imports these, and they may import anything.
ABOVE_ALL = {"tests", "bench"}


def imported(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the first name of every absolute import in a module, also of those inside functions and TYPE_CHECKING."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            yield node.lineno, node.module.partition(".")[0]
        elif (
            isinstance(node, ast.Call)
            and _is_dynamic(node.func)
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield node.lineno, str(node.args[0].value).partition(".")[0]


def _is_dynamic(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in ("import_module", "__import__")


def breaches(root: Path) -> list[str]:
    """Return every import under `root` that the rule forbids."""
    found = []
    for room, allowed in MAY_IMPORT.items():
        forbidden = (MAY_IMPORT.keys() | ABOVE_ALL) - allowed - {room}
        for path in sorted((root / room).rglob("*.py")):
            for line, name in imported(path.read_text(encoding="utf-8")):
                if name in forbidden:
                    found.append(f"{path.relative_to(root)}:{line}: {room} may not import {name}")
    return found


def test_every_room_is_there() -> None:
    missing = {room for room in MAY_IMPORT if not any((ROOT / room).glob("*.py"))}

    assert missing == set()


def test_every_package_of_the_distribution_is_held_to_the_rule() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}

    assert packages - ABOVE_ALL <= MAY_IMPORT.keys()


def test_imports_go_down() -> None:
    assert breaches(ROOT) == []


@pytest.mark.parametrize(
    ("room", "source", "line", "name"),
    [
        ("gateway", "import consumers.service\n", 1, "consumers"),
        ("consumers", "def late():\n    from gateway import edge\n", 2, "gateway"),
        ("broker", "import importlib\nimportlib.import_module('sandbox.app')\n", 2, "sandbox"),
        ("schemas", "if TYPE_CHECKING:\n    import broker\n", 2, "broker"),
        ("runtime", "from schemas.topics import EVENTS\n", 1, "schemas"),
        ("sandbox", "from cli import main\n", 1, "cli"),
        ("cli", "import tests.conftest\n", 1, "tests"),
    ],
)
def test_a_breach_is_found(tmp_path: Path, room: str, source: str, line: int, name: str) -> None:
    (tmp_path / room).mkdir()
    (tmp_path / room / "planted.py").write_text(source, encoding="utf-8")

    assert breaches(tmp_path) == [f"{room}/planted.py:{line}: {room} may not import {name}"]
