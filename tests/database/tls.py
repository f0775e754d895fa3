"""A PostgreSQL that takes nothing but TLS, and impostors of it; run.sh tells how it is called.

Towards libpq 127.1 is this machine; towards EpicMe it is a host as any other, for it is no address in the usual form."""

import os
import shutil
import socket
import struct
import subprocess
import threading
import urllib.parse

from harness import EPICME, EPICME_TLS, PASSWORD, SCRATCH, Client, Postgres, Server, check, main, run

USER = f"epicme:{urllib.parse.quote(PASSWORD, safe='')}"
SSL_REQUEST = struct.pack("!ii", 8, 80877103)
GSS_REQUEST = struct.pack("!ii", 8, 80877104)
CLEARTEXT = b"R" + struct.pack("!ii", 8, 3)


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=SCRATCH)


def certificates():
    """Two authorities, and the server's certificate of the first, for db.example and 127.0.0.1."""
    for ca in ("ca", "other-ca"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                "-subj", f"/CN={ca}", "-keyout", f"{ca}.key", "-out", f"{ca}.pem")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=db.example",
            "-keyout", "server.key", "-out", "server.csr")
    with open(f"{SCRATCH}/names", "w", encoding="utf-8") as file:
        file.write("subjectAltName=DNS:db.example,IP:127.0.0.1")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "names", "-out", "server.pem")
    if os.getuid() == 0:
        shutil.chown(f"{SCRATCH}/server.key", "postgres", "postgres")


