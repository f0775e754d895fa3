"""An upgrade from the release before, step by step; run.sh tells how it is called."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request

from journal import ANSWERS_WITHIN, Client, Journal

SCRATCH = sys.argv[1]
OLD, NEW = os.environ["PREVIOUS_EPICME"], os.environ["EPICME"]
HOST = "journal.example"
RESOURCE = f"https://{HOST}/mcp"
SECRET = "0123456789abcdef"
STARTS_WITHIN = 60


class Program:
    """A program of the test's own, ended with it."""

    def __init__(self, name, arguments, environment=None, stop=signal.SIGTERM):
        self.name, self.stop_by = name, stop
        self.path = f"{SCRATCH}/{name}.log"
        with open(self.path, "wb") as log:
            self.process = subprocess.Popen(
                arguments, env=surroundings(environment), stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        programs.append(self)

    def log(self):
        with open(self.path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def wait_for(self, pattern):
        """What the pattern's group is in the first match in what it prints."""
        until = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < until:
            match = re.search(pattern, self.log())
            if match:
                return match.group(1)
            if self.process.poll() is not None:
                break
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


def surroundings(environment=None):
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, **(environment or {})}


def run(arguments, environment=None):
    """What a command prints."""
    done = subprocess.run(
        arguments, env=surroundings(environment), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return done.stdout


def sql(database, statement):
    return run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement, database]).splitlines()


def schema(database):
    """As pg_dump writes it, without what it draws anew each time."""
    text = run(["pg_dump", "--schema-only", database])
    return [line for line in text.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]


def serve(name, program, database, more=None):
    """A process that serves, and its port."""
    environment = {
        "DATABASE_URL": database,
        "EPICME_METRICS_BIND": "off",
        "EPICME_BIND": "127.0.0.1:0",
        "EPICME_WORKERS": "1",
        "EPICME_PUBLIC_URL": f"https://{HOST}",
        "EPICME_ISSUER": ISSUER,
        "EPICME_INTROSPECTION_CLIENT_ID": "epicme",
        "EPICME_INTROSPECTION_CLIENT_SECRET": SECRET,
        **(more or {}),
    }
    process = Program(name, [program, "serve"], environment)
    return process, int(process.wait_for(rf"serving {RESOURCE} on 127\.0\.0\.1:(\d+);"))


def token(subject):
    wanted = {"subject": subject, "resource": RESOURCE, "expires_in": 3600}
    request = urllib.request.Request(
        f"{ISSUER}/dev/token", json.dumps(wanted).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=ANSWERS_WITHIN) as answer:
        return json.load(answer)["access_token"]


passed = failed = 0


def check(name, work):
    """Does something, and says whether it succeeded."""
    global passed, failed
    try:
        work()
        passed += 1
        print(f"ok      upgrade: {name}", flush=True)
    except Exception as error:  # What comes after is worth knowing all the same.
        failed += 1
        print(f"FAILED  upgrade: {name}: {error!r:.2000}", flush=True)


def upgrade(database, journal, port):
    """Migrates while the release before serves."""
    over, rounds, faults = threading.Event(), [], []

    def use():
        client = Client(port, HOST, BEARER)
        while not over.is_set() or not rounds:
            try:
                journal.use(client)
                rounds.append(1)
            except Exception as error:
                faults.append(error)
                return

    user = threading.Thread(target=use)
    user.start()
    try:
        print(run([NEW, "migrate"], {"DATABASE_URL": database}), end="")
    finally:
        over.set()
        user.join()
    assert not faults, faults
    assert "0 migrations run" in run([NEW, "migrate"], {"DATABASE_URL": database})


