//! How often each endpoint is called.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::paths;

/// Paths that are counted, and the names of their counts.
const COUNTED: [(&str, &str); 16] = [
    ("/admin", "admin"),
    ("/dev/token", "dev_token"),
    (paths::DEVICE, "device"),
    (paths::DEVICE_AUTHORIZATION, "device_authorization"),
    ("/healthcheck", "healthcheck"),
    (paths::OAUTH_METADATA, "metadata"),
    (paths::OPENID_METADATA, "openid_metadata"),
    (paths::AUTHORIZE, "authorize"),
    (paths::CONSENT, "consent"),
    (paths::SIGN_IN, "sign_in"),
    ("/oauth/introspection", "introspection"),
    ("/oauth/jwks", "jwks"),
    ("/oauth/register", "register"),
    ("/oauth/revoke", "revoke"),
    ("/oauth/token", "token"),
    ("/test-auth", "test_auth"),
];

/// How often each path was called, refusals included.
#[derive(Default)]
pub(crate) struct Calls([AtomicU64; COUNTED.len()]);

impl Calls {
    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        COUNTED
            .iter()
            .zip(&self.0)
            .map(|((_, name), count)| (*name, count.load(Ordering::Relaxed)))
            .collect()
    }

    pub(crate) fn count(&self, path: &str) {
        if let Some(i) = COUNTED.iter().position(|(counted, _)| *counted == path) {
            self.0[i].fetch_add(1, Ordering::Relaxed);
        }
    }
}
