//! The certificate of the listener, and its key: both files or neither.

use super::{options::Options, read::Reader};
use crate::tls::{Identity, TlsFault};

const CERTIFICATE_FILE: &str = "EPICME_TLS_CERTIFICATE_FILE";
const KEY_FILE: &str = "EPICME_TLS_KEY_FILE";

impl Reader<'_> {
    /// Read once here, so that a pair that cannot be served with stops the start.
    pub(super) fn tls(&mut self, options: &Options) -> Option<Identity> {
        match (&options.tls_certificate_file, &options.tls_key_file) {
            (None, None) => None,
            (Some(_), None) => {
                self.fault(CERTIFICATE_FILE, format!("is set, and {KEY_FILE} is not"));
                None
            }
            (None, Some(_)) => {
                self.fault(KEY_FILE, format!("is set, and {CERTIFICATE_FILE} is not"));
                None
            }
            (Some(certificate), Some(key)) => Identity::read(certificate, key)
                .map_err(|fault| {
                    let (told_by, file) = match fault {
                        TlsFault::Certificate(_) => (CERTIFICATE_FILE, certificate),
                        TlsFault::Key(_) | TlsFault::Mismatch => (KEY_FILE, key),
                    };
                    self.fault(told_by, format!("{}: {fault}", file.display()));
                })
                .ok(),
        }
    }
}
