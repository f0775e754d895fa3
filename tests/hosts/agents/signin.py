"""What the agents in Python share: the OAuth provider of the package mcp, which opens the browser and waits for the callback.

Environment: MCP_URL, MODEL, SCRIPT (see support/model.mjs), CALLBACK_PORT, BROWSER, and TOKEN where no provider can be given.
"""

import asyncio
import os
import subprocess
from urllib.parse import parse_qs, urlsplit

import mcp.client.auth
from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import OAuthClientMetadata

CALLBACK_WITHIN = 30


class Memory:
    """Keeps tokens and the registration for as long as the program runs."""

    tokens = None
    client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


class Browser:
    """Opens the browser, and takes what it comes back with."""

    def __init__(self, port):
        self.port = port
        self.callback = None
        self.server = None

    async def visit(self, url):
        self.callback = asyncio.get_running_loop().create_future()
        self.server = await asyncio.start_server(self.answer, "127.0.0.1", self.port)
        subprocess.Popen([os.environ["BROWSER"], url])

    async def answer(self, reader, writer):
        path = (await reader.readline()).decode().split(" ")[1]
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        if not self.callback.done():
            self.callback.set_result({name: values[0] for name, values in parse_qs(urlsplit(path).query).items()})

    async def back(self):
        query = await asyncio.wait_for(self.callback, CALLBACK_WITHIN)
        self.server.close()
        # mcp 2 has a type for it, mcp 1 takes a pair.
        result = getattr(mcp.client.auth, "AuthorizationCodeResult", None)
        if result is None:
            return query["code"], query.get("state")
        return result(**{name: value for name, value in query.items() if name in ("code", "state", "iss")})


def provider(name):
    browser = Browser(int(os.environ["CALLBACK_PORT"]))
    metadata = OAuthClientMetadata(
        client_name=name,
        redirect_uris=[f"http://127.0.0.1:{browser.port}/callback"],
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
        token_endpoint_auth_method="none",
    )
    return OAuthClientProvider(
        server_url=os.environ["MCP_URL"],
        client_metadata=metadata,
        storage=Memory(),
        redirect_handler=browser.visit,
        callback_handler=browser.back,
    )
