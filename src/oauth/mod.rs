//! **Lives here:** the law of an OAuth resource server, as pure functions and types: how a bearer
//! token is read, what an introspection reply is worth, how a refusal is worded, what the metadata
//! says, which scopes satisfy which.
//!
//! **May enter:** everyone but `domain` and `mock_auth`; this room imports `domain` alone.
//!
//! **Never here:** a network call, a clock (verdicts are told the time), a framework's type.
//!
//! **Begin with** `bearer.rs` and `judge.rs`, then `challenge.rs`.

pub mod bearer;
pub mod challenge;
pub mod judge;
pub mod metadata;
pub mod policy;
pub mod url;
