"""What `config check` says of what ProfitMetrics may have, or has and we do not: metrics that are new, and what is deliberately left
out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest
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


def _checked(directory: Path, *arguments: str, text: str = TEXT, exit_code: int = 0) -> str:
    file = directory / "shop.toml"
    file.write_text(text, encoding="utf-8")
    done = CliRunner().invoke(check, ["--config", str(file), *arguments])
    assert done.exit_code == exit_code
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


@pytest.mark.parametrize(
    ("written", "instead", "words"),
    [
        ('"reports"', '"export.csv"', "export/csv is deprecated by the vendor and deliberately not supported"),
        ('"reports"', '"chartReports"', "chart reports are deliberately not supported"),
        ("sites =", "chartReports = []\nsites =", "chart reports are deliberately not supported"),
        ('"reports"', '"export/csv"', 'for a vendor\'s "/", "."'),
    ],
)
def test_what_is_deliberately_not_supported_says_so(tmp_path: Path, written: str, instead: str, words: str) -> None:
    assert TEXT.count(written) == 1
    assert words in _checked(tmp_path, text=TEXT.replace(written, instead), exit_code=2)
