"""A client of EpicMe on this machine: what a host and its user's browser do, with nothing but HTTP."""

import base64
import hashlib
import html
import json
import re
import secrets
import urllib.error
import urllib.parse
import urllib.request

MODERN = "2026-07-28"
LEGACY = "2025-11-25"
META = "io.modelcontextprotocol/"
REDIRECT = "http://127.0.0.1:9/callback"  # nobody listens there: the code is read off the redirect


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        text = self.body.decode()
        if "text/event-stream" in (self.headers.get("content-type") or ""):
            text = [line[5:] for line in text.splitlines() if line.startswith("data:") and line[5:].strip()][-1]
        return json.loads(text)

    @property
    def request_id(self):
        return self.headers["x-request-id"]


class NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirects)


def http(method, url, body=None, headers=None, timeout=20):
    if isinstance(body, (dict, list)):
        body, headers = json.dumps(body).encode(), {"content-type": "application/json", **(headers or {})}
    elif isinstance(body, str):
        body = body.encode()
    request = urllib.request.Request(url, body, headers or {}, method=method)
    try:
        with OPENER.open(request, timeout=timeout) as reply:
            return Reply(reply.status, reply.headers, reply.read())
    except urllib.error.HTTPError as error:
        return Reply(error.code, error.headers, error.read())


class Client:
    """Knows the MCP endpoint's URL and finds out the rest."""

    def __init__(self, endpoint):
        self.endpoint, self.token = endpoint, None

    def sign_in(self, user="Ada", scope=None):
        """The whole way from the first 401 to a token; yields the name of each step that held."""
        refused = self.post({"jsonrpc": "2.0", "id": 1, "method": "ping"})
        challenge = refused.headers["www-authenticate"] or ""
        assert refused.status == 401 and challenge.startswith("Bearer "), (refused.status, challenge)
        metadata_url = re.search(r'resource_metadata="([^"]+)"', challenge)[1]
        yield "without a token, a 401 names the resource's metadata"

        resource = http("GET", metadata_url).json()
        assert resource["resource"] == self.endpoint, resource
        (issuer,) = resource["authorization_servers"]
        yield "the resource's metadata names the authorization server by its port on this machine"

        server = http("GET", issuer + "/.well-known/oauth-authorization-server").json()
        assert server["issuer"] == issuer, server
        for name in ("registration_endpoint", "authorization_endpoint", "token_endpoint"):
            assert server[name].startswith(issuer + "/"), server
        yield "the authorization server's metadata is its own, and leads nowhere else"

        wish = {"client_name": "compose", "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none"}
        registered = http("POST", server["registration_endpoint"], wish)
        assert registered.status == 201, registered.body
        client = registered.json()["client_id"]
        yield "a client registers"

        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
        digest = hashlib.sha256(verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": client,
            "redirect_uri": REDIRECT,
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
            "state": state,
            "resource": self.endpoint,
            "scope": scope or " ".join(resource["scopes_supported"]),
        }
        browser = Browser(issuer)
        page = browser.get(server["authorization_endpoint"] + "?" + urllib.parse.urlencode(query))
        person = re.search(rf'name="user" value="([^"]+)">[^\n]*?{user}', page)[1]
        consent = browser.submit(page, [("user", person)])
        assert isinstance(consent, str), consent.status
        scopes = re.findall(r'name="scope" value="([^"]+)"', consent)
        back = browser.submit(consent, [("scope", scope) for scope in scopes] + [("decision", "allow")])
        answer = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(back.headers["location"]).query))
        assert back.headers["location"].startswith(REDIRECT) and answer["state"] == state, answer
        yield "a person signs in and consents"

        form = {
            "grant_type": "authorization_code",
            "code": answer["code"],
            "redirect_uri": REDIRECT,
            "client_id": client,
            "code_verifier": verifier,
            "resource": self.endpoint,
        }
        is_form = {"content-type": "application/x-www-form-urlencoded"}
        granted = http("POST", server["token_endpoint"], urllib.parse.urlencode(form), is_form)
        assert granted.status == 200, granted.body
        self.token = granted.json()["access_token"]
        yield "the code becomes a token"

    def post(self, message, headers=None):
        fixed = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        if self.token:
            fixed["authorization"] = f"Bearer {self.token}"
        return http("POST", self.endpoint, json.dumps(message), {**fixed, **(headers or {})})

    def tool(self, name, arguments, can=None, **more):
        """A modern call, as the reply that it got."""
        meta = {META + "protocolVersion": MODERN, META + "clientCapabilities": can or {}}
        params = {"name": name, "arguments": arguments, "_meta": meta, **more}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        named = {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": name}
        return self.post(message, named)

    def entry(self, title):
        """Writes an entry and returns its id."""
        reply = self.tool("create_entry", {"title": title, "content": "Written from outside."})
        assert reply.status == 200, (reply.status, reply.body)
        return reply.json()["result"]["structuredContent"]["entry"]["id"]

    def titles(self):
        reply = self.tool("list_entries", {})
        assert reply.status == 200, (reply.status, reply.body)
        return [entry["title"] for entry in reply.json()["result"]["structuredContent"]["entries"]]

    def session(self):
        """Opens a legacy session: its id, and the reply that told it."""
        params = {
            "protocolVersion": LEGACY,
            "capabilities": {},
            "clientInfo": {"name": "compose", "version": "1"},
        }
        reply = self.post({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})
        assert reply.status == 200, (reply.status, reply.body)
        session = reply.headers["mcp-session-id"]
        self.in_session(session, {"jsonrpc": "2.0", "method": "notifications/initialized"})
        return session, reply

    def in_session(self, session, message):
        return self.post(message, {"mcp-session-id": session, "mcp-protocol-version": LEGACY})


class Browser:
    """Keeps a cookie, sends forms back to where they came from, follows no redirect that leads out."""

    def __init__(self, origin):
        self.origin, self.cookie = origin, None

    def get(self, url):
        return self.page(http("GET", url, None, self.headers()))

    def submit(self, page, fields):
        action = html.unescape(re.search(r'<form method="post" action="([^"]+)"', page)[1])
        handle = re.search(r'name="page" value="([^"]+)"', page)[1]
        body = urllib.parse.urlencode([("page", handle), *fields])
        sent = {"content-type": "application/x-www-form-urlencoded", "origin": self.origin}
        reply = http("POST", urllib.parse.urljoin(self.origin, action), body, {**self.headers(), **sent})
        if reply.status != 303:
            return self.page(reply)
        target = urllib.parse.urljoin(self.origin, reply.headers["location"])
        return self.get(target) if target.startswith(self.origin + "/") else reply

    def page(self, reply):
        assert reply.status == 200, (reply.status, reply.body)
        if set_cookie := reply.headers["set-cookie"]:
            self.cookie = set_cookie.split(";")[0]
        return reply.body.decode()

    def headers(self):
        return {"cookie": self.cookie} if self.cookie else {}
