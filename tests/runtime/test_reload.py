"""SIGHUP, to a real process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent.parent
STOREFRONT = """
[[storefronts]]
name = "{name}"
publishable_keys = ["{key}"]
[storefronts.ingestion]
url = "http://127.0.0.1:1"
api_key = "tolk_sec_upstream"
"""


class Role:
    """`be_configured` of tests/runtime/role.py on a configuration of its own."""

    def __init__(self, config: Path, stdin: int) -> None:
        self.process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
            [sys.executable, "-m", "tests.runtime.role", "be_configured", "5", "0", str(config)],
            cwd=ROOT,
            stdin=stdin,
            stderr=subprocess.PIPE,
        )

    def wait_for(self, event: str) -> dict[str, Any]:
        assert self.process.stderr is not None
        for raw in self.process.stderr:
            line: dict[str, Any] = json.loads(raw)
            if line["event"].startswith(event):
                return line
        raise AssertionError(f"no line {event!r}")

    def hang_up(self) -> None:
        self.process.send_signal(signal.SIGHUP)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "sluice.toml"
    path.write_text(STOREFRONT.format(name="first", key="tolk_pub_1"))
    return path


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    ours, its = os.openpty()
    yield ours, its
    os.close(its)


@pytest.fixture
def role(config: Path, terminal: tuple[int, int]) -> Iterator[Role]:
    role = Role(config, terminal[1])
    yield role
    role.process.kill()
    role.process.communicate()


def successful(port: int) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:  # http, ours
        return "sluice_config_last_reload_successful 1.0" in answer.read().decode()


def shown(port: int) -> list[str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/storefronts.json", timeout=5) as answer:  # http, ours
        return list(json.load(answer))


def test_a_configuration_is_taken_over_at_sighup_unless_it_is_faulty(
    role: Role, config: Path, terminal: tuple[int, int]
) -> None:
    port = role.wait_for("admin listening")["port"]
    assert role.wait_for("started")["storefronts"] == ["first"]
    assert successful(port)
    assert shown(port) == ["first"]

    config.write_text(STOREFRONT.format(name="No Name", key="file:/no/such/file"))
    role.hang_up()
    line = role.wait_for("configuration refused")
    assert line["level"] == "error"
    assert f"{config}:3: storefronts[0].name: " in line["error"]
    assert f"{config}:4: storefronts[0].publishable_keys[0]: " in line["error"]
    assert not successful(port)
    assert shown(port) == ["first"]

    config.write_text(STOREFRONT.format(name="second", key="tolk_pub_2"))
    role.hang_up()
    assert role.wait_for("started")["storefronts"] == ["second"]
    assert successful(port), "the same admin server"
    assert shown(port) == ["second"]

    os.close(terminal[0])
    role.hang_up()
    assert role.wait_for("draining")["reason"] == "the terminal was closed"
    assert role.process.wait(10) == 0
