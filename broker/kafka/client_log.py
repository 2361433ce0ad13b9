"""What aiokafka says to the standard library's logging, brought into our log without the flood.

While a broker is away aiokafka writes several lines a second of the same. What matters of it is told by readiness and
by our own lines; so each thing it says becomes one line of ours in half a minute, with how often it was said.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from runtime.clock import Clock

_QUIET_SECONDS = 30.0


class ClientLog(logging.Handler):
    """Takes the place of aiokafka's log output from `attach` until `detach`. One broker at a time speaks; of several in a
    process each writes what all of them are told.
    """

    def __init__(self, log: FilteringBoundLogger, clock: Clock) -> None:
        super().__init__(logging.WARNING)
        self._log = log
        self._clock = clock
        self._said: dict[str, tuple[float, int]] = {}

    def attach(self) -> None:
        """Begin. Idempotent."""
        logger = logging.getLogger("aiokafka")
        logger.addHandler(self)
        logger.propagate = False

    def detach(self) -> None:
        """End. Idempotent."""
        logger = logging.getLogger("aiokafka")
        logger.removeHandler(self)
        logger.propagate = not any(isinstance(handler, ClientLog) for handler in logger.handlers)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, or count it."""
        template = str(record.msg)
        now = self._clock.monotonic()
        since, times = self._said.get(template, (-_QUIET_SECONDS, 0))
        if now - since < _QUIET_SECONDS:
            self._said[template] = (since, times + 1)
            return
        self._said[template] = (now, 0)
        # What it warns of it goes on to deal with, such as a rebalance; what it calls an error it tries again.
        level = logging.WARNING if record.levelno >= logging.ERROR else logging.INFO
        self._log.log(level, "kafka client", says=" ".join(record.getMessage().split()), said_before=times)
