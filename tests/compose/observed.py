"""What docs/DOCKER.md promises of the profile `observe`; proofs.py has the rest, and says how a promise is written."""

import re
import time
import urllib.parse

import dashboard
from mcp import http
from proofs import confined
from stack import ROOT, docker

GRAFANA = "grafana/grafana:12.4.4"


def prometheus_scrapes(stack):
    stack.stand_in("prometheus", "prom/prometheus:v3.5.1", "prometheus")
    stack.compose("up", "--detach", "prometheus", profiles=["observe"])
    stack.until_healthy("prometheus")
    docker("exec", stack.container("prometheus"), "promtool", "check", "config", "/etc/prometheus/prometheus.yml")
    expected = {"epicme", "epicme-a", "epicme-b", "balancer", "prometheus"}
    end, up = time.monotonic() + 60, {}
    while up != {name: "up" for name in expected}:
        assert time.monotonic() < end, up
        targets = http("GET", stack.url("PROMETHEUS_PORT") + "/api/v1/targets").json()["data"]["activeTargets"]
        up = {target["labels"]["instance"]: target["health"] for target in targets}
        time.sleep(0.5)


def alerts_are_loaded(stack):
    """All of them, and each of their expressions can be evaluated on what is there."""
    written = re.findall(r"^ +- (?:alert|record): (.*)$", (ROOT / "docker/prometheus/alerts.yml").read_text(), re.MULTILINE)
    end, health = time.monotonic() + 60, {}
    while health != dict.fromkeys(written, "ok"):
        assert time.monotonic() < end, health
        groups = http("GET", stack.url("PROMETHEUS_PORT") + "/api/v1/rules").json()["data"]["groups"]
        health = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
        time.sleep(0.5)
    return f"{len(written)} rules"


def dashboard_has_data(stack):
    """Every expression of the dashboard is taken, and those of what surely happened find something."""
    end = time.monotonic() + 90
    empty = None
    while empty is None or (empty and time.monotonic() < end):
        stack.client.titles()
        empty = []
        for title, expression in dashboard.expressions():
            query = urllib.parse.urlencode({"query": expression})
            reply = http("GET", stack.url("PROMETHEUS_PORT") + "/api/v1/query?" + query)
            assert reply.status == 200, (title, expression, reply.body)
            if not reply.json()["data"]["result"]:
                empty.append(title)
        time.sleep(1)
    assert not empty, f"without data: {empty}"
    return f"{len(dashboard.expressions())} expressions"


def grafana_shows_it(stack):
    stack.compose("up", "--detach", "grafana", profiles=["observe"])
    stack.until_healthy("grafana")
    found = http("GET", stack.url("GRAFANA_PORT") + "/api/dashboards/uid/epicme")
    assert found.status == 200 and found.json()["dashboard"]["title"] == "EpicMe", found.body


OBSERVED = [
    ("Prometheus finds and scrapes all of them", prometheus_scrapes),
    ("it has all alert rules, and can evaluate them", alerts_are_loaded),
    ("each expression of the dashboard finds data", dashboard_has_data),
    ("what the profiles add is confined as well", confined),
]
