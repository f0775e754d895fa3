"""Programs of the tests' own, and clients of the proxy. check.py tells what is checked, examples.py how a proxy is started."""

import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request

PROXY, EXAMPLES, SCRATCH = sys.argv[1:4]
HOST = "journal.example"
RESOURCE = f"https://{HOST}/mcp"
MODERN, LEGACY = "2026-07-28", "2025-11-25"
SECRET = "0123456789abcdef"

STARTS_WITHIN = 60
ANSWERS_WITHIN = 30

# Where the proxy listens, which is run beside the others. No connection comes from there, so that none can take its
# port between its being chosen and its being listened on.
PROXY_ADDRESS = {"nginx": "127.0.0.9", "caddy": "127.0.0.10", "haproxy": "127.0.0.11"}[PROXY]


class Site:
    """What is being tested: where the proxy and the authorization server are."""

    port = None
    issuer = None


def free_port():
    with socket.socket() as probe:
        probe.bind((PROXY_ADDRESS, 0))
        return probe.getsockname()[1]


class Program:
    """A program of the test's own, ended with it."""

    def __init__(self, name, arguments, environment=None, stop=signal.SIGTERM):
        self.name, self.stop_by = name, stop
        self.path = f"{SCRATCH}/{PROXY}-{name}.log"
        environment = {"PATH": os.environ["PATH"], **(environment or {})}
        for kept in ("HOME", "DATABASE_URL"):
            if kept in os.environ:
                environment.setdefault(kept, os.environ[kept])
        with open(self.path, "wb") as log:
            self.process = subprocess.Popen(
                arguments, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def log(self):
        with open(self.path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def wait_for(self, pattern):
        """The first match in what it prints."""
        until = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < until:
            match = re.search(pattern, self.log())
            if match:
                return match
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise SystemExit(f"{self.name} did not start:\n{self.log()}")

    def wait_for_port(self, port):
        """Until the proxy takes connections."""
        until = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < until and self.process.poll() is None:
            try:
                socket.create_connection((PROXY_ADDRESS, port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"{self.name} did not start:\n{self.log()}")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(self.stop_by)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Connection(http.client.HTTPConnection):
    """To the proxy, from an address of this machine's; over TLS, where the example has it."""

    def __init__(self, address="127.0.0.1", timeout=ANSWERS_WITHIN):
        super().__init__(HOST, timeout=timeout)
        self.address = address

    def connect(self):
        self.sock = socket.create_connection(
            (PROXY_ADDRESS, Site.port), self.timeout, source_address=(self.address, 0)
        )
        if PROXY != "haproxy":
            context = ssl.create_default_context(cafile=f"{SCRATCH}/certificate.pem")
            self.sock = context.wrap_socket(self.sock, server_hostname=HOST)


def token(subject):
    wanted = {"subject": subject, "resource": RESOURCE, "expires_in": 3600}
    request = urllib.request.Request(
        f"{Site.issuer}/dev/token", json.dumps(wanted).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=ANSWERS_WITHIN) as answer:
        return json.load(answer)["access_token"]


def headers(bearer, more=None):
    return {
        "Authorization": f"Bearer {bearer}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        **(more or {}),
    }


def modern(method, params=None):
    """Body and header fields of a request of 2026-07-28."""
    envelope = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "proxies", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {**(params or {}), "_meta": envelope}
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    fields = {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}
    if "name" in params:
        fields["Mcp-Name"] = params["name"]
    return json.dumps(body), fields


def ask(connection, bearer, method, params=None, more=None):
    body, fields = modern(method, params)
    connection.request("POST", "/mcp", body, headers(bearer, {**fields, **(more or {})}))
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def create_tag(bearer, name):
    """The list of resources changes with it. Returns the id of the request."""
    arguments = {"name": "create_tag", "arguments": {"name": name}}
    status, fields, body = ask(Connection(), bearer, "tools/call", arguments)
    assert status == 200 and not json.loads(body)["result"].get("isError"), (status, body)
    return fields["X-Request-Id"]


class Stream:
    """A `subscriptions/listen`, and when each of its lines came."""

    def __init__(self, bearer):
        self.connection = Connection(timeout=60)
        body, fields = modern(
            "subscriptions/listen", {"notifications": {"resourcesListChanged": True}}
        )
        self.connection.request("POST", "/mcp", body, headers(bearer, fields))
        self.answer = self.connection.getresponse()
        self.status = self.answer.status
        self.lines = []

    def read(self):
        """Reads lines to the end of the stream, on a thread of its own."""

        def run():
            try:
                for line in self.answer:
                    self.lines.append((time.monotonic(), line.strip()))
            except (OSError, http.client.HTTPException, ValueError, AttributeError):
                pass

        threading.Thread(target=run, daemon=True).start()

    def arrived(self, text, after, within):
        """When the first line with this text came, if it did in time."""
        until = time.monotonic() + within
        while time.monotonic() < until:
            for at, line in list(self.lines):
                if at >= after and text in line:
                    return at
            time.sleep(0.005)
        return None

    def close(self):
        # Shut down, for the reading thread holds the socket as well.
        try:
            self.connection.sock.shutdown(socket.SHUT_RDWR)
        except (OSError, AttributeError):
            pass
        self.answer.close()
        self.connection.close()
