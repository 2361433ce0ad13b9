"""`track` and `batch` of seed 003: what is good is stored before it is answered, what is not is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from sandbox.tolinku import answers
from sandbox.tolinku.fraud import BLOCKS
from sandbox.tolinku.measure import measure
from sandbox.tolinku.writer import NotStored
from schemas.judge import fault

if TYPE_CHECKING:
    from sandbox.tolinku.door import Call
    from sandbox.tolinku.fraud import Inspector
    from sandbox.tolinku.measure import Measured
    from sandbox.tolinku.writer import Receipt, Writer

MAX_BATCH_EVENTS = 100


class _Envelope(msgspec.Struct, gc=False):
    events: list[msgspec.Raw]


_slices = msgspec.json.Decoder(_Envelope).decode


class Ingestion:
    """Carries out the two routes that take events."""

    def __init__(self, writer: Writer, inspector: Inspector) -> None:
        self._writer = writer
        self._inspector = inspector

    async def track(self, call: Call) -> web.Response:
        """Take one event, the whole body. Answers when it is on disk."""
        if call.switches.quota_exceeded:
            return _over_quota()
        error = fault(call.document) or call.misfortune.refuses(0, call.body)
        if error is not None:
            return answers.refusal(400, error, "INVALID_EVENT")
        receipt = await self._store(call, [self._measured(call, call.document, call.body)])
        return receipt if isinstance(receipt, web.Response) else answers.answer({"ok": True})

    async def batch(self, call: Call) -> web.Response:
        """Take up to 100 events, each judged for itself. Answers when the good ones are on disk."""
        events = call.document.get("events") if isinstance(call.document, dict) else None
        if not isinstance(events, list) or not events:
            return answers.refusal(400, answers.EVENTS_REQUIRED, "INVALID_EVENT")
        if len(events) > MAX_BATCH_EVENTS:
            return answers.refusal(400, answers.TOO_MANY_EVENTS, "TOO_MANY_EVENTS")
        if call.switches.quota_exceeded and call.switches.batch_quota == "status":
            return _over_quota()
        try:
            slices = _slices(call.body).events
        except (msgspec.DecodeError, RecursionError):
            return answers.refusal(400, answers.INVALID_JSON, "INVALID_JSON")
        good, errors = self._judge(call, events, slices)
        accepted = 0
        if good:
            receipt = await self._store(call, good)
            if isinstance(receipt, web.Response):
                return receipt
            accepted = receipt.arrived - (0 if call.switches.accepted_counts_ignored else receipt.ignored)
        answer: dict[str, Any] = {"ok": True, "accepted": accepted}
        if errors:
            answer["errors"] = errors
        return answers.answer(answer)

    async def _store(self, call: Call, events: list[Measured]) -> Receipt | web.Response:
        try:
            return await self._writer.store(
                call.appspace,
                events,
                across_types=call.switches.deduplicate_across_types,
                user_agent=call.user_agent,
            )
        except NotStored as error:
            return answers.refusal(503, str(error), "NOT_STORED")

    def _judge(self, call: Call, events: list[Any], slices: list[msgspec.Raw]) -> tuple[list[Measured], list[str]]:
        good: list[Measured] = []
        errors: list[str] = []
        for index, (event, raw) in enumerate(zip(events, slices, strict=True)):
            text = bytes(raw)
            error = fault(event) or call.misfortune.refuses(index, text)
            if error is None and call.switches.quota_exceeded:
                error = answers.QUOTA_EXCEEDED
            if error is None:
                good.append(self._measured(call, event, text))
            else:
                errors.append(f"events[{index}]: {error}")
        return good, errors

    def _measured(self, call: Call, event: dict[str, Any], text: bytes) -> Measured:
        base = call.switches.base_currency
        measured = measure(event, text.decode(), base)
        if measured.blocked is not None:
            return measured
        suspicion = self._inspector.inspect(call.appspace, event, measured, call.switches.fraud, base, call.user_agent)
        if suspicion is None:
            return measured
        if suspicion.severity == BLOCKS:
            return measured._replace(blocked=suspicion.rule)
        return measured._replace(flagged=suspicion.rule)


def _over_quota() -> web.Response:
    return answers.refusal(429, answers.QUOTA_EXCEEDED, "QUOTA_EXCEEDED")
