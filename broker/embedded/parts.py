"""What a started broker is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from broker.embedded.caretaker import Caretaker
    from broker.embedded.catalogue import Catalogue
    from broker.embedded.directory import DataDirectory
    from broker.embedded.readers import Readers
    from broker.embedded.timing import Timing
    from broker.embedded.wake import WakeSender
    from broker.embedded.wakeups import Wakeups
    from broker.embedded.writers import Writers
    from runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class Parts:
    """One of each."""

    directory: DataDirectory
    timing: Timing
    clock: Clock
    log: FilteringBoundLogger
    readers: Readers
    sender: WakeSender
    writers: Writers
    wakeups: Wakeups
    catalogue: Catalogue
    caretaker: Caretaker