class Impostor:
    """Says that it has no TLS, and then asks for the password itself. Keeps what it is sent after that."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.seen = b""
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            connection.settimeout(10)
            try:
                self.serve(connection)
            except OSError:
                pass
            connection.close()

    def serve(self, connection):
        while (data := connection.recv(4096)) in (SSL_REQUEST, GSS_REQUEST):
            connection.sendall(b"N")
        while data:
            if not self.seen:
                connection.sendall(CLEARTEXT)
            self.seen += data
            data = connection.recv(4096)


def refusal(name, program, url, code, *words, environment=None):
    """A command that must fail with this code and these words, and without the password."""
    seen = run(program, ["migrate"], url, environment)
    good = seen[0] == code and all(word in seen[1] for word in words) and "zq5" not in seen[1]
    check(name, good, seen)


def succeeds(name, program, url, environment=None):
    seen = run(program, ["migrate"], url, environment)
    check(name, seen[0] == 0 and "up to date" in seen[1], seen)


def with_tls():
    port = DATABASE.port
    authority = f"sslrootcert={SCRATCH}/ca.pem"
    at_home = f"postgresql://{USER}@127.0.0.1:{port}/journal"
    far = f"postgresql://{USER}@127.1:{port}/journal"
    by_name = f"postgresql://{USER}@db.example:{port}/journal?hostaddr=127.0.0.1"

    succeeds("verify-full with a private CA", EPICME_TLS, f"{at_home}?sslmode=verify-full&{authority}")
    succeeds("and by a name", EPICME_TLS, f"{by_name}&sslmode=verify-full&{authority}")
    succeeds("and to another machine", EPICME_TLS, f"{far}?sslmode=verify-full&{authority}")
    succeeds("and bound to the channel", EPICME_TLS, f"{far}?sslmode=verify-full&channel_binding=require&{authority}")
    succeeds("another machine is reached by TLS when nothing is said", EPICME_TLS, far)
    succeeds("and one in the environment", EPICME_TLS, f"user=epicme password='{PASSWORD}' dbname=journal",
             {"PGHOST": "127.1", "PGPORT": str(port)})
    service = f"{SCRATCH}/services"
    with open(service, "w", encoding="utf-8") as file:
        file.write(f"[journal]\nhost=127.1\nport={port}\ndbname=journal\nuser=epicme\npassword={PASSWORD}\n"
                   f"sslmode=verify-full\nsslrootcert={SCRATCH}/ca.pem\n[plain]\nhost=127.1\nsslmode=disable\n")
    succeeds("a service", EPICME_TLS, "service=journal", {"PGSERVICEFILE": service})
    succeeds("a service in the environment", EPICME_TLS, "postgresql:///journal",
             {"PGSERVICEFILE": service, "PGSERVICE": "journal"})
    refusal("a service without TLS is refused", EPICME_TLS, "service=plain", 64, "must not lead to 127.1",
            environment={"PGSERVICEFILE": service})

    refusal("a wrong CA is refused", EPICME_TLS, f"{far}?sslmode=verify-full&sslrootcert={SCRATCH}/other-ca.pem", 69,
            "certificate verify failed", "correct sslrootcert")
    wrong = by_name.replace("db.example", "other.example")
    refusal("a wrong name is refused", EPICME_TLS, f"{wrong}&sslmode=verify-full&{authority}", 69,
            'server certificate for "db.example"', "write the host as the certificate has it")
    refusal("a missing CA is refused", EPICME_TLS, f"{far}?sslmode=verify-full&sslrootcert=/nowhere.pem", 69,
            "/nowhere.pem", "name the file of the CA's certificate")
    refusal("a server that wants TLS says so", EPICME_TLS, f"{at_home}?sslmode=disable", 69, "no encryption",
            "set sslmode=verify-full")
    for mode in ("disable", "allow", "prefer"):
        refusal(f"sslmode={mode} to another machine is refused", EPICME_TLS, f"{far}?sslmode={mode}", 64,
                "must not lead to 127.1", f"sslmode={mode}", "EPICME_PLAIN_DATABASE_HOSTS")
    seen = run(EPICME_TLS, ["doctor"], f"{far}?sslmode=verify-full&{authority}")
    check("doctor says that it is encrypted", "encrypted, and the server must prove its identity" in seen[1], seen)
    seen = run(EPICME_TLS, ["doctor"], far)
    check("and that the name is not checked", "the server's name is not checked" in seen[1], seen)

    server = Server(EPICME_TLS, f"{far}?sslmode=verify-full&{authority}")
    client = Client(server, "ann")
    entry = client.call("create_entry", title="by TLS", content="text")
    listed = client.call("list_entries")
    check("the server works by TLS", entry and listed and server.is_ready(), (entry, listed))
    plain = DATABASE.run("journal", "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
                                    "WHERE usename = 'epicme' AND NOT ssl")
    check("by nothing else", plain == "0", plain)
    code = server.program.stop()
    check("and ends in order", code == 0, (code, server.program.log()))


def downgrades():
    impostor = Impostor()
    far = f"postgresql://{USER}@127.1:{impostor.port}/journal"
    for more in ("", "?sslmode=require", "?sslmode=verify-full&sslrootcert=/dev/null"):
        refusal(f"an impostor without TLS is refused ({more or 'nothing said'})", EPICME_TLS, far + more, 69,
                "server does not support SSL", "the server has no TLS, or somebody in between hides it")
    for program in (EPICME_TLS, EPICME):
        refusal("and not asked at all with prefer", program, f"{far}?sslmode=prefer", 64, "must not lead to 127.1")
    check("the impostor was told nothing", impostor.seen == b"", impostor.seen)
    # The other side of it: this is what it gets to see, where an operator allows it.
    run(EPICME, ["migrate"], far, {"EPICME_PLAIN_DATABASE_HOSTS": "127.1"})
    check("a host that is named is reached without TLS", b"user\0epicme" in impostor.seen, impostor.seen)
    check("and not sent the password", b"zq5" not in impostor.seen, impostor.seen)


def without_tls():
    far = f"postgresql://{USER}@127.1:{DATABASE.port}/journal"
    refusal("a build without TLS refuses another machine", EPICME, far, 64, "must not lead to 127.1",
            "built without TLS", "system-libpq")
    for mode in ("require", "verify-ca", "verify-full"):
        refusal(f"and sslmode={mode}", EPICME, f"{far}?sslmode={mode}", 64, "must not require TLS", "system-libpq")
    refusal("and is refused by a server that wants TLS", EPICME, far, 69, "no encryption",
            environment={"EPICME_PLAIN_DATABASE_HOSTS": "127.1"})
    far = f"postgresql://{USER}@127.1:{DATABASE.port}/open"
    DATABASE.run("postgres", "CREATE DATABASE open OWNER epicme")
    succeeds("a host that is named is reached with a password by SCRAM", EPICME, far,
             {"EPICME_PLAIN_DATABASE_HOSTS": "db.example, 127.1"})


try:
    certificates()
    # Only for the last of the checks there is a way without TLS.
    DATABASE = Postgres(
        "host open all 127.0.0.1/32 scram-sha-256\nhostssl all all 127.0.0.1/32 scram-sha-256",
        ["ssl=on", f"ssl_cert_file={SCRATCH}/server.pem", f"ssl_key_file={SCRATCH}/server.key"],
    )
    main(with_tls, downgrades, without_tls)
except BaseException:
    main()
    raise
