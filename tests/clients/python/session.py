"""A journal session by the official Python client: nothing is given to it but the server's URL."""

import asyncio
import re
import sys
import traceback
import uuid
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from urllib.parse import urljoin

import httpx2
from browser import Visit, authorize
from jsonschema import Draft202012Validator
from mcp import Client, MCPError
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

URL = sys.argv[1]
CALLBACK = "http://127.0.0.1:39997/callback"
NAME = f"python {version('mcp')}"
REVISIONS = {"2026-07-28": "2026-07-28", "auto": "2026-07-28", "legacy": "2025-11-25"}


class Person:
    """Keeps what the SDK gives, and goes to the browser when the SDK says so."""

    def __init__(self, user: str, *without: str) -> None:
        self.visit = Visit(user, without)
        self.asked: list[httpx2.URL] = []
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info

    async def redirected(self, url: str) -> None:
        self.asked.append(httpx2.URL(url))

    async def came_back(self) -> AuthorizationCodeResult:
        params = (await authorize(str(self.asked[-1]), self.visit)).params
        return AuthorizationCodeResult(code=params["code"], state=params["state"], iss=params.get("iss"))

    def scope_asked(self) -> set[str]:
        return set(self.asked[-1].params["scope"].split())


class Journal:
    """A connection, and what is done with it."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def tools(self) -> dict[str, dict]:
        return {tool.name: tool.input_schema for tool in (await self.client.list_tools()).tools}

    async def call(self, name: str, /, **arguments: object) -> dict:
        """Calls a tool that works; the SDK validates its result, and this the arguments."""
        schema = (await self.tools()).get(name)
        if schema:
            Draft202012Validator(schema).validate(arguments)
        result = await self.client.call_tool(name, arguments)
        assert not result.is_error, result.content
        assert result.structured_content is not None, f"{name} has a structured result"
        return result.structured_content

    async def failing(self, name: str, /, **arguments: object) -> str:
        """Calls a tool that fails, and gives its words."""
        result = await self.client.call_tool(name, arguments)
        assert result.is_error, result
        return result.content[0].text

    async def titles(self) -> list[str]:
        return [entry["title"] for entry in (await self.call("list_entries"))["entries"]]


@asynccontextmanager
async def connected(mode: str, person: Person):
    metadata = OAuthClientMetadata(client_name="Python check", redirect_uris=[CALLBACK])
    auth = OAuthClientProvider(URL, metadata, person, person.redirected, person.came_back)
    async with httpx2.AsyncClient(auth=auth, trust_env=False, timeout=30) as http:
        async with Client(streamable_http_client(URL, http_client=http), mode=mode) as client:
            yield Journal(client)


class Checks:
    """Checks that go on after a failure: a line each, and a count at the end."""

    def __init__(self) -> None:
        self.passed = self.failed = 0

    async def check(self, what: str, body: Callable[[], Awaitable[None]]) -> bool:
        try:
            # In this task, not in one of its own: a connection is left by the task that made it.
            async with asyncio.timeout(60):
                await body()
        except Exception:
            self.failed += 1
            print(f"FAILED  {NAME}, {what}\n{traceback.format_exc()}", flush=True)
            return False
        self.passed += 1
        print(f"ok      {NAME}, {what}", flush=True)
        return True

    def end(self) -> int:
        print(f"{NAME}: {self.passed} passed, {self.failed} failed")
        return 1 if self.failed else 0


async def supported_scopes() -> set[str]:
    async with httpx2.AsyncClient(trust_env=False) as http:
        metadata = await http.get(urljoin(URL, "/.well-known/oauth-protected-resource/mcp"))
        return set(metadata.json()["scopes_supported"])


async def session(checks: Checks, mode: str) -> None:
    mark = f"{mode} {uuid.uuid4().hex[:8]}"
    ada = Person("1")
    stack = AsyncExitStack()
    made: dict[str, dict] = {}

    def check(what: str) -> Callable[[Callable[[], Awaitable[None]]], Awaitable[bool]]:
        return lambda body: checks.check(f"{mode}: {what}", body)

    def without_digits(words: str) -> str:
        return re.sub(r"\d", "", words)

    journal: Journal

    async def connects() -> None:
        nonlocal journal
        journal = await stack.enter_async_context(connected(mode, ada))
        assert journal.client.protocol_version == REVISIONS[mode], journal.client.protocol_version
        await journal.tools()
        assert len(ada.asked) == 1, ada.asked
        assert ada.asked[0].params["resource"] == URL, ada.asked
        assert ada.asked[0].params["code_challenge_method"] == "S256"

    async def asks_for_the_scopes() -> None:
        assert ada.scope_asked() == await supported_scopes(), ada.scope_asked()

    async def lists_the_tools() -> None:
        assert "create_entry" in await journal.tools()

    async def creates_a_tag() -> None:
        made["tag"] = (await journal.call("create_tag", name=mark))["tag"]

    async def creates_an_entry() -> None:
        content = f"A walk, {mark}."
        tags = [made["tag"]["id"]]
        made["entry"] = (await journal.call("create_entry", title=mark, content=content, tags=tags))["entry"]
        assert [tag["id"] for tag in made["entry"]["tags"]] == tags

    async def lists_it() -> None:
        assert (await journal.titles())[0] == mark
        tagged = await journal.call("list_entries", tagIds=[made["tag"]["id"]])
        assert len(tagged["entries"]) == 1, tagged

    async def finds_it() -> None:
        found = await journal.call("search_entries", query=mark)
        assert found["entries"][0]["id"] == made["entry"]["id"], found

    async def reads_it() -> None:
        read = await journal.call("get_entry", id=made["entry"]["id"])
        assert read["entry"]["content"] == f"A walk, {mark}."

    async def changes_it() -> None:
        changed = await journal.call("update_entry", id=made["entry"]["id"], title=f"{mark}!", mood="calm")
        assert changed["entry"]["title"] == f"{mark}!"

    async def tags_it() -> None:
        both = {"entryId": made["entry"]["id"], "tagId": made["tag"]["id"]}
        for tool, count in [("remove_tag_from_entry", 0), ("add_tag_to_entry", 1)]:
            await journal.call(tool, **both)
            tagged = await journal.call("list_entries", tagIds=[made["tag"]["id"]])
            assert len(tagged["entries"]) == count, tool

    async def wrong_arguments() -> None:
        assert "content" in await journal.failing("create_entry", title=mark)

    async def not_there() -> None:
        assert await journal.failing("get_entry", id=999999999)

    async def unknown_tool() -> None:
        try:
            await journal.client.call_tool("no_such_tool", {})
        except MCPError as error:
            assert error.error.code == -32602, error
        else:
            raise AssertionError("it answered")

    async def another_user() -> None:
        async with connected(mode, Person("2")) as bela:
            assert f"{mark}!" not in await bela.titles()
            assert not (await bela.call("search_entries", query=mark))["entries"]
            his = await bela.failing("get_entry", id=made["entry"]["id"])
            nobodys = await bela.failing("get_entry", id=999999999)
            assert without_digits(his) == without_digits(nobodys)
            await bela.client.call_tool("delete_entry", {"id": made["entry"]["id"]})
        assert (await journal.call("get_entry", id=made["entry"]["id"]))["entry"]["title"] == f"{mark}!"

    async def deletes_it() -> None:
        await journal.call("delete_entry", id=made["entry"]["id"])
        assert f"{mark}!" not in await journal.titles()
        await journal.call("delete_tag", id=made["tag"]["id"])

    async def steps_up() -> None:
        person = Person("3", "entries:write")
        async with connected(mode, person) as stepping:
            assert "create_entry" not in await stepping.tools()
            person.visit = Visit("3")
            await stepping.call("create_entry", title=mark, content="Stepped up.")
            assert len(person.asked) == 2, person.asked
            assert {"entries:write", "tags:read"} <= person.scope_asked(), person.scope_asked()
            assert "create_entry" in await stepping.tools()

    async def refreshes() -> None:
        person = Person("1")
        async with connected(mode, person) as first:
            await first.tools()
        refused = person.tokens.model_copy(update={"access_token": "epa_that_is_unknown"})
        person.tokens = refused
        async with connected(mode, person) as again:
            assert await again.titles()
        assert person.tokens.access_token != refused.access_token

    if not await check("connects with full OAuth, being given nothing but the URL")(connects):
        return
    await check("asks for the scopes that the metadata lists")(asks_for_the_scopes)
    await check("lists the tools")(lists_the_tools)
    await check("creates a tag")(creates_a_tag)
    await check("creates an entry with the tag")(creates_an_entry)
    await check("lists it, also by its tag")(lists_it)
    await check("finds it")(finds_it)
    await check("reads it")(reads_it)
    await check("changes it")(changes_it)
    await check("takes the tag off and puts it on again")(tags_it)
    await check("is told what is wrong with arguments")(wrong_arguments)
    await check("is told that an entry is not there")(not_there)
    await check("gets a protocol error for an unknown tool")(unknown_tool)
    await check("another user sees nothing of it")(another_user)
    await check("deletes it")(deletes_it)
    await check("steps up after a consent that left out writing")(steps_up)
    await check("gets on when its token is refused")(refreshes)
    await check("ends its session")(stack.aclose)


async def main() -> int:
    checks = Checks()
    for mode in REVISIONS:
        await session(checks, mode)
    return checks.end()


sys.exit(asyncio.run(main()))
