//! *Purpose:* revocation: what was ordered and is remembered, the store that outlives the process, the active
//! uses that a revocation ends, and logout tokens.
//!
//! *Used by:* `auth`; servers with long-lived streams hold an [`ActiveUse`].
//!
//! *Invariants:* an active use registers itself first and checks for revocations afterwards, so that a
//! concurrent one is never missed; nobody's revocations push out those of another party.
//!
//! *Start reading at* [`ActiveUse`].

pub(crate) mod active_use;
pub(crate) mod back_channel;
pub(crate) mod log;
mod order;
mod store;

pub use self::{
    active_use::ActiveUse,
    back_channel::LogoutError,
    order::{
        OrderError, OrderedBy, RevocationChange, RevocationOrder, RevocationTarget,
        StoredRevocation,
    },
    store::{ChangesPage, InMemoryRevocationStore, Mark, RevocationStore, StoreFuture},
};
pub use crate::jose::logout_token::LogoutFault;
