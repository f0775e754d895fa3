"""Opens sessions and streams by the thousand, presents random tokens by the ten thousand, and reads what
that adds to the server's memory."""

import http.client
import json
import resource
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from urllib.parse import urlsplit

# KiB each, as docs/BOUNDS.md has them: so near to what was measured that a buffer too many fails, and
# that an allocator with huge pages did.
MOST_PER_SESSION = 6
MOST_PER_STREAM = 21

# KiB in all, however many there are.
MOST_FROM_RANDOM_TOKENS = 8 * 1024

# Opened before anything is counted, so that what is allocated once is not counted.
WARM = 200

# Random tokens that are presented before anything is counted: the caches have room for half of them.
WARM_TOKENS = 20_000

# Random tokens for each session or stream that is asked for, as they are many and cost little.
TOKENS_PER_COUNT = 20

# Within the server's default limits of sessions and streams per user.
PER_USER = 100

STARTS_WITHIN = 120
ANSWERS_WITHIN = 30

LEGACY = "2025-11-25"
MODERN = "2026-07-28"


class Server:
    """`epicme dev`, and the tokens of as many users as it takes. Each kind is measured on a server of
    its own: what one leaves behind would be room for the next."""

    def __init__(self, program):
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [program, "dev", "--ephemeral", "--bind", "127.0.0.1:0", "--auth-bind", "127.0.0.1:0"],
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        banner = self._banner()
        self.url = urlsplit(banner["MCP server"])
        self.issuer = urlsplit(banner["Authorization server"])
        self.tokens = {}

    def _banner(self):
        names, found = ("MCP server", "Authorization server"), {}
        # Its end is the end of its output, so nobody waits for ever.
        patience = threading.Timer(STARTS_WITHIN, self.process.kill)
        patience.start()
        for line in self.process.stdout:
            for name in names:
                if line.strip().startswith(name):
                    found[name] = line.split(name)[1].split()[0]
            if len(found) == len(names):
                patience.cancel()
                return found
        patience.cancel()
        self.log.seek(0)
        sys.exit("the server did not start:\n" + self.log.read().decode(errors="replace"))

    def token(self, number):
        user = number // PER_USER
        if user not in self.tokens:
            connection = http.client.HTTPConnection(self.issuer.netloc, timeout=ANSWERS_WITHIN)
            wanted = {"subject": f"user-{user}", "resource": self.url.geturl(), "expires_in": 3600}
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/dev/token", json.dumps(wanted), headers)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                sys.exit(f"no token: {answer.status} {body!r}")
            self.tokens[user] = json.loads(body)["access_token"]
        return self.tokens[user]

    def headers(self, number):
        return {
            "Host": self.url.netloc,
            "Authorization": f"Bearer {self.token(number)}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
        }

    def resident(self):
        """KiB of memory, once they have stopped changing."""
        last, same = None, 0
        for _ in range(100):
            with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
                now = next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))
            same = same + 1 if now == last else 0
            if same == 5:
                break
            last = now
            time.sleep(0.1)
        return now

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Sessions:
    """Sessions of the legacy era, opened over one connection and then left alone."""

    def __init__(self, server):
        self.server = server
        self.connection = http.client.HTTPConnection(server.url.netloc, timeout=ANSWERS_WITHIN)
        self.ids = []

    def open(self):
        body = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "initialize",
            "params": {
                "protocolVersion": LEGACY,
                "capabilities": {"elicitation": {}},
                "clientInfo": {"name": "footprint", "version": "1"},
            },
        }
        headers = self.server.headers(len(self.ids))
        self.connection.request("POST", self.server.url.path, json.dumps(body), headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            sys.exit(f"no session: {answer.status} {text!r}")
        self.ids.append(answer.headers["Mcp-Session-Id"])


class Streams:
    """Event streams, each on a connection of its own, which stays open."""

    def __init__(self, server):
        self.server = server
        self.sockets = []

    def open(self):
        number = len(self.sockets)
        method, headers, body = self.request(number)
        lines = [f"{method} {self.server.url.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        address = (self.server.url.hostname, self.server.url.port)
        connection = socket.create_connection(address, timeout=ANSWERS_WITHIN)
        connection.sendall("\r\n".join(lines + ["", body]).encode())
        answer = b""
        # The head, and the event with which either kind of stream begins.
        while answer.count(b"\n\n") < 1:
            part = connection.recv(4096)
            answer += part
            if not part or not answer.startswith(b"HTTP/1.1 200 "):
                sys.exit(f"no stream: {answer!r}")
        self.sockets.append(connection)


class GeneralStreams(Streams):
    """The stream that a GET opens within each session."""

    def __init__(self, server, sessions):
        super().__init__(server)
        self.sessions = sessions

    def request(self, number):
        headers = self.server.headers(number)
        del headers["Content-Type"]
        headers["MCP-Protocol-Version"] = LEGACY
        headers["Mcp-Session-Id"] = self.sessions.ids[number]
        return "GET", headers, ""


class Subscriptions(Streams):
    """The stream of a modern client's `subscriptions/listen`."""

    def request(self, number):
        headers = self.server.headers(number)
        headers["MCP-Protocol-Version"] = MODERN
        headers["Mcp-Method"] = "subscriptions/listen"
        meta = {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        body = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "subscriptions/listen",
            "params": {"notifications": {"resourcesListChanged": True}, "_meta": meta},
        }
        return "POST", headers, json.dumps(body)


class RandomTokens:
    """Requests with tokens that nobody gave out, each with another, over one connection."""

    def __init__(self, server):
        self.server = server
        self.connection = http.client.HTTPConnection(server.url.netloc, timeout=ANSWERS_WITHIN)

    def present(self):
        headers = {"Host": self.server.url.netloc, "Authorization": f"Bearer {secrets.token_hex(16)}"}
        self.connection.request("POST", self.server.url.path, "", headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 401:
            sys.exit(f"a random token is not refused: {answer.status} {text!r}")


def measure(server, what, kind, count, most):
    for _ in range(WARM):
        kind.open()
    before = server.resident()
    for _ in range(count - WARM):
        kind.open()
    after = server.resident()
    each = (after - before) / (count - WARM)
    verdict = "ok" if each <= most else "TOO MUCH"
    print(
        f"{what:<26} {count:>6} open, {before:>7} -> {after:>7} KiB: "
        f"{each:5.1f} KiB each, at most {most}: {verdict}",
        flush=True,
    )
    return each <= most


def measure_sessions(program, count):
    with Server(program) as server:
        return measure(server, "sessions without a stream", Sessions(server), count, MOST_PER_SESSION)


def measure_general_streams(program, count):
    with Server(program) as server:
        sessions = Sessions(server)
        for _ in range(count):
            sessions.open()
        return measure(server, "GET streams", GeneralStreams(server, sessions), count, MOST_PER_STREAM)


def measure_subscriptions(program, count):
    with Server(program) as server:
        return measure(server, "subscriptions/listen", Subscriptions(server), count, MOST_PER_STREAM)


def measure_random_tokens(program, count):
    with Server(program) as server:
        tokens = RandomTokens(server)
        for _ in range(WARM_TOKENS):
            tokens.present()
        before = server.resident()
        for _ in range(count):
            tokens.present()
        after = server.resident()
    grown = after - before
    verdict = "ok" if grown <= MOST_FROM_RANDOM_TOKENS else "TOO MUCH"
    print(
        f"{'random tokens':<26} {count:>6} sent, {before:>7} -> {after:>7} KiB: "
        f"{grown} KiB in all, at most {MOST_FROM_RANDOM_TOKENS}: {verdict}",
        flush=True,
    )
    return grown <= MOST_FROM_RANDOM_TOKENS


def main(program, wanted):
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Some are for what else the server has open.
    count = min(wanted, files - 500)
    if count < 2 * WARM:
        sys.exit(f"too few to measure anything: {count}; at least {2 * WARM} are needed")
    fine = [
        measure_sessions(program, count),
        measure_general_streams(program, count),
        measure_subscriptions(program, count),
        measure_random_tokens(program, wanted * TOKENS_PER_COUNT),
    ]
    print(f"{fine.count(True)} passed, {fine.count(False)} failed")
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
