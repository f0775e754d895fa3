//! Whole calls over loopback. `docs/PERFORMANCE.md` compares the server with others.
//!
//! Needs PostgreSQL's binaries, as `epicme dev` does.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on has failed"
)]

#[path = "call/server.rs"]
mod server;

use criterion::{Criterion, criterion_group, criterion_main};

use server::{Server, Wire, list_entries, tools_list};

/// Whole calls on one connection: HTTP, authentication, protocol, journal and PostgreSQL.
fn whole(criterion: &mut Criterion) {
    let server = Server::start();
    for (title, method, name, body) in [
        ("whole call: tools/list", "tools/list", None, tools_list()),
        (
            "whole call: list_entries",
            "tools/call",
            Some("list_entries"),
            list_entries(),
        ),
    ] {
        let mut wire = Wire::connect(server.address());
        let request = wire.request(&server.token(), method, name, &body);
        assert!(wire.answer(&request).contains("\"result\""));
        criterion.bench_function(title, |bencher| {
            bencher.iter(|| wire.answer(&request).len())
        });
    }
    server.stop();
}

criterion_group!(calls, whole);
criterion_main!(calls);
