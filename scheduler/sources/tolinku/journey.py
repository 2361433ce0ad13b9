"""One user's events, for the command line: no export, because it is about a person and asked for by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from scheduler.sources.in_thread import in_thread
from scheduler.sources.tolinku.answers import Misshapen
from scheduler.sources.tolinku.datasets import ROOT
from scheduler.sources.tolinku.refusal import judge

if TYPE_CHECKING:
    from scheduler.caller import Caller

PATH: Final = f"{ROOT}/user-journey"


async def journey(caller: Caller, user_id: str) -> dict[str, Any]:
    """Return the vendor's answer as it stands: `events`, the oldest first as the vendor has them, and `user_id`.

    Waits for the account's budget and for the vendor. Raises PullError, Retryable also for more than 16 MiB.
    """
    async with caller.ask("GET", PATH, judge=judge, query={"user_id": user_id}) as reply:
        answer = await in_thread(lambda _: reply.document())
        if not isinstance(answer.get("events"), list):
            raise Misshapen("it has no events")
        found: dict[str, Any] = answer
        return found
