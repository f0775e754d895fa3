//! *Purpose:* tools, resources, prompts and completions: their declarations, the context of their calls, and
//! the catalogue of a server.
//!
//! *Used by:* programs, to declare; `dispatch`, `session` and `http`, to find.
//!
//! *Invariants:* a feature checks no scope and filters no list itself; nothing here depends on the revision.
//!
//! *Start reading at* [`tool`]; [`resource`] and [`prompt`] have the same structure.

pub mod arguments;
pub mod call_record;
pub mod catalogue;
pub(crate) mod change;
pub mod changes;
pub mod completion;
mod contents;
pub mod context;
pub mod conversation;
pub mod declaration;
pub mod presentation;
pub mod prompt;
pub mod replay_store;
pub mod resource;
mod schema;
pub mod scope_table;
pub mod session_store;
pub(crate) mod subscriptions;
pub(crate) mod target;
pub mod tool;
pub mod tool_error;
pub mod uri;
