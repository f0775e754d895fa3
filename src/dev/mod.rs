//! **Lives here:** `epicme dev`: a private PostgreSQL, the mock authorization server, the server and
//! three demo users in one process, with nothing to configure.
//!
//! **May enter:** `main` and the tests.
//!
//! **Never here:** a way into a production build (the cargo feature `dev` holds this room), a TCP
//! port that PostgreSQL listens on, a process that outlives the program.
//!
//! **Begin with** `everything.rs`. The mock authorization server and the private PostgreSQL are crates of their own: `mock-auth` and
//! `private-postgres`.

mod banner;
mod demo;
mod everything;

pub use everything::{Dev, DevError, DevOptions};
