//! Whether an authorization server has answered usefully since the start. It says that the settings fit, which an
//! issuer that answers a later request with an error does not take back.

use std::sync::atomic::{AtomicBool, Ordering};

use derive_more::Display;

use super::settings::IssuerSettings;

/// What an authorization server has answered since the start.
pub(crate) struct FirstAnswer {
    needs_introspection: bool,
    needs_keys: bool,
    has_introspected: AtomicBool,
    has_keys: AtomicBool,
    was_asked: AtomicBool,
    rejected_client: AtomicBool,
}

/// Whether an authorization server was asked successfully since the start.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq)]
pub enum Asked {
    /// Nothing has been asked yet.
    #[display("not_yet")]
    NotYet,
    /// It was asked, and has not answered what is needed of it.
    #[display("failed")]
    Failed,
    /// It has answered: an introspection, or with its keys, whichever of them the settings need.
    #[display("ok")]
    Ok,
}

impl FirstAnswer {
    pub(crate) fn new(settings: &IssuerSettings) -> Self {
        let unset = || AtomicBool::new(false);
        Self {
            needs_introspection: settings.client.is_some(),
            needs_keys: settings.jwt.is_some() || settings.signed_replies,
            has_introspected: unset(),
            has_keys: unset(),
            was_asked: unset(),
            rejected_client: unset(),
        }
    }

    /// It is being asked.
    pub(crate) fn asking(&self) {
        self.was_asked.store(true, Ordering::Relaxed);
        self.rejected_client.store(false, Ordering::Relaxed);
    }

    /// It has said something about a token.
    pub(crate) fn introspected(&self) {
        self.has_introspected.store(true, Ordering::Relaxed);
    }

    /// Its keys were fetched.
    pub(crate) fn fetched_keys(&self) {
        self.has_keys.store(true, Ordering::Relaxed);
    }

    /// It does not accept the credentials of this resource server.
    pub(crate) fn rejected_client(&self) {
        self.rejected_client.store(true, Ordering::Relaxed);
    }

    /// Whether it has rejected the credentials since it was asked last.
    pub(crate) fn has_rejected_client(&self) -> bool {
        self.rejected_client.load(Ordering::Relaxed)
    }

    /// Whether an introspection is still missing.
    pub(crate) fn lacks_introspection(&self) -> bool {
        self.needs_introspection && !self.has_introspected.load(Ordering::Relaxed)
    }

    /// Whether the keys are still missing.
    pub(crate) fn lacks_keys(&self) -> bool {
        self.needs_keys && !self.has_keys.load(Ordering::Relaxed)
    }

    pub(crate) fn state(&self) -> Asked {
        let lacks = self.lacks_introspection() || self.lacks_keys();
        match (lacks, self.was_asked.load(Ordering::Relaxed)) {
            (false, _) => Asked::Ok,
            (true, true) => Asked::Failed,
            (true, false) => Asked::NotYet,
        }
    }
}
