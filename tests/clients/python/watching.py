"""What the server tells unasked: `resources/subscribe` and the general stream of a legacy session, or
`subscriptions/listen`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from checks import equal
from journal import Journal

if TYPE_CHECKING:
    from session import Session


class Writer:
    """A user, an entry of theirs, and what they are told."""

    journal: Journal
    entry: int
    uri: str
    told: Callable[[], Awaitable[str]]

    async def write(self, title: str) -> None:
        self.entry = (await self.journal.call("create_entry", title=title, content="Changes soon."))["entry"]["id"]
        self.uri = f"epicme://entries/{self.entry}"

    async def change(self, mood: str) -> None:
        await self.journal.call("update_entry", id=self.entry, mood=mood)

    async def mood(self) -> str:
        return (await self.journal.read(self.uri))["mood"]


async def watching(session: Session) -> None:
    check = session.check
    title = f"Watching {session.mark}"
    ada, bela = Writer(), Writer()

    async def subscribes() -> None:
        for writer, person in [(ada, session.ada), (bela, session.bela)]:
            writer.journal = await connections.enter_async_context(session.connected(person))
            await writer.write(title)
        # A URI says nothing of whose it is, so that both may ask for both.
        for writer in (ada, bela):
            watching_both = writer.journal.watching(ada.uri, bela.uri)
            writer.told = await subscriptions.enter_async_context(watching_both)

    async def updates_it_itself() -> None:
        await ada.change("calm")
        equal(await ada.told(), ada.uri, "told")
        equal(await ada.mood(), "calm", "read again")

    async def updates_it_elsewhere() -> None:
        async with session.connected(session.ada) as elsewhere:
            await elsewhere.call("update_entry", id=ada.entry, mood="glad")
            equal(await ada.told(), ada.uri, "told")
        equal(await ada.mood(), "glad", "read again")

    async def another_user_changes_something() -> None:
        # Of three changes by turns, each hears their own, which shows that there was nothing in between.
        for writer in (bela, ada, bela):
            await writer.change("sad" if await writer.mood() == "calm" else "calm")
            equal(await writer.told(), writer.uri, "told")

    async def unsubscribes() -> None:
        await subscriptions.aclose()
        async with ada.journal.watching("epicme://tags") as told:
            await ada.change("tired")
            tag = (await ada.journal.call("create_tag", name=title))["tag"]["id"]
            equal(await told(), "epicme://tags", "told first")
        await ada.journal.call("delete_tag", id=tag)

    async def tidies_up() -> None:
        for writer in (ada, bela):
            await writer.journal.call("delete_entry", id=writer.entry)

    async with AsyncExitStack() as connections, AsyncExitStack() as subscriptions:
        if not await check("subscribes to an entry", subscribes):
            return
        await check("is told of an update that it made itself", updates_it_itself)
        await check("is told of an update that the user made elsewhere", updates_it_elsewhere)
        await check("is not told of what another user changes, nor that user of hers", another_user_changes_something)
        await check("is told no more after it unsubscribed", unsubscribes)
        await check("tidies up what it watched", tidies_up)
