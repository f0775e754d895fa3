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
pub mod call_record;
pub mod catalogue;
pub mod changes;
mod completers;
pub mod completion;
pub mod context;
pub mod conversation;
pub mod dates;
pub mod declaration;
pub mod dispatch;
pub mod export;
mod id_arguments;
mod journal_error;
pub mod page_arguments;
pub mod prompt;
pub mod prompts;
pub mod replay_store;
pub mod resource;
pub mod resources;
pub mod scope_table;
mod tag_suggestions;
pub mod target;
pub mod tool;
pub mod tool_error;
pub mod tools;
pub mod uri;
pub mod views;
pub mod watching;
