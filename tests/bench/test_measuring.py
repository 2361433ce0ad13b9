"""The benchmark's own parts: without a Go it says so and goes on; the core that it keeps free is given back."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from bench.cores import one_core
from bench.peers.build import PeerMissingError, build
from bench.peers.measure import show_peers
from bench.places import Place

if TYPE_CHECKING:
    from pathlib import Path

AFFINITY = "import os; print(sorted(os.sched_getaffinity(0)))"


def affinity(*held: str) -> str:
    """Return the cores of a process that is started with `held` before its command."""
    command = [*held, sys.executable, "-c", AFFINITY]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603 - our own command


def test_without_a_go_nothing_is_measured_and_that_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PeerMissingError, match="go is not on the PATH"):
        build(tmp_path)
    said = io.StringIO()
    place = Place.kafka(tmp_path / "place", "127.0.0.1:1", "shop")
    show_peers(Console(file=said, width=120), place, [], tmp_path, seconds=1, rounds=1, connections=1)
    assert said.getvalue() == "Gateway beside one in Go: not measured, go is not on the PATH\n"


@pytest.mark.skipif(
    shutil.which("taskset") is None or len(os.sched_getaffinity(0)) == 1, reason="needs taskset and a second core"
)
def test_a_core_is_for_who_is_held_to_it_alone_until_the_end() -> None:
    all_cores = affinity()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as other:  # noqa: S607 - the system's own
        with one_core([other.pid]) as held:
            mine = affinity(*held)
            rest = affinity()
            moved = sorted(os.sched_getaffinity(other.pid))
        assert mine == f"[{min(os.sched_getaffinity(0))}]"
        assert str(moved) == rest
        assert mine.strip("[]") not in rest.strip("[]").split(", ")
        assert sorted(os.sched_getaffinity(other.pid)) == sorted(os.sched_getaffinity(0))
    assert affinity() == all_cores
