from __future__ import annotations

import shlex
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from cli.greeting import print_invitation
from runtime import config

if TYPE_CHECKING:
    import pytest


def suggested(config_path: Path | None) -> list[list[str]]:
    """The words of each command that is suggested, as a shell splits them."""
    out = StringIO()
    print_invitation(Console(file=out, width=40), config.load(None, {}), config_path)
    lines = out.getvalue().split("look around:\n")[1].splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.startswith("  ")]


def test_the_commands_that_are_suggested_can_be_typed_as_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/opt/our shop/bin/sluice", "up"])

    assert suggested(Path("my shop.toml")) == [
        ["/opt/our shop/bin/sluice", *words, "--config", "my shop.toml"]
        for words in (
            ["tail", "ecommerce.events.demo"],
            ["audit"],
            ["exports", "list"],
            ["tail", "metrics.tolinku.overview", "--from-beginning"],
        )
    ]


def test_one_that_is_on_the_path_is_called_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "sluice"
    script.touch(mode=0o755)
    monkeypatch.setattr("sys.argv", [str(script), "up"])
    monkeypatch.setenv("PATH", str(tmp_path))

    assert suggested(None)[1] == ["sluice", "audit"]
