"""What holds a whole storefront back by will: a person's pause, and the limit of dead letters. Both outlive any forwarder."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from consumers.letters.limit import DeadLetterLimit, Window
from consumers.offsets.memory import Buried
from consumers.steering import change
from runtime.errors import OperatorError, one_line
from schemas.commands import Parked, StorefrontCommand

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from structlog.typing import FilteringBoundLogger

    from broker.interface import Broker
    from consumers.letters.limit import Excess
    from runtime.clock import Clock
    from runtime.settings import ForwarderSettings

MANUAL: Final = "manual"
DEAD_LETTER_LIMIT: Final = "dead_letter_limit"
RETRY_SECONDS: Final = 1.0


class Brake:
    """One storefront's: judges its dead letters, and tells `park` why it is to rest (None: it is not).

    What this forwarder parks it parks at once, and for all others as soon as that stands on `commands`; until that has been
    heard from there it holds whatever else is heard. Somebody's resuming lifts both, and lets the limit count anew.
    """

    def __init__(
        self,
        storefront: str,
        settings: ForwarderSettings,
        park: Callable[[str | None], None],
        log: FilteringBoundLogger,
    ) -> None:
        self.limit = DeadLetterLimit(settings, self._exceeded)
        self.excess: Excess | None = None
        """What is to stand on `commands` and was not heard from there yet; None when nothing is."""
        self.written: str | None = None
        """Once that is written: the nonce of the resuming before it. A command with another one came after it."""
        self.on_excess: Callable[[], None] = _nobody
        self._storefront = storefront
        self._park = park
        self._log = log
        self._command = StorefrontCommand()
        self._reason: str | None = None
        # Of what moment is what the limit goes on from.
        self._taken_over = -1

    def buried(self, now: float) -> Buried | None:
        """Return what the limit has counted, for whoever comes after this forwarder; None while nothing was ever dead-lettered. `now`:
        seconds since the epoch.
        """
        window = self.limit.window
        return None if window is None else Buried(int(now * 1000), *window, self._command.resume)

    def take_over(self, buried: Buried | None) -> None:
        """Let the limit go on from what an earlier forwarder had counted, if that is the newest that is known of it, if nobody resumed the
        storefront since, and if this forwarder has not counted for itself.
        """
        if buried is None or buried.at <= self._taken_over:
            return
        if buried.resume == self._command.resume and not self.limit.has_begun:
            self._taken_over = buried.at
            self.limit.inherit(Window(buried.events, buried.letters, buried.run))

    def heard(self, command: StorefrontCommand) -> None:
        """Do what is wanted from now on."""
        before, self._command = self._command, command
        if command.parked is not None or self.written not in (None, command.resume):
            self.excess = self.written = None
        resumed = command.resume != before.resume or before.parked is not None
        if resumed and command.parked is None and self.excess is None:
            self.limit.reset()
        self._apply()

    def _exceeded(self, excess: Excess) -> None:
        self._log.error(
            "too many dead letters: the storefront is parked",
            storefront=self._storefront,
            **excess._asdict(),
            cure=f"see `sluice dead-letters list --storefront {self._storefront}`, put it right, "
            f"then `sluice storefronts resume {self._storefront}`",
        )
        if self._command.parked is None:
            self.excess, self.written = excess, None
            self.on_excess()
        self._apply()

    def _apply(self) -> None:
        reason = self._wanted()
        if reason == self._reason:
            return
        if reason == MANUAL:
            self._log.warning(
                "storefront paused by hand",
                storefront=self._storefront,
                by=self._command.by,
                why=self._command.why,
                since=self._command.since,
            )
        elif reason == DEAD_LETTER_LIMIT and self.excess is None and self._command.parked is not None:
            self._log.warning(
                "storefront is parked for its dead letters",
                storefront=self._storefront,
                since=self._command.parked.since,
                error=self._command.parked.error,
            )
        self._reason = reason
        self._park(reason)

    def _wanted(self) -> str | None:
        if self._command.state == "paused":
            return MANUAL
        return DEAD_LETTER_LIMIT if self.excess is not None or self._command.parked is not None else None


class Brakes:
    """All storefronts' brakes. Life: `heard` what stands on `commands` → `run`, until cancelled."""

    def __init__(self, brakes: Mapping[str, Brake], broker: Broker, clock: Clock, log: FilteringBoundLogger) -> None:
        self._brakes = brakes
        self._broker = broker
        self._clock = clock
        self._log = log
        self._pulled = asyncio.Event()
        for brake in brakes.values():
            brake.on_excess = self._pulled.set

    def heard(self, storefront: str, command: StorefrontCommand) -> None:
        """Do what is wanted of a storefront, if it is one of these."""
        brake = self._brakes.get(storefront)
        if brake is not None:
            brake.heard(command)

    async def run(self) -> None:
        """Write on `commands` what was parked here, for ever; a log that is away is asked again every second."""
        while True:
            await self._pulled.wait()
            self._pulled.clear()
            for storefront, brake in self._brakes.items():
                while brake.excess is not None and brake.written is None:
                    brake.written = await self._write(storefront, brake.excess)
                    if brake.written is None:
                        await self._clock.sleep(RETRY_SECONDS)

    async def _write(self, storefront: str, excess: Excess) -> str | None:
        """Write it and return the nonce that stands beside it; None when it cannot be written now."""
        since = datetime.fromtimestamp(self._clock.now(), UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        parked = Parked(since=since, **excess._asdict())
        try:
            command = await change(
                self._broker,
                storefront,
                lambda present: present if present.parked is not None else replace(present, parked=parked),
            )
        except OperatorError as error:
            self._log.warning("what is parked cannot be written yet", storefront=storefront, error=one_line(error))
            return None
        return command.resume


def _nobody() -> None:
    """Stand for whoever writes it down before there is somebody."""
