"""The official Python client in one legacy session; does what it is told, a line of JSON each."""

import asyncio
import json
import sys
import traceback
import warnings

import httpx2
from mcp import Client, types
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPDeprecationWarning

URL, TOKEN = sys.argv[1:]

# Subscriptions of a legacy session are deprecated in the SDK, and are used all the same.
warnings.simplefilter("ignore", MCPDeprecationWarning)


async def call(client: Client, tool: str, **arguments: object) -> dict:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return result.structured_content


async def main() -> None:
    asked, updates, listening = [], asyncio.Queue(), asyncio.Event()

    async def elicited(_: object, params: types.ElicitRequestFormParams) -> types.ElicitResult:
        asked.append(params)
        return types.ElicitResult(action="accept", content={"confirmed": True})

    async def told(message: object) -> None:
        if isinstance(message, types.ResourceUpdatedNotification):
            updates.put_nowait(str(message.params.uri))

    async def answered(response: httpx2.Response) -> None:
        if response.request.method == "GET" and response.status_code == 200:
            listening.set()

    headers, hooks = {"Authorization": f"Bearer {TOKEN}"}, {"response": [answered]}
    async with (
        httpx2.AsyncClient(headers=headers, trust_env=False, timeout=30, event_hooks=hooks) as http,
        Client(
            streamable_http_client(URL, http_client=http),
            mode="legacy",
            elicitation_callback=elicited,
            message_handler=told,
        ) as client,
    ):
        entries: list[int] = []
        while line := await asyncio.to_thread(sys.stdin.readline):
            what, *words = json.loads(line)
            try:
                match what:
                    case "connect":
                        assert client.protocol_version == "2025-11-25", client.protocol_version
                    case "write":
                        done = await call(client, "create_entry", title=words[0], content=words[0])
                        entries.append(done["entry"]["id"])
                    case "watch":
                        async with asyncio.timeout(15):
                            await listening.wait()
                        await client.subscribe_resource(f"epicme://entries/{entries[0]}")
                    case "change":
                        await call(client, "update_entry", id=entries[0], mood=words[0])
                        async with asyncio.timeout(15):
                            assert await updates.get() == f"epicme://entries/{entries[0]}"
                    case "remove":
                        before = len(asked)
                        done = await call(client, "delete_entry", id=entries.pop())
                        assert done["success"] and len(asked) == before + 1, (done, asked)
                    case "leave":
                        break
                print("ok", flush=True)
            except Exception:
                traceback.print_exc()
                print("failed", flush=True)
    # The session was ended on the way out.
    print("ok", flush=True)


asyncio.run(main())
