"""What docs/DOCKER.md promises, one function each. Each fails by an AssertionError, and may return words."""

import json
import os
import re
import tempfile
import time
import urllib.parse

import image
from mcp import Client, http
from stack import ROOT, docker, run

SERVERS = ["postgres", "mock-auth", "epicme"]
ENDING = ["secrets", "roles", "migrate"]
OURS = ["migrate", "mock-auth", "epicme"]
MEGABYTE = 1_000_000
SECRETS = {
    "secrets-postgres": ["superuser-password"],
    "secrets-migrate": ["database-url"],
    "secrets-epicme": ["database-url", "introspection-secret", "request-state-key", "revocation-secret"],
    "secrets-mock-auth": ["introspection-secret"],
}


def starts(stack):
    if arguments := os.environ.get("BUILD_ARGS"):
        # `up --build` takes no arguments, and would build again without them.
        stack.compose("build", *arguments.split())
        stack.compose("up", "--detach")
    else:
        stack.compose("up", "--build", "--detach")
    stack.until_healthy(*SERVERS)


def one_shots_end_with_zero(stack):
    services = stack.services()
    ended = {name: (services[name]["State"]["Status"], services[name]["State"]["ExitCode"]) for name in ENDING}
    assert ended == {name: ("exited", 0) for name in ENDING}, ended


def oauth_from_outside(stack):
    stack.client = Client(stack.url("EPICME_PORT") + "/mcp")
    yield from stack.client.sign_in()
    stack.client.entry("First light")
    yield "create_entry writes"
    assert stack.client.titles() == ["First light"]
    yield "list_entries reads it back"
    other = Client(stack.client.endpoint)
    for _ in other.sign_in("Bela"):
        pass
    assert other.titles() == [], "another person sees it"


def every_write_works(stack):
    """Each tool that writes, so that the database's role is seen to be allowed all that they do."""
    client = Client(stack.client.endpoint)
    for _ in client.sign_in("Chidi"):
        pass
    made = {}
    for name, arguments in (
        ("create_tag", {"name": "rain", "idempotencyKey": "tag"}),
        ("create_tag", {"name": "fog"}),
        ("create_entry", {"title": "Rain", "content": "x", "tags": [1], "idempotencyKey": "entry"}),
        ("update_entry", {"id": "entry", "title": "More rain"}),
        ("update_tag", {"id": "tag", "name": "drizzle"}),
        ("add_tag_to_entry", {"entryId": "entry", "tagId": "tag"}),
        ("remove_tag_from_entry", {"entryId": "entry", "tagId": "tag"}),
        ("export_journal", {"format": "json"}),
        ("search_entries", {"query": "rain"}),
        ("list_activity", {}),
        ("list_connected_clients", {}),
        ("delete_entry", {"id": "entry"}),
        ("delete_tag", {"id": "tag"}),
    ):
        ids = ("id", "entryId", "tagId")
        arguments = {key: made[value] if key in ids else value for key, value in arguments.items()}
        if "tags" in arguments:
            arguments["tags"] = [made["tag"]]
        reply = client.tool(name, arguments)
        assert reply.status == 200, (name, reply.status, reply.body)
        result = reply.json().get("result", {})
        assert result and not result.get("isError"), (name, reply.body)
        made |= {kind: result["structuredContent"][kind]["id"] for kind in ("tag", "entry") if kind in result["structuredContent"]}


