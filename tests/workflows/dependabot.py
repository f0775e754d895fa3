"""Every directory that has dependencies of its own stands in .github/dependabot.yml, and no other does."""

import os
import sys
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
# The file by which each ecosystem's directory is recognised.
MARKS = {
    "cargo": "Cargo.lock",
    "docker": "Dockerfile",
    "docker-compose": "docker-compose.yml",
    "npm": "package-lock.json",
    "pip": "requirements.txt",
}
GENERATED = {".git", ".venv", "book", "node_modules", "target"}


def present():
    """Every pair of an ecosystem and a directory in the repository."""
    found = set()
    for directory, below, files in os.walk(ROOT):
        below[:] = [name for name in below if name not in GENERATED]
        name = "/" + Path(directory).relative_to(ROOT).as_posix().removeprefix(".")
        found |= {(ecosystem, name) for ecosystem, mark in MARKS.items() if mark in files}
    return found


def configured():
    updates = YAML(typ="safe").load(ROOT / ".github/dependabot.yml")["updates"]
    return {
        (update["package-ecosystem"], directory)
        for update in updates
        for directory in update.get("directories") or [update["directory"]]
        if update["package-ecosystem"] in MARKS
    }


def main():
    there, listed = present(), configured()
    for ecosystem, directory in sorted(there - listed):
        print(f"{directory} has a {MARKS[ecosystem]} and is missing from .github/dependabot.yml ({ecosystem})")
    for ecosystem, directory in sorted(listed - there):
        print(f".github/dependabot.yml lists {directory} ({ecosystem}), which has no {MARKS[ecosystem]}")
    return 1 if there != listed else 0


if __name__ == "__main__":
    sys.exit(main())
