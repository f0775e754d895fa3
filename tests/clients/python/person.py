"""The person in front of the client, who signs in when the SDK says so."""

import httpx2
from browser import Visit, authorize
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthToken


CALLBACK = "http://127.0.0.1:39997/callback"


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
