//! **Lives here:** what `epicme dev` adds to the server so that it runs on one machine with nothing
//! to configure: a PostgreSQL of its own first of all.
//!
//! **May enter:** `main` and the tests.
//!
//! **Never here:** a way into a production build (the cargo feature `dev` holds this room), a TCP
//! port that PostgreSQL listens on, a process that outlives the program.
//!
//! **Begin with** `postgres/mod.rs`.

pub mod postgres;
