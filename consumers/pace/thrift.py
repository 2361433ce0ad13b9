"""What is left of a month's calls, and how much longer batches therefore wait for company (VENDORS: `X-Usage-Warning`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from consumers.api.allowance import Allowance
    from consumers.report import Report

_WARNED_SECONDS: Final = 1.0
_USED_UP_SECONDS: Final = 5.0
_USED_UP_PERCENT: Final = 100


class Thrift:
    """From the API's first warning on, partial batches wait a second longer than they would, and 5 s once the month's calls are used up.

    Past 110 % the API takes nothing at all. A full batch goes at once as ever: it is as few calls as there can be.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._percent: int | None = None
        self.patience = 0.0
        """How many seconds longer a partial batch should wait."""

    def take(self, allowance: Allowance | None) -> None:
        """Take note of what an answer of the API's told; one that does not warn ends the warning."""
        percent = None if allowance is None else allowance.usage
        if percent == self._percent:
            return
        self._percent = percent
        self._report.usage(percent)
        if percent is None:
            self.patience = 0.0
        else:
            self.patience = _USED_UP_SECONDS if percent >= _USED_UP_PERCENT else _WARNED_SECONDS
