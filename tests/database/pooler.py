"""PgBouncer between the server and PostgreSQL, in each of its modes; run.sh tells how it is called."""

import os
import shutil
import signal
import threading
import time

from harness import ANSWERS_WITHIN, EPICME, SCRATCH, Client, Postgres, Program, Server, as_user, check, free_port, main, run, wait_until

SENTENCE = "a pooler gives each transaction another session"
ADVICE = "set pool_mode = session"

USERS = 6
ENTRIES = 40


class Pooler:
    """PgBouncer on a port that it keeps, also when it is started again."""

    def __init__(self, mode, size=30):
        self.port = free_port()
        self.url = f"postgresql://epicme@127.0.0.1:{self.port}/journal"
        self.directory = f"{SCRATCH}/pooler-{self.port}"
        os.makedirs(self.directory)
        self.start(mode, size)

    def configure(self, mode, size):
        path = f"{self.directory}/pgbouncer.ini"
        with open(f"{self.directory}/users.txt", "w", encoding="utf-8") as file:
            file.write('"epicme" ""\n')
        with open(path, "w", encoding="utf-8") as file:
            file.write(
                f"[databases]\n* = host={DATABASE.directory} port={DATABASE.port}\n"
                f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
                f"auth_type = trust\nauth_file = {self.directory}/users.txt\npool_mode = {mode}\n"
                f"default_pool_size = {size}\nquery_wait_timeout = 5\n"
            )
        return path

    def start(self, mode, size=30):
        path = self.configure(mode, size)
        if os.getuid() == 0:
            shutil.chown(self.directory, "postgres", "postgres")
        self.program = Program("pgbouncer", as_user(["pgbouncer", path]), stop=signal.SIGINT)
        self.program.wait_for("process up")

    def stop(self):
        self.program.stop_by = signal.SIGTERM  # at once
        self.program.stop()


class Load:
    """Users who read their entries, write them and delete others, at the same time."""

    def __init__(self, server):
        self.clients = [Client(server, f"user-{n}") for n in range(USERS)]
        self.kept = [[] for _ in self.clients]
        self.answered = self.refused = 0
        self.wrong = []

    def make(self):
        def fill(client, kept):
            for n in range(ENTRIES):
                kept.append(client.call("create_entry", title=f"entry {n}", content="kept")["entry"]["id"])

        self.each(fill)

    def run(self, rounds, seconds=ANSWERS_WITHIN):
        """So many rounds, if there is time for them."""
        until = time.monotonic() + seconds

        def work(client, kept):
            for n in range(rounds):
                if time.monotonic() > until:
                    return
                entry = kept[n % len(kept)]
                self.count(client.call("get_entry", id=entry), lambda got: got["entry"]["id"] == entry)
                made = client.call("create_entry", title="gone soon", content="deleted")
                self.count(made, lambda got: got["entry"]["title"] == "gone soon")
                if made:
                    self.count(client.call("delete_entry", id=made["entry"]["id"]), lambda _: True)
                self.count(client.call("list_entries", limit=3), lambda got: len(got["entries"]) == 3)

        self.each(work)

    def count(self, got, is_right):
        if got is None:
            self.refused += 1
        elif is_right(got):
            self.answered += 1
        else:
            self.wrong.append(got)

    def each(self, work):
        together([(work, pair) for pair in zip(self.clients, self.kept)])

    def lost(self):
        """How many of the entries that nobody deleted are gone."""
        made = sum(len(kept) for kept in self.kept)
        return made - int(DATABASE.run("journal", "SELECT count(*) FROM entries WHERE content = 'kept'"))


def together(calls):
    """Calls all of these at the same time."""
    faults = []

    def guarded(work, arguments):
        try:
            work(*arguments)
        except Exception as error:
            faults.append(repr(error))

    threads = [threading.Thread(target=guarded, args=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise RuntimeError(faults)


def others():
    """Every mode but one is refused, with whatever is in the pool."""

    def refused(mode, size):
        pooler = Pooler(mode, size)
        name = f"pool_mode = {mode} with {size}"
        for command in ("serve", "migrate"):
            seen = run(EPICME, [command], pooler.url)
            good = seen[0] == 69 and SENTENCE in seen[1] and ADVICE in seen[1]
            check(f"{name} is refused by {command}", good, seen)
        seen = run(EPICME, ["doctor"], pooler.url)
        check(f"{name} is found by doctor", SENTENCE in seen[1] and ADVICE in seen[1], seen)
        # Migrations are run by the URL that leads to PostgreSQL itself.
        direct = {"EPICME_DATABASE_DIRECT_URL": f"host={DATABASE.directory} port={DATABASE.port} user=epicme dbname=journal"}
        seen = run(EPICME, ["migrate"], pooler.url, direct)
        check(f"{name} is not used to migrate where there is a direct URL", seen[0] == 0, seen)
        seen = run(EPICME, ["serve"], pooler.url, {**direct, "EPICME_MIGRATE": "on"})
        check(f"{name} is refused all the same to serve", seen[0] == 69 and SENTENCE in seen[1], seen)
        pooler.stop()

    # At the same time, for each refusal waits for what does not come.
    modes = [(mode, size) for mode in ("transaction", "statement") for size in (1, 30)]
    together([(refused, pair) for pair in modes])
    tables = DATABASE.run("journal", "SELECT count(*) FROM pg_class WHERE relname = 'entries'")
    check("the direct URL was migrated", tables == "1", tables)


def session():
    """All of the server by a pooler that keeps sessions, and that pooler made one that does not."""
    pooler = Pooler("session")
    server = Server(EPICME, pooler.url)
    load = Load(server)
    load.make()
    load.run(30)
    seen = (load.answered, load.refused, load.wrong[:3], load.lost())
    check("pool_mode = session serves everything", seen == (USERS * 30 * 4, 0, [], 0), seen)
    check("and is ready", server.is_ready())
    bus = "not connected" not in server.program.log()
    check("with its bus", bus, server.program.log())

    # The connections stay, and are lent other sessions from then on.
    running = threading.Thread(target=load.run, args=(1_000, 8))
    running.start()
    pooler.configure("transaction", 3)
    pooler.program.process.send_signal(signal.SIGHUP)
    running.join()
    seen = (load.wrong[:3], load.lost())
    check("one that is told to change its mode under load runs no wrong statement and loses nothing", seen == ([], 0), seen)
    pooler.configure("session", 30)
    pooler.program.process.send_signal(signal.SIGHUP)

    # As if an operator had pointed the URL elsewhere.
    running = threading.Thread(target=load.run, args=(1_000, 12))
    running.start()
    pooler.stop()
    pooler.start("transaction", 2)
    running.join()
    before = load.answered
    load.run(1)
    seen = (load.answered - before, load.wrong[:3], load.lost())
    check("a pooler that changes its mode is not served by, and loses nothing", seen == (0, [], 0), seen)
    check("the server is not ready then", not server.is_ready())
    check("and says why", SENTENCE in server.program.log(), server.program.log()[-3000:])

    pooler.stop()
    pooler.start("session")

    def serves():
        return load.clients[0].call("list_entries") is not None

    check("and serves again when that is undone", wait_until(serves), server.program.log()[-3000:])
    check("it is ready again", wait_until(server.is_ready))
    check("it ends in order", server.program.stop() == 0, server.program.log())
    pooler.stop()


try:
    DATABASE = Postgres("host all all 127.0.0.1/32 reject", [])
    main(others, session)
except BaseException:
    main()
    raise
