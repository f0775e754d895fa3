//! Who asks, how to authenticate, and who is no longer let in.

pub(crate) mod authenticate;
pub(crate) mod discovery;
pub(crate) mod revocation_endpoints;
