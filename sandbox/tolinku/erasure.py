"""`DELETE /v1/api/analytics/user/{id}` of seed 003: everything that a user sent goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.tolinku import answers
from sandbox.tolinku.writer import NotStored

if TYPE_CHECKING:
    from aiohttp import web

    from sandbox.tolinku.door import Call
    from sandbox.tolinku.writer import Writer


class Erasure:
    """Carries out the route that removes."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def user(self, call: Call) -> web.Response:
        """Have one user's events removed, within moments; a user that nobody knows is answered alike."""
        user_id = call.path["user_id"]
        try:
            await self._writer.remove(call.appspace, user_id)
        except NotStored as error:
            return answers.refusal(503, str(error), "NOT_STORED")
        return answers.answer({"ok": True, "deleted_user_id": user_id})
