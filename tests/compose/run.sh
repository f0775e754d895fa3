#!/usr/bin/env bash
# Starts docker-compose.yml from nothing and proves that it is what docs/DOCKER.md says.
#
#   tests/compose/run.sh [--require]
#
# Without a Docker engine, docker-compose (or the plugin `docker compose`) or the base images it says so and
# proves only what needs none of them; with --require that is a failure. Where both variants of Compose are
# there, each has its turn.
# Everything runs under a project name, image tags and ports of its own, and is removed at the end, the base
# images apart. BUILD_ARGS names further arguments of the build, such as "--build-arg=HTTP_PROXY", where a
# network needs some, or "--build-arg=PROFILE=on" to prove images built with profile-guided optimisation.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

require=
export PYTHONDONTWRITEBYTECODE=1
[ "${1:-}" != --require ] || { require=true; shift; }

command -v python3 >/dev/null || { echo "skipped: Python 3 is missing"; exit ${require:+1}; }

missing() {
  if [ -n "$require" ]; then
    echo "failed: $1"
    echo "0 passed, 1 failed"
    exit 1
  fi
  echo "skipped, but for what needs no container: $1"
  exec python3 "$here/prove.py" --
}

command -v docker >/dev/null || missing "Docker is missing"
docker info >/dev/null 2>&1 || missing "no Docker engine answers"

variants=()
if docker-compose version >/dev/null 2>&1; then variants+=("docker-compose"); fi
if docker compose version >/dev/null 2>&1; then variants+=("docker compose"); fi
[ ${#variants[@]} -gt 0 ] || missing "neither docker-compose nor the plugin docker compose is there"

for image in $(sed -n 's/^FROM \([^ ]*:[^ ]*\).*/\1/p' "$here/../../Dockerfile") \
  $(sed -n 's/.*image: &postgres-image "\(.*\)"/\1/p' "$here/../../docker-compose.yml"); do
  docker image inspect "$image" >/dev/null 2>&1 || docker pull --quiet "$image" >/dev/null 2>&1 ||
    missing "the image $image is neither here nor to be had from a registry"
done

exec python3 "$here/prove.py" -- "${variants[@]}"