def confined(stack):
    for name, container in stack.services().items():
        host = container["HostConfig"]
        assert host["ReadonlyRootfs"], f"{name} can write to its file system"
        assert host["CapDrop"] == ["ALL"], f"{name} keeps {host['CapDrop']}"
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        cores = [limit for limit in host["Ulimits"] or [] if limit["Name"] == "core"]
        assert [limit["Hard"] for limit in cores] == [0], f"{name} leaves core dumps: {host['Ulimits']}"
        assert not host["Privileged"] and host["NetworkMode"] != "host" and host["PidMode"] != "host", name
        assert host["Memory"] > 0 and host["PidsLimit"] > 0, f"{name} has no bound"
        for bindings in (host["PortBindings"] or {}).values():
            assert {binding["HostIp"] for binding in bindings} == {"127.0.0.1"}, f"{name}: {bindings}"
    for name in OURS:
        container = stack.services()[name]
        assert container["Config"]["User"] == "10001:10001", f"{name} runs as {container['Config']['User']!r}"
        assert not container["HostConfig"]["CapAdd"] and not container["HostConfig"].get("Tmpfs"), name
        assert docker("diff", container["Id"]) in ("", "A /run/secrets\n", "C /run\nA /run/secrets\n"), f"{name} wrote"
    for name in ("epicme", "mock-auth"):
        _, *lines = docker("top", stack.container(name), "-eo", "pid,uid,gid").splitlines()
        assert {tuple(line.split()[1:]) for line in lines} == {("10001", "10001")}, f"{name}: {lines}"


def no_shell(stack):
    """The same program in an image with its libraries and nothing else to run."""
    text = """
        FROM {image} AS whole
        FROM scratch
        COPY --from=whole /lib /lib
        COPY --from=whole /lib64 /lib64
        COPY --from=whole /usr/local/bin /usr/local/bin
    """
    for name, arguments in (("epicme", ["scopes"]), ("mock-auth", ["--version"])):
        image = stack.image(name)
        health = image["Config"]["Healthcheck"]["Test"]
        assert health[0] == "CMD" and "/bin/sh" not in health, health
        (program,) = image["Config"]["Entrypoint"]
        bare = docker("build", "--quiet", "-", input=text.format(image=image["Id"])).split()[-1]
        try:
            assert docker("run", "--rm", "--network", "none", "--entrypoint", program, bare, *arguments)
            without = run("docker", "run", "--rm", "--entrypoint", "/bin/sh", bare, "-c", "true", check=False)
            assert without.returncode != 0, "there is a shell after all"
        finally:
            docker("image", "rm", bare, check=False)


def ports_on_loopback(stack):
    published = {}
    for name, container in stack.services().items():
        for inside, bindings in (container["NetworkSettings"]["Ports"] or {}).items():
            for binding in bindings or []:
                assert binding["HostIp"] == "127.0.0.1", f"{name}: {binding}"
                published[f"{name} {inside}"] = binding["HostPort"]
    expected = {"epicme 8787/tcp": stack.ports["EPICME_PORT"], "mock-auth 7788/tcp": stack.ports["MOCK_AUTH_PORT"]}
    assert published == expected, published


def database_is_apart(stack):
    networks = {name: set(each["NetworkSettings"]["Networks"]) for name, each in stack.services().items()}
    inside = f"{stack.project}_database"
    assert networks["postgres"] == {inside}, networks
    assert json.loads(docker("network", "inspect", inside))[0]["Internal"]
    assert {name for name, those in networks.items() if inside in those} == {"postgres", "roles", "migrate", "epicme"}


def sizes(stack):
    base = json.loads(docker("image", "inspect", "debian:bookworm-slim"))[0]["Size"]
    added = {name: stack.image(name)["Size"] - base for name in ("epicme", "mock-auth")}
    assert all(0 < size < 30 * MEGABYTE for size in added.values()), added
    return ", ".join(f"{name} adds {size / MEGABYTE:.1f} MB" for name, size in added.items())


def read_secrets(stack):
    found = {}
    for volume, files in SECRETS.items():
        mount = f"{stack.project}_{volume}:/s:ro"
        shell = ["debian:bookworm-slim", "/bin/sh", "-c", "cd /s && for f in *; do echo $f; cat $f; echo; done"]
        words = docker("run", "--rm", "--network", "none", "--volume", mount, *shell).split()
        pairs = dict(zip(words[::2], words[1::2]))
        assert sorted(pairs) == files, (volume, sorted(pairs))
        found[volume] = pairs
    return found


