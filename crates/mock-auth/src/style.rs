//! The pages' style sheet, and the hash by which their policy lets it in.

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

/// The sheet stands in each page, so that a page is one answer.
pub(crate) const SHEET: &str = include_str!("style.css");

/// The CSP source for [`SHEET`].
pub(crate) static SOURCE: LazyLock<String> = LazyLock::new(|| {
    let digest = STANDARD.encode(Sha256::digest(SHEET.as_bytes()));
    format!("'sha256-{digest}'")
});
