//! *Purpose:* tools, resources, prompts and completions: how they are declared, what they have at hand, and
//! the catalogue of a server.
//!
//! *Used by:* programs, to declare; `dispatch`, `session` and `http`, to find.
//!
//! *Invariants:* a feature checks no scope and filters no list itself; nothing here knows a revision.
//!
//! *Start reading at* [`tool`]; [`resource`] and [`prompt`] are the same for the others.

pub mod arguments;
pub mod call_record;
pub mod catalogue;
pub mod changes;
pub mod completion;
pub mod context;
pub mod conversation;
pub mod declaration;
pub mod prompt;
pub mod replay_store;
pub mod resource;
pub mod scope_table;
pub mod subscriptions;
pub mod target;
pub mod tool;
pub mod tool_error;
pub mod uri;