def programs_name_their_dependencies(stack):
    """As scanners of images read it, compared with Cargo.lock."""
    locked = set(re.findall(r'name = "(.*)"\nversion = "(.*)"', (ROOT / "Cargo.lock").read_text()))
    counts = []
    for service, program, needed in (("epicme", "epicme", "diesel"), ("mock-auth", "mock-auth", "actix-web")):
        with tempfile.TemporaryDirectory(prefix="epicme-program-") as directory:
            docker("cp", f"{stack.container(service)}:/usr/local/bin/{program}", directory)
            named = image.dependencies_of(f"{directory}/{program}")
        assert {program, needed} <= named.keys(), named
        assert set(named.items()) <= locked, set(named.items()) - locked
        counts.append(f"{len(named)} of {program}")
    return ", ".join(counts)


def secrets_stay_secret(stack):
    secrets = read_secrets(stack)
    values = set()
    for pairs in secrets.values():
        for value in pairs.values():
            values.add(value)
            values.add(urllib.parse.urlsplit(value).password or value)
    assert len(values) == 8, "six secrets, two of them in a URL, and the one that two share is one"
    services = stack.services()
    shown = json.dumps(list(services.values()))
    shown += json.dumps([stack.image(name) for name in services])
    shown += "".join(stack.logs(name) for name in services)
    shown += "".join(docker("history", "--no-trunc", service["Image"]) for service in services.values())
    shown += docker("exec", stack.container("postgres"), "cat", "/proc/1/cmdline")
    assert not [value for value in values if value in shown], "a secret is in what Docker shows"


def secrets_to_whom_they_belong(stack):
    allowed = {
        "secrets": set(SECRETS),
        "postgres": {"secrets-postgres"},
        "roles": {"secrets-postgres", "secrets-migrate", "secrets-epicme"},
        "migrate": {"secrets-migrate"},
        "mock-auth": {"secrets-mock-auth"},
        "epicme": {"secrets-epicme"},
    }
    for name, container in stack.services().items():
        mounts = {each["Name"].removeprefix(stack.project + "_"): each["RW"] for each in container["Mounts"] if "Name" in each}
        held = {volume: writable for volume, writable in mounts.items() if volume in SECRETS}
        assert set(held) == allowed[name], (name, held)
        assert name == "secrets" or not any(held.values()), f"{name} can change its secrets"


def role_changes_rows_alone(stack):
    url = urllib.parse.urlsplit(read_secrets(stack)["secrets-epicme"]["database-url"])
    psql = ["psql", "-h", "postgres", "-U", url.username, "-d", "epicme", "-Atc"]

    def said(sql):
        return run("docker", "exec", "--env", f"PGPASSWORD={url.password}", stack.container("postgres"), *psql, sql, check=False)

    assert int(said("SELECT count(*) FROM entries").stdout) >= 1
    for sql in ("CREATE TABLE mine ()", "DROP TABLE entries", "TRUNCATE entries", "ALTER TABLE entries ADD x int",
                "CREATE ROLE mine", "CREATE SCHEMA mine", "CREATE TEMPORARY TABLE mine ()"):
        refused = said(sql)
        assert refused.returncode != 0 and ("permission denied" in refused.stderr or "must be owner" in refused.stderr), (sql, refused)
    wrong = run("docker", "exec", "--env", "PGPASSWORD=wrong", stack.container("postgres"), *psql, "SELECT 1", check=False)
    assert wrong.returncode != 0, "any password will do"


def survives_a_restart_of_postgres(stack):
    before = stack.services()["epicme"]["State"]["StartedAt"]
    written, refused = [], set()

    def write():
        reply = stack.client.tool("create_entry", {"title": f"Storm {len(written)}", "content": "x", "idempotencyKey": f"storm-{len(written)}"})
        if reply.status == 200:
            written.append(reply.json()["result"]["structuredContent"]["entry"]["title"])
        else:
            refused.add(reply.status)

    write()
    docker("stop", stack.container("postgres"))
    write()
    docker("start", stack.container("postgres"))
    stack.until_healthy("postgres")
    end = time.monotonic() + 60
    while len(written) < 5 and time.monotonic() < end:
        write()
    assert refused == {503}, f"while the database was away: {refused}"
    assert written == [f"Storm {n}" for n in range(5)], written
    stack.until_healthy("epicme")
    there = stack.client.titles()
    assert sorted(title for title in there if title.startswith("Storm")) == written, there
    container = stack.services()["epicme"]
    assert container["State"]["StartedAt"] == before and container["RestartCount"] == 0, "epicme had to start anew"


