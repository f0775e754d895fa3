//! The headers of MCP, and their comparison with the body (MCP 2026-07-28, Transports, Standard Request
//! Headers).

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    envelope::Params,
    json::object::as_str,
    method::Method,
    rpc_error::{RpcError, code},
};

/// The fields of one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Field<'a> {
    /// None.
    #[default]
    Absent,
    /// Exactly one, with this value.
    One(&'a [u8]),
    /// More than one.
    Several,
}

impl<'a> Field<'a> {
    /// Collects the values of one name.
    pub fn gather(mut values: impl Iterator<Item = &'a [u8]>) -> Self {
        match (values.next(), values.next()) {
            (None, _) => Self::Absent,
            (Some(value), None) => Self::One(value),
            (Some(_), Some(_)) => Self::Several,
        }
    }

    /// The value without surrounding white space (RFC 9110 §5.5), if there is exactly one and it is text
    /// without control characters.
    #[must_use]
    pub fn text(self) -> Option<&'a str> {
        match self {
            Self::One(value) => str::from_utf8(value.trim_ascii()).ok().filter(|text| {
                // Without an early exit, which is faster for the usual visible ASCII.
                let is_visible = |visible, byte: u8| visible & byte.is_ascii_graphic();
                text.bytes().fold(true, is_visible)
                    || text.chars().all(|character| !character.is_control())
            }),
            Self::Absent | Self::Several => None,
        }
    }
}

/// The headers of MCP.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a> {
    /// `MCP-Protocol-Version`.
    pub protocol_version: Field<'a>,
    /// `Mcp-Method`.
    pub method: Field<'a>,
    /// `Mcp-Name`.
    pub name: Field<'a>,
    /// `Mcp-Session-Id`.
    pub session_id: Field<'a>,
}

impl Headers<'_> {
    /// Compares the headers of a modern request with its body.
    ///
    /// # Errors
    /// `-32020` with the name of the first header that is missing, duplicated or different.
    pub fn validate(
        &self,
        version: &str,
        method_name: &str,
        params: &Params<'_>,
    ) -> Result<(), RpcError> {
        compare(
            "MCP-Protocol-Version",
            self.protocol_version,
            version,
            "the envelope",
        )?;
        compare("Mcp-Method", self.method, method_name, "method")?;
        let Some(member) = Method::name_member(method_name) else {
            return Ok(());
        };
        let named = params.naming(member).and_then(as_str);
        match (self.name, named) {
            // Both are missing, which the method reports.
            (Field::Absent, None) => Ok(()),
            (_, None) => Err(mismatch(format!(
                "Mcp-Name is sent, but params.{member} is no string"
            ))),
            (Field::One(_), Some(named)) => {
                let header = self.name.text().ok_or_else(|| {
                    mismatch("Mcp-Name has characters that no header value has".to_owned())
                })?;
                if decode_sentinel(header)? == named {
                    Ok(())
                } else {
                    Err(mismatch(format!("Mcp-Name differs from params.{member}")))
                }
            }
            (field @ (Field::Absent | Field::Several), Some(_)) => Err(unusable("Mcp-Name", field)),
        }
    }
}

/// Decodes a value that may be in the form for text which a header cannot contain: `=?base64?…?=`,
/// case-sensitive (MCP 2026-07-28, Transports, Value Encoding).
fn decode_sentinel(value: &str) -> Result<Cow<'_, str>, RpcError> {
    let Some(encoded) = value
        .strip_prefix("=?base64?")
        .and_then(|rest| rest.strip_suffix("?="))
    else {
        return Ok(Cow::Borrowed(value));
    };
    STANDARD
        .decode(encoded)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .map(Cow::Owned)
        .ok_or_else(|| mismatch("Mcp-Name is not the base64 of UTF-8 text".to_owned()))
}

fn compare(name: &str, field: Field<'_>, expected: &str, source: &str) -> Result<(), RpcError> {
    match field {
        Field::One(_) if field.text() == Some(expected) => Ok(()),
        Field::One(_) => Err(mismatch(format!("{name} differs from {source}"))),
        Field::Absent | Field::Several => Err(unusable(name, field)),
    }
}

