//! *Purpose:* revocation: what ends before its time, and how everything that is open under it hears of it.
//!
//! *Used by:* `auth`, and servers that keep streams open.
//!
//! *Invariants:* an active use registers itself first and checks for revocations afterwards, so that a
//! concurrent one is never missed.
//!
//! *Start reading at* [`active_use`].

pub(crate) mod active_use;
pub(crate) mod back_channel;
pub(crate) mod log;

pub use self::{active_use::ActiveUse, back_channel::LogoutError};
