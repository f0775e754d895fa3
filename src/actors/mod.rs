//! **Lives here:** the actors, each behind a handle: `auth` asks the authorization server who stands
//! behind a token, `session` holds one MCP session or stream, `journal` reads and writes the journal.
//!
//! **May enter:** `http` and `app`; `features` may enter `actors::journal` alone.
//!
//! **Never here:** an unbounded queue (`gate.rs` is the bound), a blocking call in a handler, a
//! decision that could be a pure function in `oauth`, `mcp` or `features`.
//!
//! **Begin with** `gate.rs`, then the `mod.rs` of an actor: messages, handle, actor, in that order.

pub mod auth;
pub mod gate;
pub mod journal;
pub mod session;
