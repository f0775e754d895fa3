# The programs, each in an image of its own: targets `epicme` (production), `mock-auth` and `mcp-load`.
#
#   docker build --target epicme -t epicme .
#
# Works with the classic builder as well as with BuildKit. The dependencies are a layer of their own,
# which a change of our code leaves alone.

# What is built against, and with.
FROM rust:1.95-bookworm AS dependencies
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY crates/mcp-load/Cargo.toml crates/mcp-load/Cargo.toml
COPY crates/mock-auth/Cargo.toml crates/mock-auth/Cargo.toml
COPY crates/private-postgres/Cargo.toml crates/private-postgres/Cargo.toml
# What the compiler lays the program out by (profile/README.md); of the other two programs it knows the
# dependencies alone.
COPY profile/epicme.profdata profile/epicme.profdata
ENV RUSTFLAGS="-Cprofile-use=/build/profile/epicme.profdata"
# Sources that are as good as empty, one for each target that the manifest names: with them Cargo compiles
# the dependencies and nothing else. rust-toolchain.toml stays outside, for the image is the toolchain.
RUN mkdir -p src && touch src/lib.rs \
 && for file in $(sed -n 's/^path = "\(.*\.rs\)"/\1/p' Cargo.toml) \
                $(sed -n '/^\[\[bench\]\]/,/^$/s|^name = "\(.*\)"|benches/\1.rs|p' Cargo.toml); do \
      mkdir -p "$(dirname "$file")" && echo 'fn main() {}' > "$file"; \
    done \
 && for crate in crates/*; do mkdir "$crate/src" && touch "$crate/src/lib.rs"; done \
 && cargo build --locked --release --no-default-features --package epicme \
 # Of our own crate nothing may stay: Cargo goes by times, and the stubs are younger than the sources.
 && cargo clean --locked --release --package epicme

FROM dependencies AS build-epicme
COPY migrations migrations
COPY src src
RUN cargo build --locked --release --no-default-features --package epicme

# The base of what runs. It is not a user of the machine, has nothing that it could write to, and needs no
# shell. The trust store is one file: the package would bring OpenSSL along, which nothing here uses.
FROM debian:bookworm-slim AS base
COPY --from=dependencies /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 10001:10001
STOPSIGNAL SIGTERM

FROM base AS epicme
COPY --from=build-epicme /build/target/release/epicme /usr/local/bin/epicme
# Inside a container the loopback address is nobody's. Which port is published where, the host decides.
ENV EPICME_BIND=0.0.0.0:8787
EXPOSE 8787
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["/usr/local/bin/epicme", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/epicme"]
CMD ["serve"]

# For development and tests, never for production.
FROM dependencies AS build-mock-auth
RUN cargo build --locked --release --package mock-auth \
 && cargo clean --locked --release --package mock-auth
COPY crates/mock-auth crates/mock-auth
RUN cargo build --locked --release --package mock-auth

FROM base AS mock-auth
COPY --from=build-mock-auth /build/target/release/mock-auth /usr/local/bin/mock-auth
ENV MOCK_AUTH_BIND=0.0.0.0:7788
EXPOSE 7788
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["/usr/local/bin/mock-auth", "--check-health"]
ENTRYPOINT ["/usr/local/bin/mock-auth"]

# The load tester; last, for the classic builder makes all stages up to a target.
FROM dependencies AS build-mcp-load
RUN cargo build --locked --release --package mcp-load \
 && cargo clean --locked --release --package mcp-load
COPY crates/mcp-load crates/mcp-load
RUN cargo build --locked --release --package mcp-load

FROM base AS mcp-load
COPY --from=build-mcp-load /build/target/release/mcp-load /usr/local/bin/mcp-load
ENTRYPOINT ["/usr/local/bin/mcp-load"]
