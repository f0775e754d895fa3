"""`epicme serve` behind one of the proxies, and what is promised of the two together."""

import http.client
import json
import os
import re
import shutil
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

# How long nothing happens on the stream: more than one keep-alive comment, which comes every 15 s.
SILENCE = 22

# Tokens that are no good, from one address in a minute; and streams of one user.
UNKNOWN_TOKENS = 5
STREAMS = 3


# Where the proxies listen. No connection comes from there, so that none can take the port of a proxy
# between its being chosen and its being listened on.
PROXY_ADDRESS = "127.0.0.9"


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


class Connection(http.client.HTTPSConnection):
    """To the proxy, from an address of this machine's."""

    def __init__(self, address="127.0.0.1", timeout=ANSWERS_WITHIN):
        self.context = ssl.create_default_context(cafile=f"{SCRATCH}/certificate.pem")
        super().__init__(HOST, timeout=timeout)
        self.address = address

    def connect(self):
        plain = socket.create_connection(
            (PROXY_ADDRESS, PORT), self.timeout, source_address=(self.address, 0)
        )
        self.sock = self.context.wrap_socket(plain, server_hostname=HOST)


def token(subject):
    wanted = {"subject": subject, "resource": RESOURCE, "expires_in": 3600}
    request = urllib.request.Request(
        f"{ISSUER}/dev/token", json.dumps(wanted).encode(), {"Content-Type": "application/json"}
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
    """The list of resources changes with it."""
    arguments = {"name": "create_tag", "arguments": {"name": name}}
    status, _, body = ask(Connection(), bearer, "tools/call", arguments)
    assert status == 200 and not json.loads(body)["result"].get("isError"), (status, body)


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


def wait_until(comes_true):
    until = time.monotonic() + ANSWERS_WITHIN
    while not comes_true() and time.monotonic() < until:
        time.sleep(0.05)


passed = failed = 0


def check(name, holds, seen=""):
    global passed, failed
    if holds:
        passed += 1
        print(f"ok      {PROXY}: {name}", flush=True)
    else:
        failed += 1
        print(f"FAILED  {PROXY}: {name}: {seen}", flush=True)


def calls():
    bearer = token("caller")
    connection = Connection()
    first = ask(connection, bearer, "tools/list")
    second = ask(connection, bearer, "tools/call", {"name": "list_entries", "arguments": {}})
    check("calls are answered", first[0] == second[0] == 200, (first, second))
    status, fields, _ = ask(connection, "nonsense", "tools/list")
    challenge = fields.get("WWW-Authenticate", "")
    expected = f'resource_metadata="https://{HOST}/.well-known/oauth-protected-resource/mcp"'
    check("a challenge names the public URL", status == 401 and expected in challenge, challenge)
    connection.request("GET", "/.well-known/oauth-protected-resource/mcp")
    answer = connection.getresponse()
    metadata = json.loads(answer.read())
    check("metadata is found", metadata.get("resource") == RESOURCE, metadata)


def initialize(connection, bearer):
    """Begins a legacy session, and gives the fields that name it."""
    hello = {
        "protocolVersion": LEGACY,
        "capabilities": {},
        "clientInfo": {"name": "proxies", "version": "1"},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    connection.request("POST", "/mcp", json.dumps(body), headers(bearer))
    answer = connection.getresponse()
    answer.read()
    return {"Mcp-Session-Id": answer.headers["Mcp-Session-Id"], "MCP-Protocol-Version": LEGACY}


def legacy():
    bearer = token("legacy")
    connection = Connection()
    session = initialize(connection, bearer)
    body = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    connection.request("POST", "/mcp", json.dumps(body), headers(bearer, session))
    connection.getresponse().read()
    general = Connection(timeout=60)
    general.request("GET", "/mcp", headers={**headers(bearer, session), "Accept": "text/event-stream"})
    stream = general.getresponse()
    body = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    connection.request("POST", "/mcp", json.dumps(body), headers(bearer, session))
    listed = connection.getresponse()
    text = listed.read()
    connection.request("DELETE", "/mcp", headers=headers(bearer, session))
    deleted = connection.getresponse()
    deleted.read()
    seen = (stream.status, listed.status, deleted.status)
    good = seen == (200, 200, 204) and b"list_entries" in text
    check("a legacy session lives and ends, with its general stream", good, seen)
    stream.close()
    general.close()


def events():
    bearer = token("watcher")
    stream = Stream(bearer)
    began = time.monotonic()
    stream.read()
    acknowledged = stream.arrived(b"subscriptions/acknowledged", began - 1, 5)
    check("a stream opens", stream.status == 200 and acknowledged is not None, stream.status)
    comment = stream.arrived(b":", began + 5, SILENCE)
    waited = comment and comment - began
    check("its keep-alive comment comes when it is said", waited and 13 < waited < 17, waited)
    time.sleep(max(0, began + SILENCE - time.monotonic()))
    create_tag(bearer, "noticed")
    written = time.monotonic()
    event = stream.arrived(b"resources/list_changed", began, 5)
    late = event and event - written
    check(f"an event comes within a second, after {SILENCE} s", late is not None and late < 1, late)
    stream.close()


def leaving():
    """The streams of a client that has gone are ended: their places are free."""
    bearer = token("leaver")
    streams = [Stream(bearer) for _ in range(STREAMS)]
    full = Stream(bearer).status
    for stream in streams:
        stream.close()
    until, again = time.monotonic() + 10, None
    while again != 200 and time.monotonic() < until:
        attempt = Stream(bearer)
        again = attempt.status
        attempt.close()
        time.sleep(0.1)
    seen = ([stream.status for stream in streams], full, again)
    check("a client that leaves leaves EpicMe", full == 503 and again == 200, seen)


def limits():
    def unknown(address, fields=None):
        connection = Connection(address)
        statuses = [
            ask(connection, f"unknown-{address}-{n}-{len(fields or {})}", "tools/list", more=fields)[0]
            for n in range(UNKNOWN_TOKENS + 1)
        ]
        return statuses

    flood = unknown("127.0.0.2")
    check("who presents bad tokens is limited", flood[0] == 401 and flood[-1] == 429, flood)
    other = unknown("127.0.0.3")[0]
    check("and no other client of the proxy is", other == 401, other)
    forged = {"X-Forwarded-For": "192.0.2.7", "Forwarded": "for=192.0.2.7"}
    lied = unknown("127.0.0.2", forged)[0]
    check("it cannot say that it is somebody else", lied == 429, lied)
    unknown("127.0.0.4", {"Forwarded": "for=192.0.2.8"})
    shared = unknown("127.0.0.5", {"Forwarded": "for=192.0.2.9"})[0]
    check("nor have the proxy itself limited", shared == 401, shared)


def bodies():
    bearer = token("sender")
    long = json.dumps({"padding": "x" * (2 * 1024 * 1024)})
    connection = Connection()
    try:
        connection.request("POST", "/mcp", long, headers(bearer))
    except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
        # It may stop reading before all was sent; the answer is there all the same.
        pass
    try:
        answer = connection.getresponse()
        status = answer.status
        answer.read()
    except (OSError, http.client.HTTPException) as error:
        status = repr(error)
    check("a body over 2 MiB is refused", status == 413, status)

    def pieces():
        for _ in range(40):
            yield b"x" * 65536

    connection = Connection()
    try:
        connection.request("POST", "/mcp", pieces(), headers(bearer), encode_chunked=True)
    except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
        pass
    try:
        answer = connection.getresponse()
        status = answer.status
        answer.read()
    except (OSError, http.client.HTTPException) as error:
        status = repr(error)
    check("and one that does not say how long it is", status == 413, status)
    entry = {"name": "create_entry", "arguments": {"title": "long", "content": "x" * 90_000}}
    status, _, body = ask(Connection(), bearer, "tools/call", entry)
    check("a long one within it is not", status == 200, (status, body[:200]))


def internals():
    """Without EPICME_ADMIN_BIND, so that the proxy alone keeps the public away from these paths."""
    connection = Connection()
    closed, refused = [], []

    def ask_for(path):
        connection.request("POST", path, "{}", {"Authorization": f"Bearer {SECRET}"})
        answer = connection.getresponse()
        answer.read()
        return path, answer.status, answer.headers.get("X-Request-Id")

    for path in ("/livez", "/readyz", "/admin/cut-offs", "/admin/revocations", "/oauth/revoked", "/admin"):
        closed.append(ask_for(path))
    # What a path matcher has to see through.
    for path in (
        "/%61dmin/revocations",
        "/%61%64%6d%69%6e/revocations",
        "//admin/revocations",
        "/admin//revocations",
        "/ADMIN/revocations",
        "/Admin/cut-offs",
        "/admin%2frevocations",
        "/admin/",
        "/oauth/%72evoked",
        "/oauth//revoked",
        "/OAuth/Revoked",
        "/livez/",
    ):
        closed.append(ask_for(path))
    # What it may pass on, because EpicMe knows no such path.
    for path in ("/%2561dmin/revocations", "/admin;x/revocations", "/x/admin/revocations", "/./admin/revocations",
                 "/x/../admin/revocations", "/%2e/admin/revocations", "/admin%00/revocations"):
        refused.append(ask_for(path))
    shut = all(status == 404 and identifier is None for _, status, identifier in closed)
    check("what is for the machine alone ends at the proxy in every spelling", shut, closed)
    gone = all(status in (400, 404) for _, status, _ in refused)
    check("and what is almost that leads nowhere", gone, refused)


def several():
    """Two processes behind nginx, chosen by the token."""
    global PORT
    PORT = free_port()
    second, second_at = start_epicme("epicme-2")
    programs.append(start_proxy(second_at))
    programs[-1].wait_for_port(PORT)
    seen, processes = [], (EPICME, second)
    before = [process.log().count("POST /mcp") for process in processes]
    for user in range(16):
        bearer, connection = token(f"shared-{user}"), Connection()
        session = initialize(connection, bearer)
        body = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        connection.request("POST", "/mcp", json.dumps(body), headers(bearer, session))
        answer = connection.getresponse()
        answer.read()
        seen += [answer.status, ask(connection, bearer, "tools/list")[0]]
    check("with two processes, each token's session stays in one", set(seen) == {200}, seen)

    def shares():
        return [process.log().count("POST /mcp") - n for process, n in zip(processes, before)]

    # An access line is written within a few milliseconds of its answer, not before it.
    wait_until(lambda: sum(shares()) >= 48)
    check("and both have some of them", all(shares()) and sum(shares()) >= 48, shares())


def config(text, second_at):
    """The example, with this test's ports and files in place of its own."""

    def put(old, new):
        nonlocal text
        assert old in text, f"the example has no {old}"
        text = text.replace(old, new)

    put("127.0.0.1:8787;" if PROXY == "nginx" else "reverse_proxy 127.0.0.1:8787",
        f"127.0.0.1:{UPSTREAM};" if PROXY == "nginx" else f"reverse_proxy 127.0.0.1:{UPSTREAM}")
    if second_at:
        put("# hash $http_authorization", f"server 127.0.0.1:{second_at}; hash $http_authorization")
    if PROXY == "nginx":
        put("listen 443 ssl", f"listen {PROXY_ADDRESS}:{PORT} ssl")
        put("/etc/ssl/journal.example.pem", f"{SCRATCH}/certificate.pem")
        put("/etc/ssl/journal.example.key", f"{SCRATCH}/key.pem")
        put("worker_processes auto", "worker_processes 2")
        # What Debian keeps in /var, and a service manager would want.
        put("access_log off;", f"access_log off; client_body_temp_path {SCRATCH}/body; "
            f"proxy_temp_path {SCRATCH}/proxy; fastcgi_temp_path {SCRATCH}/fastcgi; "
            f"uwsgi_temp_path {SCRATCH}/uwsgi; scgi_temp_path {SCRATCH}/scgi;")
        return f"daemon off; pid {SCRATCH}/{PORT}.pid; error_log stderr;\n{text}"
    put(
        "\njournal.example {",
        f"\nhttps://journal.example:{PORT} {{\n\tbind {PROXY_ADDRESS}\n"
        f"\ttls {SCRATCH}/certificate.pem {SCRATCH}/key.pem",
    )
    return "{\n\tadmin off\n\tauto_https disable_redirects\n}\n" + text


def start_proxy(second_at=None):
    name = {"nginx": "nginx.conf", "caddy": "Caddyfile"}[PROXY]
    with open(f"{EXAMPLES}/{name}", encoding="utf-8") as example:
        text = config(example.read(), second_at)
    path = f"{SCRATCH}/{PORT}-{name}"
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    if PROXY == "nginx":
        # Its workers are nobody's where root starts them.
        os.chmod(SCRATCH, 0o755)
        return Program(f"nginx-{PORT}", ["nginx", "-p", SCRATCH, "-c", path], stop=signal.SIGQUIT)
    arguments = ["caddy", "run", "--config", path, "--adapter", "caddyfile"]
    # It keeps its own certificates at home.
    return Program("caddy", arguments, {"HOME": SCRATCH, "XDG_DATA_HOME": SCRATCH})


def start_epicme(name):
    """The program and its port."""
    program = Program(name, [os.environ["EPICME"], "serve"], ENVIRONMENT)
    programs.append(program)
    return program, program.wait_for(rf"serving {RESOURCE} on 127\.0\.0\.1:(\d+);").group(1)


PORT = free_port()
programs = []
try:
    environment = {
        "MOCK_AUTH_BIND": "127.0.0.1:0",
        "MOCK_AUTH_INTROSPECTION_CLIENT_SECRET": SECRET,
        "MOCK_AUTH_DEFAULT_RESOURCE": RESOURCE,
    }
    auth = Program("mock-auth", [os.environ["MOCK_AUTH"]], environment)
    programs.append(auth)
    ISSUER = auth.wait_for(r"mock-auth is ready at (\S+)\n").group(1)
    # For its PostgreSQL, which ends with it.
    database_url = os.environ.get("DATABASE_URL")
    if not database_url:
        dev = Program(
            "dev",
            [os.environ["EPICME"], "dev", "--ephemeral", "--bind", "127.0.0.1:0", "--auth-bind",
             "127.0.0.1:0"],
            stop=signal.SIGINT,
        )
        programs.append(dev)
        database_url = dev.wait_for(r"Database shell +psql (\S+)\n").group(1)
    ENVIRONMENT = {
        "DATABASE_URL": database_url,
        "EPICME_MIGRATE": "on",
        "EPICME_METRICS_BIND": "off",
        "EPICME_BIND": "127.0.0.1:0",
        "EPICME_PUBLIC_URL": f"https://{HOST}",
        "EPICME_ISSUER": ISSUER,
        "EPICME_INTROSPECTION_CLIENT_ID": "epicme",
        "EPICME_INTROSPECTION_CLIENT_SECRET": SECRET,
        "EPICME_TRUSTED_PROXIES": "127.0.0.1",
        "EPICME_UNKNOWN_TOKENS_PER_MINUTE": str(UNKNOWN_TOKENS),
        "EPICME_STREAMS_PER_USER": str(STREAMS),
        "EPICME_REVOCATION_SECRET": SECRET,
    }
    EPICME, UPSTREAM = start_epicme("epicme")
    proxy = start_proxy()
    programs.append(proxy)
    proxy.wait_for_port(PORT)
    parts = [calls, legacy, internals, bodies, limits, leaving, events]
    if PROXY == "nginx":
        parts.append(several)
    for part in parts:
        try:
            part()
        except Exception as error:  # The others are worth knowing all the same.
            check(part.__name__, False, repr(error))
    if failed:
        print(proxy.log(), end="")
finally:
    for program in reversed(programs):
        program.stop()
print(f"{passed} checks passed, {failed} failed")
