"""What can be said of the alert rules and the dashboard without Prometheus; run.sh tells how it is called."""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/compose"))
import dashboard  # noqa: E402

RULES = (ROOT / "docker/prometheus/alerts.yml").read_text()
TESTS = (Path(__file__).parent / "alerts.test.yml").read_text()
METRICS = (ROOT / "docs/METRICS.md").read_text()
RUNBOOK = (ROOT / "docs/TROUBLESHOOTING.md").read_text()


def rules():
    """Alerts and recording rules: kind, name, and the text of each."""
    parts = re.split(r"^ +- (alert|record): (\S+)\n", RULES, flags=re.MULTILINE)[1:]
    found = list(zip(parts[::3], parts[1::3], parts[2::3]))
    assert len(found) > 20, found
    return found


def alerts():
    return [(name, text) for kind, name, text in rules() if kind == "alert"]


def expression_of(text):
    """What stands after `expr:`, up to the next key."""
    return re.search(r"^ +expr:(?: \|\n)?(.*?)(?=^ +(?:for|labels|annotations):|\Z|^ +#|^$|^  - name)", text, re.DOTALL | re.MULTILINE)[1]


def expressions():
    """Those of the rules and of the dashboard, by where they are."""
    of_rules = [(name, expression_of(text)) for _, name, text in rules()]
    return of_rules + dashboard.expressions()


def names():
    """rules and dashboard name only metrics that docs/METRICS.md has"""
    known = dashboard.documented() | dashboard.OF_PROMETHEUS | {name for kind, name, _ in rules() if kind == "record"}
    unknown = [(where, name) for where, text in expressions() for name in dashboard.metrics_of(text) if name not in known]
    assert not unknown, unknown


def documented_values():
    """What docs/METRICS.md says of labels: metric and label, and the values."""
    values = {}
    for row in re.findall(r"^\| `.*$", METRICS.split("\n## Labels\n")[1].split("\n## ")[0], re.MULTILINE):
        label, metrics, known = (re.findall(r"`([^`]+)`", cell) for cell in row.split("|")[1:4])
        values |= {(metric, label[0]): set(known) for metric in metrics}
    return values


def values():
    """the labels and values that they choose by are those that docs/METRICS.md has"""
    known, compared, unknown = documented_values(), 0, []
    for where, text in expressions():
        for metric, matchers in re.findall(r"\b((?:epicme|process)_\w+)\{([^}]*)\}", text):
            metric = re.sub(r"_(bucket|sum|count)$", "", metric)
            for label, value in re.findall(r'(\w+)!?=~?"([^"]*)"', matchers):
                if label in ("instance", "job", "le"):
                    continue
                compared += 1
                unknown += [(where, metric, label, one) for one in value.split("|") if one not in known.get((metric, label), ())]
        # What is summed up by a label has it.
        for labels, metric in re.findall(r"by \(([^)]*)\) ?\((?:\w+\()*((?:epicme|process)_\w+)", text):
            metric = re.sub(r"_(bucket|sum|count)$", "", metric)
            for label in re.split(r", *", labels):
                if label not in ("instance", "job", "le") and (metric, label) not in known:
                    unknown.append((where, metric, label))
    assert compared > 10 and not unknown, (compared, unknown)


def in_dashboard():
    """the dashboard shows what alerts are about"""
    shown = {name for _, text in dashboard.expressions() for name in dashboard.metrics_of(text)}
    recorded = {name: expression_of(text) for kind, name, text in rules() if kind == "record"}
    missing = []
    for name, text in alerts():
        about = dashboard.metrics_of(expression_of(text))
        about |= {metric for record in about & recorded.keys() for metric in dashboard.metrics_of(recorded[record])}
        missing += [name] if not about & shown else []
    assert not missing, missing


def tests():
    """each alert has a test that it fires and one that it does not"""
    evaluations = re.split(r"^ +- expr: ", TESTS, flags=re.MULTILINE)[1:]
    firing, quiet = set(), set()
    for evaluation in evaluations:
        expression, rest = evaluation.split("\n", 1)
        pattern = re.search(r'alertname=~?"([^"]+)"', expression)[1]
        matching = {name for name, _ in alerts() if re.fullmatch(pattern, name)}
        assert matching, f"no alert is {pattern}"
        fired = set(re.findall(r'labels: ALERTS\{alertname="(\w+)"', rest))
        firing |= fired
        quiet |= matching - fired
    every = {name for name, _ in alerts()}
    assert firing == every and quiet == every, (every - firing, every - quiet)


def runbook():
    """each alert says what it is, how bad, and has a section of docs/TROUBLESHOOTING.md, which has no others"""
    for name, text in alerts():
        for needed in ("summary: ", "description: ", "severity: "):
            assert needed in text, (name, needed)
    section = RUNBOOK.split("\n## Alerts\n")[1].split("\n## ")[0]
    parts = re.split(r"^### (\w+)\n", section, flags=re.MULTILINE)[1:]
    told = dict(zip(parts[::2], parts[1::2]))
    every = [name for name, _ in alerts()]
    assert list(told) == every, sorted(set(told) ^ set(every)) or "in another order"
    short = [name for name, text in told.items() if len(text.split()) < 12]
    assert not short, short
    links = re.findall(r"\]\(#([\w-]+)\)", section)
    headings = {re.sub(r"[^\w -]", "", line).strip().lower().replace(" ", "-") for line in re.findall(r"^#+ (.*)$", RUNBOOK, re.MULTILINE)}
    assert set(links) <= headings, set(links) - headings


PROMISES = {"names": names, "values": values, "dashboard": in_dashboard, "tests": tests, "runbook": runbook}

if __name__ == "__main__":
    if sys.argv[1] == "--name":
        print(PROMISES[sys.argv[2]].__doc__)
    else:
        json.loads(dashboard.DASHBOARD.read_text())
        PROMISES[sys.argv[1]]()
