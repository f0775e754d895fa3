#!/usr/bin/env python3
"""Makes a table of the calls that bench/statements.rs has timed and of the plans that auto_explain has logged.

    statements.py [--all] CALLS.tsv LOG.csv
"""

import collections
import csv
import json
import sys

csv.field_size_limit(1 << 30)
everything = sys.argv[1] == "--all"
calls_file, log_file = sys.argv[-2:]


def percentile(values, hundredths):
    values = sorted(values)
    return values[min(len(values) - 1, len(values) * hundredths // 100)]


def blocks(node):
    return node.get("Shared Hit Blocks", 0) + node.get("Shared Read Blocks", 0)


def nodes(node):
    yield node
    for child in node.get("Plans", []):
        yield from nodes(child)


def main_node(plan):
    """The node that reads most by itself."""

    def own(node):
        return blocks(node) - sum(blocks(child) for child in node.get("Plans", []))

    node = max(nodes(plan), key=own)
    name = node["Node Type"]
    if node.get("Scan Direction") == "Backward":
        name += " Backward"
    if node["Node Type"] == "ModifyTable":
        name = node["Operation"]
    place = node.get("Index Name") or node.get("Relation Name")
    if node["Node Type"] == "Bitmap Heap Scan":
        place = ", ".join(child["Index Name"] for child in nodes(node) if "Index Name" in child)
    return f"{name} on `{place}`" if place else name


times = collections.defaultdict(list)
with open(calls_file) as lines:
    for line in lines:
        call, milliseconds = line.rstrip("\n").split("\t")
        times[call].append(float(milliseconds))

# The statements of each call: its text, and what it read, by which plan, and how long it kept a processor busy.
ran = collections.defaultdict(lambda: collections.defaultdict(list))
# The time of a processor is in a line of its own: before the plan of a query, after that of a change.
half = {}
with open(log_file, newline="") as lines:
    for row in csv.reader(lines):
        message, call = row[13], row[22]
        if call not in times:
            continue
        if message.startswith("duration: ") and "plan:" in message:
            plan = json.loads(message.split("plan:\n", 1)[1])
            part = {"text": plan["Query Text"], "run": (blocks(plan["Plan"]), main_node(plan["Plan"]))}
        elif message == "EXECUTOR STATISTICS":
            busy = row[14].split("!\t")[1].split()
            part = {"busy": 1_000 * (float(busy[0]) + float(busy[3]))}
        else:
            continue
        whole = half.pop(call, {}) | part
        if "busy" in whole and "text" in whole:
            ran[call][whole["text"]].append((whole["busy"], *whole["run"]))
        else:
            half[call] = whole

rows = []
for call, milliseconds in times.items():
    dearest = max(ran[call].values(), key=lambda runs: percentile([read for _, read, _ in runs], 99), default=[])
    reads = [read for _, read, _ in dearest]
    plans = collections.Counter(plan for _, _, plan in dearest)
    rows.append((
        call,
        percentile(milliseconds, 50),
        percentile(milliseconds, 99),
        sum(percentile([busy for busy, _, _ in runs], 99) for runs in ran[call].values()),
        len(ran[call]),
        percentile(reads, 99) if reads else 0,
        plans.most_common(1)[0][0] if plans else "",
    ))

if not everything:
    kinds = {}
    for row in rows:
        kind = row[0].split(":")[0]
        if kind not in kinds or row[3] > kinds[kind][3]:
            kinds[kind] = row
    rows = list(kinds.values())

print("| Call | p50, ms | p99, ms | Of a processor, p99, ms | Statements | Blocks, p99 | Of the statement that reads most |")
print("|---|---|---|---|---|---|---|")
for call, p50, p99, busy, statements, read, plan in rows:
    print(f"| {call} | {p50:.1f} | {p99:.1f} | {busy:.1f} | {statements} | {read:,} | {plan} |")
