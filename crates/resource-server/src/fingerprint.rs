//! Short hashes that replace secrets and personal data in the log.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// The first eight hexadecimal digits of the SHA-256 of a text: enough to correlate log lines, too few to
/// recover the text.
#[must_use]
pub fn fingerprint(text: &str) -> String {
    Sha256::digest(text)[..4]
        .iter()
        .fold(String::with_capacity(8), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}
