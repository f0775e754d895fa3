//! *Purpose:* `epicme dev`: a private PostgreSQL, the mock authorization server, the server and three demo
//! users in one process, without configuration.
//!
//! *Used by:* `main` and the tests.
//!
//! *Invariants:* only in builds with the cargo feature `dev`; PostgreSQL listens on no TCP port; no process
//! outlives the program.
//!
//! *Start reading at* `everything.rs`. The private PostgreSQL and the mock authorization server are the
//! crates `private-postgres` and `mock-auth`.

mod banner;
mod database;
mod demo;
mod everything;
mod kept_key;

pub use everything::{Dev, DevError, DevOptions};
