"""A connection in either era, and what a host does with it."""

import asyncio
import json
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2
from checks import equal, within
from jsonschema import Draft202012Validator
from mcp import Client, types
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import ResourceUpdated
from mcp.shared.auth import OAuthClientMetadata
from mcp.shared.exceptions import MCPDeprecationWarning
from person import CALLBACK, Person

# What a legacy session has and the modern era has not is deprecated in the SDK, and is used all the same.
warnings.simplefilter("ignore", MCPDeprecationWarning)

Elicit = Callable[[types.ElicitRequestFormParams], types.ElicitResult]
Sample = Callable[[types.CreateMessageRequestParams], types.CreateMessageResult]


@dataclass
class Host:
    """Answers the server's questions. The client declares what is there."""

    elicit: Elicit | None = None
    sample: Sample | None = None


class Journal:
    """A connection, and what is done with it."""

    def __init__(self) -> None:
        self.client: Client
        self.listening = asyncio.Event()
        self.updates: asyncio.Queue[str] = asyncio.Queue()
        self.logged: asyncio.Queue[types.LoggingMessageNotificationParams] = asyncio.Queue()

    @property
    def is_modern(self) -> bool:
        return self.client.protocol_version >= "2026"

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

    async def read(self, uri: str) -> dict | list:
        """Reads a resource of the journal's, which is JSON."""
        [contents] = (await self.client.read_resource(uri)).contents
        equal(str(contents.uri), uri, "URI")
        return json.loads(contents.text)

    @asynccontextmanager
    async def watching(self, *uris: str) -> AsyncIterator[Callable[[], Awaitable[str]]]:
        """Has the server tell when one of these changes; gives what waits for the next that did."""

        async def next_subscribed() -> str:
            async with within("an update"):
                event = await anext(subscription)
            assert isinstance(event, ResourceUpdated), event
            return event.uri

        async def next_unasked() -> str:
            async with within("an update"):
                return await self.updates.get()

        if self.is_modern:
            async with self.client.listen(resource_subscriptions=uris) as subscription:
                equal(subscription.honored.resource_subscriptions, list(uris), "honoured")
                yield next_subscribed
        else:
            async with within("the general stream"):
                await self.listening.wait()
            for uri in uris:
                await self.client.subscribe_resource(uri)
            yield next_unasked
            for uri in uris:
                await self.client.unsubscribe_resource(uri)


@asynccontextmanager
async def connected(url: str, mode: str, person: Person, host: Host) -> AsyncIterator[Journal]:
    journal = Journal()

    async def elicited(_: object, params: types.ElicitRequestFormParams) -> types.ElicitResult:
        return host.elicit(params)

    async def sampled(_: object, params: types.CreateMessageRequestParams) -> types.CreateMessageResult:
        return host.sample(params)

    async def logged(params: types.LoggingMessageNotificationParams) -> None:
        journal.logged.put_nowait(params)

    async def told(message: object) -> None:
        if isinstance(message, types.ResourceUpdatedNotification):
            journal.updates.put_nowait(str(message.params.uri))

    async def answered(response: httpx2.Response) -> None:
        # The SDK does not tell when a session's general stream is open, and what changes earlier is not told.
        if response.request.method == "GET" and response.headers["content-type"].startswith("text/event-stream"):
            journal.listening.set()

    metadata = OAuthClientMetadata(client_name="Python check", redirect_uris=[CALLBACK])
    auth = OAuthClientProvider(url, metadata, person, person.redirected, person.came_back)
    hooks = {"response": [answered]}
    async with httpx2.AsyncClient(auth=auth, trust_env=False, timeout=30, event_hooks=hooks) as http:
        async with Client(
            streamable_http_client(url, http_client=http),
            mode=mode,
            elicitation_callback=elicited if host.elicit else None,
            sampling_callback=sampled if host.sample else None,
            logging_callback=logged,
            message_handler=told,
        ) as journal.client:
            yield journal
