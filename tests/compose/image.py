"""What can be checked of the Dockerfile without a Docker engine, and of the programs that it makes."""

import json
import re
import shutil
import struct
import tempfile
import zlib
from pathlib import Path

from stack import ROOT, run


def instructions():
    """The instructions of the Dockerfile, each as one line, without comments."""
    lines = (line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#"))
    return [line for line in "\n".join(lines).replace("\\\n", "").splitlines() if line.strip()]


def stages_are_known():
    """Each stage is declared before another takes files from it, and each target of docker-compose.yml is a stage."""
    known = set()
    for line in instructions():
        if begin := re.match(r"FROM (\S+)(?: AS (\S+))?$", line):
            base, name = begin.groups()
            assert base in known or ":" in base, f"{line}: there is no stage {base}"
            known.add(name)
        elif source := re.match(r"COPY --from=(\S+)", line):
            assert source[1] in known, f"{line}: there is no stage {source[1]}"
    targets = re.findall(r"\btarget: ([\w-]+)", (ROOT / "docker-compose.yml").read_text())
    assert targets and known.issuperset(targets), (targets, known)


def programs_are_auditable():
    """Each build of a release writes the list of dependencies into what it makes."""
    builds = re.findall(r"cargo [a-z ]*build[^&;]*--release[^&;]*", "\n".join(instructions()))
    without = [build for build in builds if not build.startswith("cargo auditable build ")]
    assert len(builds) >= 4 and not without, (builds, without)
    (ours,) = [line for line in instructions() if "cargo install" in line and "cargo-auditable" in line]
    assert re.search(r"--locked cargo-auditable@[\d.]+", ours), ours


def dependencies_of(program):
    """The packages that cargo-auditable wrote into a program, by name, with their versions: the section `.dep-v0`
    of an ELF file is JSON, compressed by zlib."""
    elf = Path(program).read_bytes()
    assert elf[:6] == b"\x7fELF\x02\x01", "not an ELF file of 64 bits, little-endian"
    (table,) = struct.unpack_from("<Q", elf, 0x28)
    size, count, names_at = struct.unpack_from("<HHH", elf, 0x3A)

    def section(index):
        name, _, _, _, offset, length = struct.unpack_from("<IIQQQQ", elf, table + index * size)
        return name, elf[offset : offset + length]

    _, names = section(names_at)
    for index in range(count):
        name, content = section(index)
        if names[name : names.index(b"\0", name)] == b".dep-v0":
            packages = json.loads(zlib.decompress(content))["packages"]
            return {package["name"]: package["version"] for package in packages}
    raise AssertionError(f"{program} has no list of its dependencies")


def targets_have_sources():
    """Runs the commands of the stage `manifests` on the context, and looks for the source of each target."""
    (stage,) = re.findall(r"FROM \S+ AS manifests\n(.*?)\nFROM", "\n".join(instructions()), re.DOTALL)
    commands = [line.removeprefix("RUN ") for line in stage.splitlines() if line.startswith("RUN ")]
    assert commands, "the stage runs nothing"
    with tempfile.TemporaryDirectory(prefix="epicme-image-") as directory:
        copy_context(Path(directory))
        for command in commands:
            run("sh", "-euc", command, cwd=directory)
        metadata = json.loads(
            run("cargo", "metadata", "--locked", "--offline", "--no-deps", "--format-version=1", cwd=directory).stdout
        )
        sources = {Path(target["src_path"]) for package in metadata["packages"] for target in package["targets"]}
        missing = sorted(str(source.relative_to(directory)) for source in sources if not source.is_file())
        assert sources and not missing, f"without a source: {missing}"
        ours = [str(path) for path in Path(directory).rglob("*.rs") if path.read_text() not in ("", "fn main() {}\n")]
        assert not ours, f"our own code, a change of which would build the dependencies again: {ours}"
        return f"{len(sources)} targets"


def copy_context(directory):
    """What .dockerignore lets through: it leaves everything out, and names what is let through."""
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert patterns[0] == "*" and all(pattern[0] == "!" for pattern in patterns[1:]), patterns
    for name in (pattern[1:] for pattern in patterns[1:]):
        source, target = ROOT / name, directory / name
        if source.is_dir():
            shutil.copytree(source, target)
        elif source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
