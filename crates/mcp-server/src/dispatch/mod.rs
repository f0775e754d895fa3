//! *Purpose:* from a method and its parameters to an answer, in the same way for both eras.
//!
//! *Used by:* `http` and `session`.
//!
//! *Invariants:* the order is: look up the feature, check scopes, read parameters, run. A call that is
//! refused has had no effect. No rule of a feature, no wire format and no HTTP status is decided here.
//!
//! *Start reading at* [`Dispatcher::dispatch`], then `calls.rs` (tools and prompts, which may need a response
//! of the client first) and `reads.rs` (lists, resources, completions).

mod call;
mod calls;
mod dispatcher;
mod failure;
mod find;
mod reads;
mod recording;

pub(crate) use self::{
    call::{Call, Dispatched, OnCall, PendingAnswer},
    dispatcher::{Dispatcher, DispatcherSettings},
    failure::{Failure, failure},
};
