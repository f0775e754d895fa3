"""`epicme serve` behind one of the proxies, and what is promised of the two together; run.sh tells how it is called."""

import http.client
import json
import os
import signal
import ssl
import sys
import time

import examples
from harness import (
    ANSWERS_WITHIN,
    HOST,
    LEGACY,
    PROXY,
    RESOURCE,
    SECRET,
    Connection,
    Program,
    Site,
    Stream,
    ask,
    create_tag,
    free_port,
    headers,
    token,
)

# How long nothing happens on the stream: more than one keep-alive comment, which comes every 15 s.
SILENCE = 22

# Tokens that are no good, from one address in a minute; and streams of one user.
UNKNOWN_TOKENS = 5
STREAMS = 3


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
    delays = []
    for n in range(5):
        began = time.monotonic()
        create_tag(bearer, f"noticed {n}")
        answered = time.monotonic()
        event = stream.arrived(b"resources/list_changed", began, 5)
        delays.append(round(1000 * (event - answered)) if event else 5_000)
    # Of the quickest: a proxy that waits for more to send waits each time, a busy machine does not.
    check("it does not wait for more to send with an event", min(delays) < 100, delays)
    print(f"        {PROXY}: from the answer to a write to its event: {' '.join(map(str, delays))} ms", flush=True)
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
        "/%6civez",
        "//readyz",
        "/READYZ",
        "/%2Fadmin/revocations",
        "/admin?x=/y",
        f"https://{HOST}/admin/revocations",
    ):
        closed.append(ask_for(path))
    # What it may pass on, because EpicMe knows no such path.
    for path in ("/%2561dmin/revocations", "/admin;x/revocations", "/admin;x", "/oauth/revoked;x",
                 "/x/admin/revocations", "/./admin/revocations",
                 "/x/../admin/revocations", "/%2e/admin/revocations", "/admin%00/revocations"):
        refused.append(ask_for(path))
    _, _, identifier = ask_for("/oauth/backchannel-logout")
    check("an issuer's logout reaches EpicMe", identifier is not None)
    shut = all(status == 404 and identifier is None for _, status, identifier in closed)
    check("what is for the machine alone ends at the proxy in every spelling", shut, closed)
    gone = all(status in (400, 404) for _, status, _ in refused)
    check("and what is almost that leads nowhere", gone, refused)


def several():
    """Two processes behind the proxy."""
    second, second_at = start_epicme("epicme-2")
    Site.port = free_port()
    programs.append(examples.start(Site.port, [UPSTREAM, second_at]))
    processes = (EPICME, second)

    def answered_by(request_id):
        """Which process it was, by its access log, which follows the answer within milliseconds."""
        found = []
        wait_until(lambda: found or found.extend(n for n, process in enumerate(processes) if request_id in process.log()))
        return found[0]

    statuses, homes = [], set()
    for user in range(16):
        bearer, connection = token(f"shared-{user}"), Connection()
        session = initialize(connection, bearer)
        for _ in range(3):
            body = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
            connection.request("POST", "/mcp", json.dumps(body), headers(bearer, session))
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        homes.add(answered_by(answer.headers["X-Request-Id"]))
        status, fields, _ = ask(connection, bearer, "tools/list")
        statuses.append(status)
        homes.add(answered_by(fields["X-Request-Id"]))
    check("with two processes, sessions go on and other requests are answered", set(statuses) == {200}, statuses)
    check("and both have some of them", homes == {0, 1}, homes)

    # By the process that has the stream: how long after a write to the other its event came.
    late = {}
    for attempt in range(16):
        user = f"crossing-{attempt}"
        stream = Stream(token(user))
        stream.read()
        stream.arrived(b"subscriptions/acknowledged", 0, 5)
        listens = answered_by(stream.answer.headers["X-Request-Id"])
        for n in range(8):
            began = time.monotonic()
            writes = answered_by(create_tag(token(user), f"tag {n}"))
            event = stream.arrived(b"resources/list_changed", began, 5)
            if writes != listens:
                late[listens] = event and round(event - began, 3)
                break
        stream.close()
        if set(late) == {0, 1}:
            break
        # Where they take turns, it is the other's then.
        ask(Connection(), token(user), "tools/list")
    heard = set(late) == {0, 1} and all(event is not None and event < 1 for event in late.values())
    check("a stream hears within a second what is written to the other process, in both directions", heard, late)


def start_epicme(name):
    """The program and its port."""
    program = Program(name, [os.environ["EPICME"], "serve"], ENVIRONMENT)
    programs.append(program)
    return program, program.wait_for(rf"serving {RESOURCE} on 127\.0\.0\.1:(\d+);").group(1)


# So that what was started is ended, whoever ends this.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
Site.port = free_port()
programs = []
try:
    environment = {
        "MOCK_AUTH_BIND": "127.0.0.1:0",
        "MOCK_AUTH_INTROSPECTION_CLIENT_ID": "epicme",
        "MOCK_AUTH_INTROSPECTION_CLIENT_SECRET": SECRET,
        "MOCK_AUTH_SCOPES": "user:read,entries:read,entries:write,tags:read,tags:write",
        "MOCK_AUTH_DEFAULT_RESOURCE": RESOURCE,
    }
    auth = Program("mock-auth", [os.environ["MOCK_AUTH"]], environment)
    programs.append(auth)
    Site.issuer = auth.wait_for(r"mock-auth is ready at (\S+)\n").group(1)
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
        "EPICME_ISSUER": Site.issuer,
        "EPICME_INTROSPECTION_CLIENT_ID": "epicme",
        "EPICME_INTROSPECTION_CLIENT_SECRET": SECRET,
        "EPICME_TRUSTED_PROXIES": "127.0.0.1",
        "EPICME_UNKNOWN_TOKENS_PER_MINUTE": str(UNKNOWN_TOKENS),
        "EPICME_STREAMS_PER_USER": str(STREAMS),
        "EPICME_REVOCATION_SECRET": SECRET,
    }
    EPICME, UPSTREAM = start_epicme("epicme")
    proxy = examples.start(Site.port, [UPSTREAM])
    programs.append(proxy)
    parts = [calls, legacy, internals, bodies, limits, leaving, events, several]
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
