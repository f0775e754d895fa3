"""The dashboard for Grafana: which expressions it has, and which metrics they name."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = ROOT / "docker/grafana/dashboards/epicme.json"
METRICS = ROOT / "docs/METRICS.md"

# What Prometheus itself writes about its targets and rules.
OF_PROMETHEUS = {"up", "ALERTS"}


def expressions():
    """The panels' expressions by their titles, with what Grafana puts in for its variables."""
    found = []
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*")
            assert "$" not in expression, f"{panel['title']}: an unknown variable in {expression}"
            found.append((panel["title"], expression))
    assert len(found) > 20, found
    return found


def metrics_of(expression):
    """The metrics that an expression names: what is neither a function, a label nor a keyword."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    bare = re.sub(r"\{[^}]*\}", "{}", bare)
    bare = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", "", bare)
    bare = re.sub(r"\[[^\]]*\]", "", bare)
    return {name for name in re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*\b(?!\s*\()", bare) if name not in ("and", "or", "unless")}


def documented():
    """The metrics of docs/METRICS.md; of a histogram, the three that Prometheus makes of it."""
    names = set()
    for name in re.findall(r"`((?:epicme|process)_[a-z_]+)", METRICS.read_text()):
        names |= {name, f"{name}_bucket", f"{name}_count", f"{name}_sum"} if name.endswith("_seconds") else {name}
    return names
