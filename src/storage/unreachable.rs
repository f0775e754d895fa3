//! Why there is no connection.

use std::fmt;

use derive_more::{Display, Error};
use diesel::ConnectionError;
use resource_server::cause::Cause;

use super::error::StorageError;

/// Why there is no connection, in libpq's words. If libpq cannot parse the URL, its message quotes the
/// URL with its password, so that message is replaced.
#[derive(Debug, Display, Error)]
#[display("{reason}")]
pub(super) struct Unreachable {
    reason: String,
    /// Whether it stays so until somebody changes something.
    is_lasting: bool,
}

const UNPARSABLE: &str = "the database's URL cannot be read";

impl Unreachable {
    pub(super) fn because(reason: impl fmt::Display) -> Self {
        Self {
            reason: reason.to_string(),
            is_lasting: false,
        }
    }

    /// One that waiting does not help against.
    pub(super) fn until_changed(reason: impl fmt::Display) -> Self {
        Self {
            reason: reason.to_string(),
            is_lasting: true,
        }
    }

    /// A URL that cannot be read, of which nothing is quoted.
    pub(super) fn unparsable() -> Self {
        Self::until_changed(UNPARSABLE)
    }
}

impl From<ConnectionError> for Unreachable {
    fn from(error: ConnectionError) -> Self {
        let reason = error.to_string();
        let quotes_the_url = reason.contains("://")
            || reason.contains("connection info string")
            || reason.contains("percent-encoded");
        let is_about_the_server = matches!(error, ConnectionError::CouldntSetupConfiguration(_))
            || ABOUT_THE_SERVER
                .iter()
                .any(|begin| reason.starts_with(begin));
        if quotes_the_url {
            Self::unparsable()
        } else if is_about_the_server {
            Self::because(reason)
        } else {
            Self::because(without_quotations(&reason))
        }
    }
}

/// How libpq's errors begin that quote hosts, users and databases, and nothing that may be a secret.
const ABOUT_THE_SERVER: [&str; 3] = [
    "connection to server",
    "could not translate host name",
    "could not look up",
];

/// Other errors may quote any part of the URL: `invalid integer value "…" for connection option "port"`.
fn without_quotations(reason: &str) -> String {
    let mut parts = reason.split('"');
    let mut said = parts.next().unwrap_or_default().to_owned();
    for (at, part) in parts.enumerate() {
        if at % 2 == 0 {
            said.push_str("\"…\"");
        } else {
            said.push_str(part);
        }
    }
    said
}

impl From<Unreachable> for StorageError {
    /// `Corrupt` if waiting does not help.
    fn from(error: Unreachable) -> Self {
        if error.is_lasting {
            Self::Corrupt {
                source: Cause::new(error),
            }
        } else {
            Self::unavailable(error)
        }
    }
}