def side_by_side(journal, old, new):
    """Both at once, on the same journal."""
    faults = []

    def use(port):
        try:
            client = Client(port, HOST, BEARER)
            for _ in range(5):
                journal.use(client)
        except Exception as error:
            faults.append(error)

    users = [threading.Thread(target=use, args=(port,)) for port in (old, new, old, new)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert not faults, faults
    journal.pass_on(Client(old, HOST, BEARER), Client(new, HOST, BEARER))
    journal.pass_on(Client(new, HOST, BEARER), Client(old, HOST, BEARER))


WRONG_COUNTS = """
SELECT e.id, e.tag_count FROM entries e
 WHERE e.tag_count <> (SELECT count(*) FROM entry_tags l WHERE l.user_id = e.user_id AND l.entry_id = e.id)"""

WRONG_USAGE = """
SELECT u.* FROM usage u
 WHERE u.entries <> (SELECT count(*) FROM entries e WHERE e.user_id = u.user_id)
    OR u.bytes <> (SELECT coalesce(sum(octet_length(title) + octet_length(content) + coalesce(octet_length(mood), 0)
                                       + coalesce(octet_length(location), 0) + coalesce(octet_length(weather), 0)), 0)
                     FROM entries e WHERE e.user_id = u.user_id)"""


def counts(database):
    wrong = sql(database, WRONG_COUNTS) + sql(database, WRONG_USAGE)
    assert not wrong, wrong


def same(one, other):
    differing = [pair for pair in zip(schema(one), schema(other)) if pair[0] != pair[1]]
    assert not differing and len(schema(one)) == len(schema(other)), differing[:5]


def steps(database, fresh):
    """In order: each begins with what the ones before have left."""
    journal = Journal()

    def use(port):
        client = Client(port, HOST, BEARER)
        for _ in range(3):
            journal.use(client)

    def compare(*ports):
        for port in ports:
            journal.compare(Client(port, HOST, BEARER))

    run([OLD, "migrate"], {"DATABASE_URL": database})
    first, old = serve("old", OLD, database)
    check("the release before writes a journal on its own schema", lambda: use(old))
    check("it goes on while the schema is migrated", lambda: upgrade(database, journal, old))
    check("it reads on the new schema what it wrote before and meanwhile", lambda: compare(old))
    check("and writes there", lambda: use(old))
    run([NEW, "migrate"], {"DATABASE_URL": fresh})
    check("a schema that was upgraded is that of a new database", lambda: same(database, fresh))
    second, new = serve("new", NEW, database)
    check("this release finds everything that the other wrote", lambda: compare(new))
    check("it writes, and the other finds that", lambda: (use(new), compare(old, new)))
    check("both write to one journal at once", lambda: (side_by_side(journal, old, new), compare(old, new)))
    check("the numbers of tags, entries and bytes are right", lambda: counts(database))
    first.stop()
    second.stop()
    _, back = serve("old-again", OLD, database)
    check("who goes back to the release before reads and writes", lambda: (compare(back), use(back), compare(back)))
    _, again = serve("new-again", NEW, database, {"EPICME_MIGRATE": "on"})
    check("and who upgrades again finds it", lambda: (compare(again), counts(database)))


# So that what was started is ended, whoever ends this.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
programs = []
try:
    auth = Program(
        "mock-auth",
        [os.environ["MOCK_AUTH"]],
        {
            "MOCK_AUTH_BIND": "127.0.0.1:0",
            "MOCK_AUTH_INTROSPECTION_CLIENT_ID": "epicme",
            "MOCK_AUTH_INTROSPECTION_CLIENT_SECRET": SECRET,
            "MOCK_AUTH_SCOPES": "user:read,entries:read,entries:write,tags:read,tags:write",
            "MOCK_AUTH_DEFAULT_RESOURCE": RESOURCE,
        },
    )
    ISSUER = auth.wait_for(r"mock-auth is ready at (\S+)\n")
    BEARER = token("ann")
    # For its PostgreSQL, which ends with it.
    dev = Program(
        "dev",
        [NEW, "dev", "--ephemeral", "--bind", "127.0.0.1:0", "--auth-bind", "127.0.0.1:0"],
        stop=signal.SIGINT,
    )
    cluster = dev.wait_for(r"Database shell +psql (\S+)\n")
    names = [f"{cluster.rsplit('/', 1)[0]}/{name}" for name in ("upgraded", "fresh")]
    for name in ("upgraded", "fresh"):
        sql(cluster, f"CREATE DATABASE {name}")
    steps(*names)
    if failed:
        for program in programs:
            print(f"-- the end of the log of {program.name}\n{program.log()[-2000:]}")
finally:
    for program in reversed(programs):
        program.stop()
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
