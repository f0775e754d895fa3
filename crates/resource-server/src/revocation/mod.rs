//! *Purpose:* revocation: the log of revocations, the active uses that they end, and logout tokens.
//!
//! *Used by:* `auth`; servers with long-lived streams hold an [`ActiveUse`].
//!
//! *Invariants:* an active use registers itself first and checks for revocations afterwards, so that a
//! concurrent one is never missed.
//!
//! *Start reading at* [`ActiveUse`].

pub(crate) mod active_use;
pub(crate) mod back_channel;
pub(crate) mod log;

pub use self::{active_use::ActiveUse, back_channel::LogoutError};
pub use crate::jose::logout_token::LogoutFault;
