"""A journal session by the official Python client: nothing is given to it but the server's URL."""

import asyncio
import sys
import uuid
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from urllib.parse import urljoin

import httpx2
from browser import Visit
from calling import calling
from checks import Checks, equal
from deleting import deleting
from journal import Host, Journal, connected
from person import Person
from reading import reading
from sampling import sampling
from watching import watching

URL = sys.argv[1]
REVISIONS = {"2026-07-28": "2026-07-28", "auto": "2026-07-28", "legacy": "2025-11-25"}


@dataclass
class Session:
    """What its parts share."""

    checks: Checks
    mode: str
    mark: str
    ada: Person
    bela: Person
    journal: Journal = field(init=False)

    async def check(self, what: str, body: Callable[[], Awaitable[None]]) -> bool:
        return await self.checks.check(f"{self.mode}: {what}", body)

    def connected(self, person: Person, host: Host = Host()) -> AbstractAsyncContextManager[Journal]:
        return connected(URL, self.mode, person, host)


async def supported_scopes() -> set[str]:
    async with httpx2.AsyncClient(trust_env=False) as http:
        metadata = await http.get(urljoin(URL, "/.well-known/oauth-protected-resource/mcp"))
        return set(metadata.json()["scopes_supported"])


async def run(checks: Checks, mode: str) -> None:
    mark = f"{mode} {uuid.uuid4().hex[:8]}"
    ada = Person("1")
    session = Session(checks, mode, mark, ada, Person("2"))
    stack = AsyncExitStack()

    async def connects() -> None:
        session.journal = await stack.enter_async_context(session.connected(ada))
        equal(session.journal.client.protocol_version, REVISIONS[mode], "revision")
        await session.journal.tools()
        equal(len(ada.asked), 1, "trips to the browser")
        equal(ada.asked[0].params["resource"], URL, "resource")
        equal(ada.asked[0].params["code_challenge_method"], "S256", "PKCE")

    async def asks_for_the_scopes() -> None:
        equal(ada.scope_asked(), await supported_scopes(), "scope")

    async def steps_up() -> None:
        person = Person("3", "entries:write")
        async with session.connected(person) as stepping:
            assert "create_entry" not in await stepping.tools(), "create_entry is hidden"
            person.visit = Visit("3", tick=("entries:write",))
            await stepping.call("create_entry", title=mark, content="Stepped up.")
            equal(len(person.asked), 2, "trips to the browser")
            assert {"entries:write", "tags:read"} <= person.scope_asked(), person.scope_asked()
            assert "create_entry" in await stepping.tools(), "create_entry is shown"

    async def refreshes() -> None:
        person = Person("1")
        async with session.connected(person) as first:
            await first.tools()
        refused = person.tokens.model_copy(update={"access_token": "epa_that_is_unknown"})
        person.tokens = refused
        async with session.connected(person) as again:
            assert await again.titles(), "entries"
        assert person.tokens.access_token != refused.access_token, "a new token"

    if not await session.check("connects with full OAuth, being given nothing but the URL", connects):
        return
    await session.check("asks for the scopes that the metadata lists", asks_for_the_scopes)
    for part in (calling, reading, deleting, watching):
        await part(session)
    if not session.journal.is_modern:
        await sampling(session)
    await session.check("steps up after a consent that left out writing", steps_up)
    await session.check("gets on when its token is refused", refreshes)
    await session.check("ends its session", stack.aclose)


async def main() -> int:
    checks = Checks(f"python {version('mcp')}")
    for mode in REVISIONS:
        await run(checks, mode)
    return checks.end()


sys.exit(asyncio.run(main()))
