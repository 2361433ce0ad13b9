"""What `config check` says of metrics that it does not know: only the vendor's live catalogue does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from click.testing import CliRunner

from cli.config import check

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """
[[storefronts]]
name = "acme"
secret_keys = ["tolk_sec_hunter2"]
ingestion = {url = "https://acme.tolinku.com", api_key = "tolk_sec_hunter2"}

[[accounts]]
name = "acme-profit"
source = "profitmetrics"
url = "https://api.my.profitmetrics.io"
api_key = "pm_hunter2"

[[exports]]
name = "daily"
account = "acme-profit"
dataset = "reports"
every = "1h"
[exports.query]
sites = [1]
currency = "EUR"
resolution = "DAY"
metrics = [
  "TURNOVER",
  "GROS_PROFIT",
  "ZQX",
]
"""


def _checked(directory: Path, *arguments: str) -> str:
    file = directory / "shop.toml"
    file.write_text(TEXT, encoding="utf-8")
    done = CliRunner().invoke(check, ["--config", str(file), *arguments])
    assert done.exit_code == 0, "a warning is no fault"
    return done.stdout


def test_unknown_metrics_are_told_with_their_line_and_the_nearest(tmp_path: Path) -> None:
    lines = _checked(tmp_path).splitlines()
    message = "is no metric of the catalogue as it was published"
    assert lines[0] == f"{tmp_path}/shop.toml: no faults"
    assert lines[-2:] == [
        f"warning     {tmp_path}/shop.toml:{place}: {message}; {cure}"
        for place, cure in (
            ("24: exports[0].query.metrics[1]", "did you mean GROSS_PROFIT?"),
            ("25: exports[0].query.metrics[2]", "the vendor's own catalogue decides when it is pulled"),
        )
    ]
    assert not any(line.startswith("warning") for line in lines[:-2])


def test_as_json_they_are_part_of_the_summary(tmp_path: Path) -> None:
    (first, second) = orjson.loads(_checked(tmp_path, "--json"))["warnings"]
    assert first == {
        "key": "exports[0].query.metrics[1]",
        "line": 24,
        "message": "is no metric of the catalogue as it was published",
        "cure": "did you mean GROSS_PROFIT?",
        "source": f"{tmp_path}/shop.toml",
    }
    assert second["line"] == 25
