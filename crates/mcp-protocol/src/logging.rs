//! Log messages for the client (MCP, Logging): levels and notifications. A message must hold neither user
//! content nor secrets.

use serde::Serialize;
use serde_json::{Value, value::RawValue};

use crate::{json::object::as_str, outgoing::notification, rpc_error::RpcError};

/// The severity of a log message, in ascending order (RFC 5424 §6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Debugging information.
    Debug,
    /// Normal operation.
    Info,
    /// Normal but significant.
    Notice,
    /// A warning.
    Warning,
    /// An error.
    Error,
    /// A component fails.
    Critical,
    /// Action must be taken at once.
    Alert,
    /// The server is unusable.
    Emergency,
}

impl Level {
    /// All levels in ascending order.
    pub const ALL: [Self; 8] = [
        Self::Debug,
        Self::Info,
        Self::Notice,
        Self::Warning,
        Self::Error,
        Self::Critical,
        Self::Alert,
        Self::Emergency,
    ];

    /// The level on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
            Self::Alert => "alert",
            Self::Emergency => "emergency",
        }
    }

    /// The level with this name on the wire.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == text)
    }

    /// Reads a level from the member `name`.
    ///
    /// # Errors
    /// `-32602` with the known levels.
    pub fn read(member: Option<&RawValue>, name: &str) -> Result<Self, RpcError> {
        member
            .and_then(as_str)
            .and_then(|text| Self::parse(&text))
            .ok_or_else(|| {
                let known = Self::ALL.map(Self::as_str).join(", ");
                RpcError::invalid_params(format!("Invalid params: {name} must be one of {known}"))
            })
    }
}

/// A `notifications/message`. `logger` names a component of the server.
#[must_use]
pub fn message(level: Level, logger: &str, data: &Value) -> String {
    #[derive(Serialize)]
    struct Message<'a> {
        level: &'static str,
        logger: &'a str,
        data: &'a Value,
    }
    notification(
        "notifications/message",
        &Message {
            level: level.as_str(),
            logger,
            data,
        },
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{json, value::to_raw_value};

    use super::*;

    #[test]
    fn the_levels_are_listed_from_least_to_most() {
        assert!(Level::ALL.is_sorted());
        for level in Level::ALL {
            let raw = to_raw_value(level.as_str()).unwrap();
            assert_eq!(Level::read(Some(&raw), "level").unwrap(), level);
        }
    }

    #[test]
    fn what_is_no_level_is_told_those_that_there_are() {
        for value in [
            json!("Info"),
            json!("warn"),
            json!(""),
            json!(4),
            json!(null),
        ] {
            let error = Level::read(Some(&to_raw_value(&value).unwrap()), "level").unwrap_err();
            assert_eq!(
                error.message,
                "Invalid params: level must be one of debug, info, notice, warning, error, critical, alert, emergency"
            );
        }
        assert!(Level::read(None, "level").is_err());
    }
}
