//! **Lives here:** the catalogue: every tool, resource and prompt, declared once with its scopes, its
//! arguments, its result and what it does. Lists, refusals, completions and documentation are all read
//! off the declaration.
//!
//! **May enter:** `actors::session`, `http`, `app`. This room imports `actors::journal`, `audit`,
//! `mcp`, `oauth` and `domain`.
//!
//! **Never here:** a scope check or a list filter of a feature's own, a status code, SQL, a
//! difference between revisions.
//!
//! **Begin with** `tool.rs`, which is what a declaration looks like, then any file of `tools/`;
//! `resource.rs` and `prompt.rs` are the same for resources and prompts.

pub mod arguments;
pub mod catalogue;
pub mod completion;
pub mod conversation;
pub mod dates;
pub mod dispatch;
pub mod export;
pub mod prompt;
pub mod prompts;
mod recording;
pub mod resource;
pub mod resources;
pub mod scope_table;
pub mod suggesting;
pub mod tool;
pub mod tools;
pub mod uri;
pub mod views;
pub mod watching;
