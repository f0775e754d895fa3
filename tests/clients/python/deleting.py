"""Deletions that the user is asked about. The SDK answers a modern server's `input_required` by itself,
from the same callback that answers a request of a legacy server's."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from checks import equal
from journal import Host, Journal
from mcp.types import ElicitRequestFormParams, ElicitResult

if TYPE_CHECKING:
    from session import Session

# Each way of not saying yes.
REFUSALS = {
    "declines": ElicitResult(action="decline"),
    "closes the question": ElicitResult(action="cancel"),
    "does not tick the box": ElicitResult(action="accept", content={"confirmed": False}),
}


async def deleting(session: Session) -> None:
    check = session.check
    title = f"Deleting {session.mark}"
    asked: list[ElicitRequestFormParams] = []
    answer = ElicitResult(action="cancel")
    entry = 0
    journal: Journal

    def elicit(question: ElicitRequestFormParams) -> ElicitResult:
        asked.append(question)
        return answer

    async def connects() -> None:
        nonlocal entry, journal
        journal = await stack.enter_async_context(session.connected(session.ada, Host(elicit=elicit)))
        entry = (await journal.call("create_entry", title=title, content="Gone soon."))["entry"]["id"]

    async def is_refused() -> None:
        asked.clear()
        result = await journal.call("delete_entry", id=entry)
        equal(len(asked), 1, "questions")
        equal(result["success"], False, "success")
        equal((await journal.call("get_entry", id=entry))["entry"]["title"], title, "still there")

    async def is_confirmed() -> None:
        asked.clear()
        result = await journal.call("delete_entry", id=entry)
        equal(len(asked), 1, "questions")
        assert title in asked[0].message, asked[0].message
        equal(asked[0].requested_schema["required"], ["confirmed"], "what is asked for")
        equal(result["success"], True, "success")
        words = await journal.failing("get_entry", id=entry)
        assert str(entry) in words, words

    async def is_gone() -> None:
        asked.clear()
        equal((await journal.call("delete_entry", id=entry))["success"], False, "success")
        equal(asked, [], "questions")

    async with AsyncExitStack() as stack:
        if not await check("connects, declaring that it can ask its user", connects):
            return
        for how, answer in REFUSALS.items():
            await check(f"deletes nothing if the user {how}", is_refused)
        answer = ElicitResult(action="accept", content={"confirmed": True})
        await check("deletes the entry if the user confirms it", is_confirmed)
        await check("asks nobody about an entry that is gone", is_gone)