fn unusable(name: &str, field: Field<'_>) -> RpcError {
    mismatch(match field {
        Field::Several => format!("{name} is sent more than once"),
        Field::Absent | Field::One(_) => format!("{name} is missing"),
    })
}

fn mismatch(what: String) -> RpcError {
    RpcError::new(code::HEADER_MISMATCH, format!("Header mismatch: {what}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{json, value::to_raw_value};

    use super::*;

    fn agree(headers: &[(&str, &str)], name: Option<&str>) -> Result<(), String> {
        let field = |wanted: &str| {
            Field::gather(
                headers
                    .iter()
                    .filter(|(name, _)| *name == wanted)
                    .map(|(_, value)| value.as_bytes()),
            )
        };
        let raw = name.map(|name| to_raw_value(&json!(name)).unwrap());
        Headers {
            protocol_version: field("version"),
            method: field("method"),
            name: field("name"),
            session_id: Field::Absent,
        }
        .validate(
            "2026-07-28",
            "tools/call",
            &Params {
                name: raw.as_deref(),
                ..Params::default()
            },
        )
        .map_err(|error| {
            assert_eq!(error.code, code::HEADER_MISMATCH);
            error.message
        })
    }

    const GOOD: [(&str, &str); 3] = [
        ("version", " 2026-07-28\t"),
        ("method", "tools/call"),
        ("name", "get_entry"),
    ];

    #[test]
    fn headers_that_agree_pass() {
        assert_eq!(agree(&GOOD, Some("get_entry")), Ok(()));
        assert_eq!(
            agree(
                &[GOOD[0], GOOD[1], ("name", "=?base64?Z2V0X2VudHJ5?=")],
                Some("get_entry")
            ),
            Ok(())
        );
        assert_eq!(
            agree(
                &[GOOD[0], GOOD[1], ("name", "=?BASE64?Z2V0?=")],
                Some("=?BASE64?Z2V0?=")
            ),
            Ok(())
        );
        assert_eq!(agree(&GOOD[..2], None), Ok(()));
    }

    /// T-16.
    #[test]
    fn each_disagreement_is_named() {
        for (headers, message) in [
            (&GOOD[1..], "MCP-Protocol-Version is missing"),
            (
                &[("version", "2025-11-25"), GOOD[1], GOOD[2]][..],
                "MCP-Protocol-Version differs from the envelope",
            ),
            (
                &[GOOD[0], GOOD[0], GOOD[1], GOOD[2]][..],
                "MCP-Protocol-Version is sent more than once",
            ),
            (&[GOOD[0], GOOD[2]][..], "Mcp-Method is missing"),
            (
                &[GOOD[0], ("method", "Tools/Call"), GOOD[2]][..],
                "Mcp-Method differs from method",
            ),
            (&GOOD[..2], "Mcp-Name is missing"),
            (
                &[GOOD[0], GOOD[1], GOOD[2], GOOD[2]][..],
                "Mcp-Name is sent more than once",
            ),
            (
                &[GOOD[0], GOOD[1], ("name", "Get_Entry")][..],
                "Mcp-Name differs from params.name",
            ),
            (
                &[GOOD[0], GOOD[1], ("name", "=?base64?Z2V0X2VudHJ5")][..],
                "Mcp-Name differs from params.name",
            ),
            (
                &[GOOD[0], GOOD[1], ("name", "=?base64?!!?=")][..],
                "Mcp-Name is not the base64 of UTF-8 text",
            ),
            (
                &[GOOD[0], GOOD[1], ("name", "=?base64?Z2V0X2VudHJ5Cg?=")][..],
                "Mcp-Name is not the base64 of UTF-8 text",
            ),
        ] {
            assert_eq!(
                agree(headers, Some("get_entry")),
                Err(format!("Header mismatch: {message}"))
            );
        }
        assert_eq!(
            agree(&GOOD, None),
            Err("Header mismatch: Mcp-Name is sent, but params.name is no string".to_owned())
        );
    }

    proptest! {
        /// T-15.
        #[test]
        fn any_name_agrees_in_its_base64_form(name in "\\PC*") {
            let encoded = format!("=?base64?{}?=", STANDARD.encode(&name));
            prop_assert_eq!(agree(&[GOOD[0], GOOD[1], ("name", &encoded)], Some(&name)), Ok(()));
        }
    }
}