def a_second_up_changes_nothing(stack):
    before, ids = read_secrets(stack), {name: stack.container(name) for name in SERVERS}
    stack.compose("up", "--detach")
    stack.until_healthy(*SERVERS)
    assert read_secrets(stack) == before
    assert {name: stack.container(name) for name in SERVERS} == ids
    one_shots_end_with_zero(stack)
    assert "First light" in stack.client.titles()


def what_stopped_starts_again(stack):
    stack.compose("stop")
    stack.compose("start", *SERVERS)
    stack.until_healthy(*SERVERS)
    for _ in stack.client.sign_in():  # mock-auth forgets its tokens
        pass
    assert "First light" in stack.client.titles()


def backup_and_restore(stack):
    """With the commands of docs/DOCKER.md, to the letter but for the project's name, files and ports."""
    section = (ROOT / "docs/DOCKER.md").read_text().split("\n## Backup and restore\n")[1].split("\n## ")[0]
    backup, restore = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    with tempfile.TemporaryDirectory(prefix="epicme-backup-") as directory:

        def shell(commands):
            ours = commands.replace("docker compose", stack.command_line())
            run("sh", "-euc", ours, cwd=directory, env=stack.environment)

        stack.client.entry("Before the backup")
        shell(backup)
        stack.client.entry("After the backup")
        secrets = read_secrets(stack)
        shell(restore)
        stack.until_healthy(*SERVERS)
        assert read_secrets(stack) == secrets, "the secrets are others"
        titles = stack.client.titles()
        assert "Before the backup" in titles and "First light" in titles and "After the backup" not in titles, titles
        stack.client.entry("After the restore")
    role_changes_rows_alone(stack)


# --- Two processes behind one address. -----------------------------------------------------------------

BEHIND = ["epicme-a", "epicme-b"]


def scale_starts(stack):
    stack.stand_in("balancer", "haproxy:3.2-alpine", "haproxy")
    stack.compose("up", "--detach", "balancer", profiles=["scale"])
    stack.until_healthy("balancer", *BEHIND)
    stack.scaled = Client(stack.url("EPICME_SCALE_PORT") + "/mcp")
    for _ in stack.scaled.sign_in():
        pass


def answered_by(stack, replies):
    """Which process answered each, by its access log, which follows the answer within milliseconds."""
    asked = {reply.request_id for reply in replies}
    end = time.monotonic() + 10
    while True:
        seen = {}
        for name in BEHIND:
            for line in stack.lines(name):
                if line.get("target") == "access":
                    seen[line["request_id"]] = name
        if asked <= seen.keys() or time.monotonic() > end:
            return [seen.get(reply.request_id) for reply in replies]
        time.sleep(0.05)


def modern_requests_spread(stack):
    replies = [stack.scaled.tool("list_entries", {}) for _ in range(20)]
    assert {reply.status for reply in replies} == {200}
    who = answered_by(stack, replies)
    counts = [who.count(name) for name in BEHIND]
    assert sum(counts) == 20 and min(counts) >= 8, counts
    return f"{counts[0]} and {counts[1]} of 20"


def legacy_sessions_stick(stack):
    homes = set()
    for _ in range(4):
        session, opened = stack.scaled.session()
        ping = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        replies = [opened] + [stack.scaled.in_session(session, ping) for _ in range(6)]
        assert {reply.status for reply in replies} == {200}, [reply.status for reply in replies]
        who = set(answered_by(stack, replies))
        assert len(who) == 1, who
        homes |= who
    assert homes == set(BEHIND), "sessions spread too"


def confirmation_crosses(stack):
    for _ in range(4):
        entry = stack.scaled.entry("Fog")
        can = {"elicitation": {}}
        asked = stack.scaled.tool("delete_entry", {"id": entry}, can)
        question = asked.json()["result"]
        assert question["resultType"] == "input_required", question
        answer = {"confirm": {"action": "accept", "content": {"confirmed": True}}}
        state = question["requestState"]
        done = stack.scaled.tool("delete_entry", {"id": entry}, can, requestState=state, inputResponses=answer)
        assert done.json()["result"]["structuredContent"]["success"] is True, done.body
        if len(set(answered_by(stack, [asked, done]))) == 2:
            return
        stack.scaled.titles()  # one request more changes whose turn it is
    raise AssertionError("both rounds always reached the same process")


