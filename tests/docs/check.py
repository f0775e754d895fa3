"""Links, commands and chapters of the Markdown pages. Prints each fault, and the counts that .ci/run adds up."""

import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parents[2]
SHELLS = {"sh", "console", "bash", "shell"}
FENCE = re.compile(r"^ *(`{3,})([^`]*)$")
MARK = re.compile(r"<!-- (run by|not run here): (.+?) -->")
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)", re.M)


def pages():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=ROOT, check=True, capture_output=True, text=True)
    return sorted(page for page in listed.stdout.split() if (ROOT / page).exists())


def split(text):
    """The text without its blocks of code, and each block: language, what is in it, the last line before it."""
    prose, blocks, fence = [], [], None
    for line in text.splitlines():
        found = FENCE.match(line)
        if fence is None and found:
            before = next((line for line in reversed(prose) if line.strip()), "")
            fence, block = found[1], (found[2].split() or [""], [], before)
        elif fence and found and found[1].startswith(fence) and not found[2].strip():
            blocks.append(block)
            fence = None
        elif fence:
            block[1].append(line)
        else:
            prose.append(line)
    return "\n".join(prose), blocks


def anchors(prose):
    """The anchors of a page's headings, as GitHub and mdBook make them."""
    names, counts = set(), {}
    for title in re.findall(r"^#{1,6} (.+?)\s*#*$", prose, re.M):
        title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
        name = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        counts[name] = counts.get(name, -1) + 1
        names.add(f"{name}-{counts[name]}" if counts[name] else name)
    return names | set(re.findall(r'<a (?:id|name)="([^"]+)"', prose))


def link_faults(page, prose):
    without_code = re.sub(r"`[^`\n]*`", "", prose)
    for inline, reference in LINK.findall(without_code):
        link = unquote(inline or reference)
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        if not target.exists():
            yield f"{link} leads nowhere"
        elif anchor and target.suffix == ".md" and anchor not in anchors(split(target.read_text())[0]):
            yield f"{link}: the page has no such heading"


def command_faults(page, blocks, rules):
    # The longest row that the page's path begins with.
    row = max((row for row in rules if page.startswith(row)), key=len, default=None)
    for language, lines, before in blocks:
        if language[0] not in SHELLS:
            continue
        mark = MARK.search(before)
        marks = {mark[1]: mark[2]} if mark else rules.get(row, {})
        named = page if mark else row
        start = next((line for line in lines if line.strip()), "")
        if "run by" in marks:
            test = ROOT / marks["run by"]
            if not test.is_file() or named.rstrip("/") not in test.read_text():
                yield f"`{start}`: {marks['run by']} is not there, or does not name {named}"
        elif not marks.get("not run here"):
            yield f"`{start}` is neither run nor marked: docs/TESTING.md says how"


def chapter_faults(listed):
    summary = ROOT / "docs/SUMMARY.md"
    chapters = {f"docs/{link}" for link in re.findall(r"\]\(([^)]+)\)", summary.read_text())}
    for page in listed:
        if page.startswith("docs/") and page != "docs/SUMMARY.md" and page not in chapters:
            yield f"docs/SUMMARY.md lacks {page}"


def main():
    rules = json.loads((Path(__file__).parent / "commands.json").read_text())
    listed = pages()
    faults = list(chapter_faults(listed))
    for page in listed:
        prose, blocks = split((ROOT / page).read_text())
        found = [*link_faults(page, prose), *command_faults(page, blocks, rules)]
        faults += [f"{page}: {fault}" for fault in found]
    for row in rules:
        if not any(page.startswith(row) for page in listed):
            faults.append(f"tests/docs/commands.json: {row} is no page")
    print("\n".join(faults))
    print(f"{len(listed)} passed, {len(faults)} failed" if not faults else f"0 passed, {len(faults)} failed")
    return 1 if faults else 0


sys.exit(main())
