"""A PostgreSQL of the test's own, programs, and a client of the server; tls.py and pooler.py tell what is checked."""

import glob
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

SCRATCH = sys.argv[1]
PART = os.path.basename(sys.argv[0]).removesuffix(".py")
EPICME, EPICME_TLS, MOCK_AUTH = (os.environ[name] for name in ("EPICME", "EPICME_TLS", "MOCK_AUTH"))
RESOURCE = "http://127.0.0.1:8787/mcp"
SECRET = "0123456789abcdef"
PASSWORD = "zq5 pass"

STARTS_WITHIN = 60
ANSWERS_WITHIN = 30

passed = failed = 0
programs = []


def check(name, holds, seen=""):
    global passed, failed
    if holds:
        passed += 1
        print(f"ok      {PART}: {name}", flush=True)
    else:
        failed += 1
        print(f"FAILED  {PART}: {name}: {seen}", flush=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(comes_true, within=ANSWERS_WITHIN):
    until = time.monotonic() + within
    while time.monotonic() < until:
        if comes_true():
            return True
        time.sleep(0.05)
    return False


def as_user(arguments):
    """PostgreSQL and PgBouncer refuse to run as root. setpriv becomes the program, so that signals reach it."""
    become = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    return [*become, *arguments] if os.getuid() == 0 else arguments


class Program:
    """A program of the test's own, ended with it."""

    def __init__(self, name, arguments, environment=None, stop=signal.SIGTERM):
        self.name, self.stop_by = name, stop
        self.path = f"{SCRATCH}/{PART}-{name}-{len(programs)}.log"
        environment = {"PATH": os.environ["PATH"], "HOME": SCRATCH, **(environment or {})}
        with open(self.path, "wb") as log:
            self.process = subprocess.Popen(
                arguments, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/"
            )
        programs.append(self)

    def log(self):
        with open(self.path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def wait_for(self, pattern):
        """The first match in what it prints."""
        found = []
        wait_until(
            lambda: found.append(re.search(pattern, self.log())) or found[-1] or self.process.poll() is not None,
            STARTS_WITHIN,
        )
        if found[-1] is None:
            raise SystemExit(f"{self.name} did not start:\n{self.log()}")
        return found[-1]

    def stop(self):
        """Ends it, and returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(self.stop_by)
        try:
            return self.process.wait(STARTS_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class Postgres:
    """A cluster with a database `journal` of the role `epicme`."""

    def __init__(self, hba, settings):
        self.port = free_port()
        self.directory = f"{SCRATCH}/{PART}-cluster"
        os.makedirs(self.directory)
        if os.getuid() == 0:
            shutil.chown(self.directory, "postgres", "postgres")
        self.data = f"{self.directory}/data"
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]))
        self.programs = found[-1] if found else os.path.dirname(shutil.which("initdb"))
        made = [f"{self.programs}/initdb", "--pgdata", self.data, "--username", "root", "--auth", "trust",
                "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"]
        subprocess.run(as_user(made), check=True, stdout=subprocess.DEVNULL, cwd="/")
        with open(f"{self.data}/pg_hba.conf", "w", encoding="utf-8") as file:
            file.write(f"local all all trust\n{hba}\n")
        arguments = [f"{self.programs}/postgres", "-D", self.data, "-p", str(self.port), "-k", self.directory]
        for setting in ["listen_addresses=127.0.0.1", "fsync=off", "max_connections=60", *settings]:
            arguments += ["-c", setting]
        self.process = Program("postgres", as_user(arguments), stop=signal.SIGINT)
        self.process.wait_for("ready to accept connections")
        self.run("postgres", f"CREATE ROLE epicme LOGIN PASSWORD '{PASSWORD}'")
        self.run("postgres", "CREATE DATABASE journal OWNER epicme")

    def run(self, database, sql):
        """What the superuser is answered, a line a row."""
        command = [f"{self.programs}/psql", "-h", self.directory, "-p", str(self.port), "-U", "root", "-XAtq",
                   "-v", "ON_ERROR_STOP=1", "-c", sql, database]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return done.stdout.strip()


def run(program, command, url, environment=None):
    """The exit code of a command, and what it says."""
    everything = {
        "PATH": os.environ["PATH"], "HOME": SCRATCH, "DATABASE_URL": url,
        "EPICME_ISSUER": "https://issuer.invalid", "EPICME_INTROSPECTION_CLIENT_ID": "epicme",
        "EPICME_INTROSPECTION_CLIENT_SECRET": SECRET, "EPICME_BIND": "127.0.0.1:0", "EPICME_METRICS_BIND": "off",
        **(environment or {}),
    }
    done = subprocess.run(
        [program, *command], env=everything, capture_output=True, text=True, timeout=STARTS_WITHIN, check=False
    )
    return done.returncode, done.stdout + done.stderr


class Server:
    """`epicme serve`, and the mock authorization server beside it."""

    issuer = None

    def __init__(self, program, url, environment=None):
        if Server.issuer is None:
            auth = {
                "MOCK_AUTH_BIND": "127.0.0.1:0",
                "MOCK_AUTH_INTROSPECTION_CLIENT_ID": "epicme",
                "MOCK_AUTH_INTROSPECTION_CLIENT_SECRET": SECRET,
                "MOCK_AUTH_SCOPES": "user:read,entries:read,entries:write,tags:read,tags:write",
                "MOCK_AUTH_DEFAULT_RESOURCE": RESOURCE,
            }
            auth = Program("mock-auth", [MOCK_AUTH], auth)
            Server.issuer = auth.wait_for(r"mock-auth is ready at (\S+)\n").group(1)
        everything = {
            "DATABASE_URL": url,
            "EPICME_METRICS_BIND": "off",
            "EPICME_BIND": "127.0.0.1:0",
            "EPICME_PUBLIC_URL": "http://127.0.0.1:8787",
            "EPICME_ISSUER": Server.issuer,
            "EPICME_INTROSPECTION_CLIENT_ID": "epicme",
            "EPICME_INTROSPECTION_CLIENT_SECRET": SECRET,
            "EPICME_MIGRATE": "on",
            **(environment or {}),
        }
        self.program = Program("epicme", [program, "serve"], everything)
        self.port = self.program.wait_for(rf"serving {RESOURCE} on 127\.0\.0\.1:(\d+);").group(1)

    def is_ready(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWERS_WITHIN)
        connection.request("GET", "/readyz", headers={"Host": "127.0.0.1:8787"})
        return connection.getresponse().status == 200


def token(subject):
    wanted = {"subject": subject, "resource": RESOURCE, "expires_in": 3600}
    request = urllib.request.Request(
        f"{Server.issuer}/dev/token", json.dumps(wanted).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=ANSWERS_WITHIN) as answer:
        return json.load(answer)["access_token"]


class Client:
    """One user's connection to a server."""

    def __init__(self, server, subject):
        self.bearer = token(subject)
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=ANSWERS_WITHIN)

    def call(self, tool, **arguments):
        """The result of a tool, or None if the server is not able to give one."""
        params = {
            "name": tool,
            "arguments": arguments,
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": {"name": "database", "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        }
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
        fields = {
            "Host": "127.0.0.1:8787",
            "Authorization": f"Bearer {self.bearer}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": "tools/call",
            "Mcp-Name": tool,
        }
        self.connection.request("POST", "/mcp", body, fields)
        answer = self.connection.getresponse()
        read = answer.read()
        if answer.status != 200:
            return None
        result = json.loads(read).get("result", {})
        return None if not result or result.get("isError") else result["structuredContent"]


def main(*parts):
    # So that what was started is ended, whoever ends this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        for part in parts:
            try:
                part()
            except Exception as error:  # The others are worth knowing all the same.
                check(part.__name__, False, repr(error))
    finally:
        for program in reversed(programs):
            program.stop()
    print(f"{passed} checks passed, {failed} failed")
