"""docker-compose.yml, started under a name and ports of its own, by one variant of Compose."""

import json
import os
import shlex
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STAND_INS = Path(__file__).resolve().parent / "stand-ins"
PROFILES = ["scale", "observe", "load"]


def run(*command, check=True, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}")
    return done


def docker(*command, **more):
    return run("docker", *command, **more).stdout


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def can_be_had(image):
    return any(
        run("docker", *how, image, check=False).returncode == 0 for how in (["image", "inspect"], ["pull", "--quiet"])
    )


class Stack:
    def __init__(self, variant):
        self.variant = variant.split()
        self.project = f"epicme-proof-{os.getpid()}"
        names = ["EPICME_PORT", "MOCK_AUTH_PORT", "EPICME_SCALE_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT"]
        self.ports = dict(zip(names, map(str, free_ports(len(names)))))
        self.environment = {**os.environ, **self.ports, "EPICME_TAG": "proof"}
        self.files = ["-f", str(ROOT / "docker-compose.yml")]
        self.stood_in = []
        self.directory = tempfile.TemporaryDirectory(prefix="epicme-compose-")

    def url(self, port):
        return f"http://127.0.0.1:{self.ports[port]}"

    def arguments(self):
        """The variant of Compose, and which project it is about."""
        return [*self.variant, *self.files, "--project-name", self.project, "--project-directory", str(ROOT)]

    def command_line(self):
        """The same for a shell."""
        return shlex.join(self.arguments())

    def compose(self, *command, profiles=(), **more):
        on = [word for profile in profiles for word in ("--profile", profile)]
        return run(*self.arguments(), *on, *command, env=self.environment, **more)

    def stand_in(self, service, image, target):
        """Where the image cannot be had: Debian's package, in an image of its own name."""
        if can_be_had(image):
            return
        ours = f"epicme-stand-in/{target}"
        docker("build", "--target", target, "--tag", ours, str(STAND_INS))
        override = Path(self.directory.name) / f"{service}.yml"
        override.write_text(json.dumps({"services": {service: {"image": ours}}}))
        self.files += ["-f", str(override)]
        self.stood_in.append(image)

    def container(self, service):
        label = "label=com.docker.compose."
        filters = ["--filter", f"{label}project={self.project}", "--filter", f"{label}service={service}"]
        (container,) = docker("ps", "--all", "--quiet", "--no-trunc", *filters).split()
        return container

    def services(self):
        """What runs or ran, by the service's name, as `docker inspect` has it."""
        ids = docker(
            "ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={self.project}"
        ).split()
        found = json.loads(docker("inspect", *ids)) if ids else []
        return {each["Config"]["Labels"]["com.docker.compose.service"]: each for each in found}

    def image(self, service):
        return json.loads(docker("image", "inspect", self.services()[service]["Image"]))[0]

    def logs(self, service):
        done = run("docker", "logs", self.container(service))
        return done.stdout + done.stderr

    def lines(self, service):
        """Its log, line by line, as far as it is JSON."""
        return [json.loads(line) for line in self.logs(service).splitlines() if line.startswith("{")]

    def until_healthy(self, *services, seconds=120):
        """Asks the engine until all of them are; it tells of no event to somebody who comes too late."""
        end = time.monotonic() + seconds
        while True:
            states = {name: self.services()[name]["State"] for name in services}
            health = {name: state.get("Health", {}).get("Status", state["Status"]) for name, state in states.items()}
            if all(status == "healthy" for status in health.values()):
                return
            if time.monotonic() > end:
                last = {name: state.get("Health", {}).get("Log", [])[-1:] for name, state in states.items()}
                raise AssertionError(f"not healthy after {seconds} s: {health}, {last}")
            time.sleep(0.5)

    def stop_in_background(self, service):
        return subprocess.Popen(["docker", "stop", "--time", "30", self.container(service)], stdout=subprocess.DEVNULL)

    def left(self):
        """What of the project is still there."""
        label = f"label=com.docker.compose.project={self.project}"
        listed = (["ps", "--all"], ["volume", "ls"], ["network", "ls"])
        return [line for what in listed for line in docker(*what, "--quiet", "--filter", label).split()]

    def down(self):
        self.compose("down", "--volumes", "--remove-orphans", profiles=PROFILES)
        self.directory.cleanup()
