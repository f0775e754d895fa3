//! *Purpose:* the way from a method and its parameters to an answer, the same in both eras.
//!
//! *Used by:* `http` and `session`.
//!
//! *Invariants:* look-up, scopes, parameters, then the work, in that order; nothing has been done when
//! a call is refused. No rule of a feature, no shape of an answer and no status is decided here.
//!
//! *Start reading at* [`Dispatcher::begin`], then `calls.rs` (tools and prompts, which may need the
//! client first) and `reads.rs` (lists, resources, completions, which never do).

mod calls;
mod dispatcher;
mod failure;
mod find;
mod reads;
mod recording;

pub use self::{
    dispatcher::{Begun, Call, Dispatcher, DispatcherSettings, OnCall, Work},
    failure::Failure,
};
