"""Proves docker-compose.yml; run.sh tells how it is called."""

import shutil
import sys
import time
import traceback

import image
import observed
import proofs
from stack import Stack, can_be_had, docker

passed = failed = 0


def check(name, proof):
    """Runs one proof. What it yields are promises of their own that held on its way; it may return words."""
    global passed, failed
    began, words = time.monotonic(), ""
    try:
        steps = proof()
        if hasattr(steps, "__next__"):
            while True:
                try:
                    print(f"ok      {next(steps)}", flush=True)
                    passed += 1
                except StopIteration as end:
                    words = end.value or ""
                    break
        else:
            words = steps or ""
    except Exception as error:
        failed += 1
        print(f"FAILED  {name}\n{indented(error)}", flush=True)
        return False
    passed += 1
    print(f"ok      {name} ({time.monotonic() - began:.1f} s{'; ' + words if words else ''})", flush=True)
    return True


def indented(error):
    text = "".join(traceback.format_exception(error, limit=-3))
    return "\n".join("          " + line for line in text.splitlines())


def prove(variant):
    print(f"\n== with {variant}", flush=True)
    stack = Stack(variant)
    try:
        if not check("from nothing, everything ends healthy", lambda: proofs.starts(stack)):
            print(stack.compose("ps", check=False).stdout)
            for service in ("secrets", "roles", "migrate", "epicme"):
                if service in stack.services():
                    print(f"--- {service}\n{stack.logs(service)[-2000:]}")
            return
        for name, proof in proofs.ONE_PROCESS:
            check(name, lambda: proof(stack))
        for name, proof in proofs.TWO_PROCESSES + observed.OBSERVED + proofs.LOADED:
            check(name, lambda: proof(stack))
        # Debian has no Grafana that could stand in.
        if can_be_had(observed.GRAFANA):
            check("Grafana has the dashboard", lambda: observed.grafana_shows_it(stack))
        else:
            print(f"skipped: {observed.GRAFANA} cannot be had, so nothing of it is proved")
        check("`stop` ends it in order, within its time", lambda: proofs.stops(stack))
    finally:
        check("`down --volumes` leaves nothing", lambda: proofs.leaves_nothing(stack))
    for image in stack.stood_in:
        print(f"note: {image} could not be had; Debian's package stood in for it")


def main():
    _, *variants = sys.argv[sys.argv.index("--") :]
    check("the stages of the Dockerfile exist before they are used", image.stages_are_known)
    check("each program of the images is built with the list of its dependencies", image.programs_are_auditable)
    if shutil.which("cargo"):
        check("the image's layer of dependencies has a source for each target of each manifest", image.targets_have_sources)
    else:
        print("skipped: the sources of the image's layer of dependencies, which need cargo to be checked")
    for variant in variants:
        prove(variant)
    for tag in ("epicme:proof", "epicme-mock-auth:proof", "epicme-mcp-load:proof") if variants else ():
        docker("image", "rm", tag, check=False)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
