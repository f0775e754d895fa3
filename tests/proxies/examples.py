"""The examples of proxies, with a test's own ports and files in place of theirs, and nothing else changed."""

import os
import signal
from pathlib import Path

from harness import EXAMPLES, PROXY, PROXY_ADDRESS, SCRATCH, Program, free_port


class Example:
    """The text of an example, and what is put in place of what."""

    def __init__(self, path):
        self.text = Path(EXAMPLES, path).read_text(encoding="utf-8")

    def put(self, old, new):
        assert old in self.text, f"the example has no {old}"
        self.text = self.text.replace(old, new)

    def write(self, name):
        path = f"{SCRATCH}/{name}"
        Path(path).write_text(self.text, encoding="utf-8")
        return path


def nginx(port, upstreams):
    example = Example("docs/proxies/nginx.conf")
    put_upstreams(example, upstreams, "server 127.0.0.1:{};", ["8787", "8789"])
    example.put("listen 443 ssl", f"listen {PROXY_ADDRESS}:{port} ssl")
    example.put("/etc/ssl/journal.example.pem", f"{SCRATCH}/certificate.pem")
    example.put("/etc/ssl/journal.example.key", f"{SCRATCH}/key.pem")
    example.put("worker_processes auto", "worker_processes 2")
    # What Debian keeps in /var, and a service manager would want.
    kept = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    paths = " ".join(f"{name}_temp_path {SCRATCH}/{name};" for name in kept)
    example.put("access_log off;", f"access_log off; {paths}")
    example.text = f"daemon off; pid {SCRATCH}/{port}.pid; error_log stderr;\n{example.text}"
    # Its workers are nobody's where root starts them.
    os.chmod(SCRATCH, 0o755)
    arguments = ["nginx", "-p", SCRATCH, "-c", example.write(f"{port}-nginx.conf")]
    return Program(f"nginx-{port}", arguments, stop=signal.SIGQUIT)


def caddy(port, upstreams):
    example = Example("docs/proxies/Caddyfile")
    example.put("127.0.0.1:8787 127.0.0.1:8789", " ".join(f"127.0.0.1:{upstream}" for upstream in upstreams))
    example.put(
        "\njournal.example {",
        f"\nhttps://journal.example:{port} {{\n\tbind {PROXY_ADDRESS}\n"
        f"\ttls {SCRATCH}/certificate.pem {SCRATCH}/key.pem",
    )
    example.text = "{\n\tadmin off\n\tauto_https disable_redirects\n}\n" + example.text
    arguments = ["caddy", "run", "--config", example.write(f"{port}-Caddyfile"), "--adapter", "caddyfile"]
    # It keeps its own certificates at home.
    return Program(f"caddy-{port}", arguments, {"HOME": SCRATCH, "XDG_DATA_HOME": SCRATCH})


def haproxy(port, upstreams):
    example = Example("docker/haproxy/haproxy.cfg")
    # Names of containers, which a machine without them does not resolve.
    example.put(" resolvers docker init-addr last,libc,none", "")
    put_upstreams(example, upstreams, "{}", ["server a epicme-a:8787", "server b epicme-b:8787"],
                  ["server a 127.0.0.1:{}", "server b 127.0.0.1:{}"])
    example.put("bind :8790", f"bind {PROXY_ADDRESS}:{port}")
    example.put("bind :8405", f"bind {PROXY_ADDRESS}:{free_port()}")
    return Program(f"haproxy-{port}", ["haproxy", "-db", "-f", example.write(f"{port}-haproxy.cfg")])


def put_upstreams(example, upstreams, line, names, new=None):
    """Each of the two processes of an example, or the first alone."""
    for index, name in enumerate(names):
        old = line.format(name)
        if index < len(upstreams):
            example.put(old, (new[index] if new else line).format(upstreams[index]))
        else:
            example.put(old, "")


def start(port, upstreams):
    """The proxy in front of these ports, when it listens."""
    program = {"nginx": nginx, "caddy": caddy, "haproxy": haproxy}[PROXY](port, upstreams)
    program.wait_for_port(port)
    return program
