# The programs, each in an image of its own: targets `epicme` (production), `mock-auth` and `mcp-load`.
#
#   docker build --target epicme -t epicme .
#   docker build --target mock-auth -t mock-auth .
#   docker build --target epicme -t epicme --build-arg PROFILE=on .    # profile-guided optimisation: for releases
#
# Works with the classic builder as well as with BuildKit. The dependencies are a layer of their own, which a
# change of our code leaves alone.

# `on` records a profile within the build (bench/profile.sh) and compiles the server by it.
ARG PROFILE=off

# Every manifest, and for each target that one names a source that is as good as empty: with them Cargo compiles
# the dependencies and nothing else.
FROM rust:1.95-bookworm AS manifests
WORKDIR /build
COPY . .
RUN find . -type f ! -name 'Cargo.*' ! -path '*/src/lib.rs' ! -path '*/src/main.rs' ! -path '*/src/bin/*.rs' -delete \
 && for manifest in $(find . -name Cargo.toml); do \
      package=$(dirname "$manifest"); \
      for file in $(cd "$package" && find . -name '*.rs' -path './src/*') \
                  $(sed -n 's/^path = "\(.*\.rs\)"/\1/p' "$manifest") \
                  $(sed -n '/^\[\[bench\]\]/,/^$/s|^name = "\(.*\)"|benches/\1.rs|p' "$manifest") \
                  $(sed -n '/^\[\[example\]\]/,/^$/s|^name = "\(.*\)"|examples/\1.rs|p' "$manifest") \
                  $(sed -n '/^\[\[test\]\]/,/^$/s|^name = "\(.*\)"|tests/\1.rs|p' "$manifest"); do \
        mkdir -p "$(dirname "$package/$file")" && echo 'fn main() {}' >"$package/$file"; \
      done; \
    done \
 && find . -path '*/src/lib.rs' -exec truncate --size 0 {} + \
 && find . -type d -empty -delete

# What is built against, and with. rust-toolchain.toml stays outside, for the image is the toolchain.
# cargo-auditable writes the list of dependencies into each program: `rust-audit-info /usr/local/bin/epicme` and
# scanners of images read it (docs/DOCKER.md).
FROM rust:1.95-bookworm AS toolchain
WORKDIR /build
RUN cargo install --quiet --locked cargo-auditable@0.7.7
COPY --from=manifests /build .

FROM toolchain AS dependencies
# libpq with TLS is linked as the base's package has it; mock-auth and mcp-load have none.
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends libpq-dev pkg-config && rm -rf /var/lib/apt/lists/*
RUN cargo auditable build --locked --release --no-default-features --features system-libpq --package epicme

# The profile, or an empty directory. It is recorded from the source that is then compiled by it.
FROM dependencies AS profile
ARG PROFILE
COPY . .
RUN mkdir /profile \
 && case "$PROFILE" in \
      off) ;; \
      on) apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql \
       && find . -name '*.rs' ! -path './target/*' -exec touch {} + \
       && bench/profile.sh \
       && mv target/profile/epicme.profdata /profile/ \
       && rm -rf target ;; \
      *) echo "PROFILE is on or off, not $PROFILE" >&2; exit 64 ;; \
    esac

# Cargo goes by times, and what was built from the empty sources is younger than ours: hence `touch`, here and
# below.
FROM dependencies AS build-epicme
ARG PROFILE
COPY --from=profile /profile /profile
COPY . .
RUN find . -name '*.rs' ! -path './target/*' -exec touch {} + \
 && if [ "$PROFILE" = on ]; then export RUSTFLAGS=-Cprofile-use=/profile/epicme.profdata; fi \
 && cargo auditable build --locked --release --no-default-features --features system-libpq --package epicme

# The base of what runs. It is not a user of the machine, has nothing that it could write to, and needs no
# shell. The trust store is one file: the package would bring the program `openssl` along, which nothing here uses.
FROM debian:bookworm-slim AS base
COPY --from=dependencies /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 10001:10001
STOPSIGNAL SIGTERM

FROM base AS epicme
# libpq of the Debian that it was compiled against, with the OpenSSL that it needs.
USER root
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends libpq5 && rm -rf /var/lib/apt/lists/*
USER 10001:10001
COPY --from=build-epicme /build/target/release/epicme /usr/local/bin/epicme
# Inside a container the loopback address is nobody's. Which port is published where, the host decides.
ENV EPICME_BIND=0.0.0.0:8787
EXPOSE 8787
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["/usr/local/bin/epicme", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/epicme"]
CMD ["serve"]

# For development and tests, never for production. It needs nothing of the server, whose dependencies BuildKit does not compile for it.
FROM toolchain AS build-mock-auth
RUN cargo auditable build --locked --release --package mock-auth
COPY . .
RUN find . -name '*.rs' ! -path './target/*' -exec touch {} + \
 && cargo auditable build --locked --release --package mock-auth

FROM base AS mock-auth
COPY --from=build-mock-auth /build/target/release/mock-auth /usr/local/bin/mock-auth
ENV MOCK_AUTH_BIND=0.0.0.0:7788
EXPOSE 7788
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["/usr/local/bin/mock-auth", "--check-health"]
ENTRYPOINT ["/usr/local/bin/mock-auth"]

# The load tester; last, for the classic builder makes all stages up to a target.
FROM dependencies AS build-mcp-load
RUN cargo auditable build --locked --release --package mcp-load
COPY . .
RUN find . -name '*.rs' ! -path './target/*' -exec touch {} + \
 && cargo auditable build --locked --release --package mcp-load

FROM base AS mcp-load
COPY --from=build-mcp-load /build/target/release/mcp-load /usr/local/bin/mcp-load
ENTRYPOINT ["/usr/local/bin/mcp-load"]