def not_through_the_balancer(stack):
    for path in ("/admin/cut-offs", "/admin/revocations", "/oauth/revoked", "/readyz"):
        reply = http("POST", stack.url("EPICME_SCALE_PORT") + path, {})
        assert reply.status == 404, (path, reply.status)


def one_goes_and_comes_back(stack):
    """Requests come one after another while a process stops and while it is away: none fails."""
    process = stack.stop_in_background("epicme-a")
    statuses = []
    while process.poll() is None:
        statuses.append(stack.scaled.tool("list_entries", {}).status)
    statuses += [stack.scaled.tool("list_entries", {}).status for _ in range(10)]
    assert set(statuses) == {200}, {status: statuses.count(status) for status in set(statuses)}
    assert stack.services()["epicme-a"]["State"]["ExitCode"] == 0
    docker("start", stack.container("epicme-a"))
    stack.until_healthy("epicme-a")
    end = time.monotonic() + 30
    while "epicme-a" not in answered_by(stack, [stack.scaled.tool("list_entries", {}) for _ in range(4)]):
        assert time.monotonic() < end, "the balancer does not find it again"
    return f"{len(statuses)} requests"


def load_is_borne(stack):
    """The load tester checks every answer, and ends with 0 only if all were right."""
    stack.compose("build", "mcp-load", profiles=["load"])
    resource = stack.url("EPICME_PORT") + "/mcp"
    where = ["http://epicme:8787/mcp", "--dev-tokens=http://mock-auth:7788", f"--resource={resource}", "--insecure-http"]
    much = ["--sessions=20", "--legacy=30%", "--streams=20%", "--warm-up=1s", "--duration=5s", "--quiet"]
    stack.compose("run", "--rm", "-T", "mcp-load", *where, *much, profiles=["load"])


def stops(stack):
    began = time.monotonic()
    stack.compose("stop", "epicme")
    took = time.monotonic() - began
    state = stack.services()["epicme"]["State"]
    assert state["ExitCode"] == 0 and not state["OOMKilled"], state
    assert took < 30, f"it took {took:.0f} s"


def leaves_nothing(stack):
    stack.down()
    assert not stack.left(), stack.left()


ONE_PROCESS = [
    ("what has to run once ran, and ended with 0", one_shots_end_with_zero),
    ("the whole OAuth flow works from outside the network, and users are kept apart", oauth_from_outside),
    ("every tool that writes may do so", every_write_works),
    ("nothing is root, writable, privileged or without bound", confined),
    ("no shell is needed", no_shell),
    ("ports are published on loopback, and those two alone", ports_on_loopback),
    ("the database is on a network without a way out", database_is_apart),
    ("the images add less than 30 MB to their base", sizes),
    ("the programs in the images name their dependencies", programs_name_their_dependencies),
    ("no secret is in what Docker shows or logs", secrets_stay_secret),
    ("each service has its own secrets and no other's", secrets_to_whom_they_belong),
    ("the role that serves changes rows and no more", role_changes_rows_alone),
    ("the database goes and comes back: 503 meanwhile, no write lost or doubled", survives_a_restart_of_postgres),
    ("a second `up` changes nothing", a_second_up_changes_nothing),
    ("what was stopped starts again", what_stopped_starts_again),
    ("what was backed up is restored by the documented commands", backup_and_restore),
]
TWO_PROCESSES = [
    ("two processes behind one address end healthy", scale_starts),
    ("modern requests reach both", modern_requests_spread),
    ("a legacy session stays where it was opened", legacy_sessions_stick),
    ("a confirmation asked for by one process counts in the other", confirmation_crosses),
    ("cut-offs are not told through the balancer", not_through_the_balancer),
    ("a process goes and comes back, and no request fails", one_goes_and_comes_back),
]
LOADED = [("the load tester, from within the network, finds every answer right", load_is_borne)]
