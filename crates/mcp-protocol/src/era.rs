//! The era of a message, and the checks of a request of MCP 2026-07-28 in their order.

use crate::{
    envelope::{Envelope, Params},
    headers::{Field, Headers},
    json::object::as_str,
    jsonrpc::{Incoming, Request},
    method::Method,
    outgoing::ClientCapabilities,
    rpc_error::{RpcError, code},
    version::ProtocolVersion,
};

/// The era of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// MCP 2026-07-28: no sessions.
    Modern,
    /// MCP 2025-03-26 to 2025-11-25: `initialize` and sessions.
    Legacy,
}

impl Era {
    /// The era of a revision.
    #[must_use]
    pub const fn of(version: ProtocolVersion) -> Self {
        if version.is_modern() {
            Self::Modern
        } else {
            Self::Legacy
        }
    }

    /// Whether clients of this era replace their scopes by those of a challenge, so that a challenge must
    /// name the granted scopes too. Modern clients request the union.
    #[must_use]
    pub const fn replaces_scopes(self) -> bool {
        matches!(self, Self::Legacy)
    }
}

/// A request of MCP 2026-07-28 that has passed all checks of the protocol.
#[derive(Debug)]
pub struct Admitted<'a> {
    /// The revision.
    pub version: ProtocolVersion,
    /// The method.
    pub method: Method,
    /// The parameters.
    pub params: Params<'a>,
    /// The client's capabilities.
    pub capabilities: ClientCapabilities,
}

/// Determines the era of a message. The body decides, the header is only compared: a request with an envelope
/// is modern, even if the envelope is invalid.
///
/// # Errors
/// `-32020` for an `initialize` without an envelope but with a modern header; `-32600` for a response with a
/// modern header.
pub fn classify(
    incoming: &Incoming<'_>,
    params: &Params<'_>,
    headers: &Headers<'_>,
) -> Result<Era, RpcError> {
    let modern_header = has_modern_header(headers);
    let method = match incoming {
        Incoming::Request(request) => &request.method,
        Incoming::Notification(_) => {
            return Ok(if modern_header || params.claims_envelope() {
                Era::Modern
            } else {
                Era::Legacy
            });
        }
        Incoming::Response(_) if modern_header => {
            return Err(RpcError::invalid_request(
                "Invalid request: this revision has no requests from the server, so there is nothing to respond to",
            ));
        }
        Incoming::Response(_) => return Ok(Era::Legacy),
    };
    if params.claims_envelope() || Method::is_modern_only(method) {
        return Ok(Era::Modern);
    }
    match (modern_header, method.as_ref()) {
        (true, "initialize") => Err(RpcError::new(
            code::HEADER_MISMATCH,
            "Header mismatch: MCP-Protocol-Version names a revision that has no initialize",
        )),
        (true, _) => Ok(Era::Modern),
        (false, _) => Ok(Era::Legacy),
    }
}

/// Whether `MCP-Protocol-Version` names a modern revision. Decides for GET and DELETE, which have no body.
#[must_use]
pub fn has_modern_header(headers: &Headers<'_>) -> bool {
    headers
        .protocol_version
        .text()
        .and_then(ProtocolVersion::parse)
        .is_some_and(ProtocolVersion::is_modern)
}

/// Checks a modern request: envelope, headers, version, method. The first failed check determines the error.
///
/// # Errors
/// `-32602`, `-32020`, `-32022` or `-32601`.
pub fn admit<'a>(
    request: &Request<'a>,
    params: Params<'a>,
    headers: &Headers<'_>,
) -> Result<Admitted<'a>, RpcError> {
    let envelope = Envelope::read(&params)?;
    headers.validate(&envelope.protocol_version, &request.method, &params)?;
    let version = ProtocolVersion::parse(&envelope.protocol_version)
        .filter(|version| version.is_modern())
        .ok_or_else(|| unsupported_version(&envelope.protocol_version))?;
    let method = Method::find(&request.method, version).ok_or_else(RpcError::method_not_found)?;
    Ok(Admitted {
        version,
        method,
        params,
        capabilities: envelope.capabilities,
    })
}

/// Compares the version header of a legacy request with the served revisions, and with the revision of its
/// session (MCP 2025-11-25, Transports, Protocol Version Header).
///
/// # Errors
/// `-32600` if the header appears twice, names a revision that is not served in this era, or differs from the
/// session.
pub fn check_legacy_version(
    header: Field<'_>,
    negotiated: Option<ProtocolVersion>,
) -> Result<(), RpcError> {
    if header == Field::Absent {
        return Ok(());
    }
    let version = header
        .text()
        .and_then(ProtocolVersion::parse_legacy)
        .ok_or_else(|| {
            RpcError::invalid_request(
                "Invalid request: MCP-Protocol-Version does not name one revision that is served within a session",
            )
        })?;
    match negotiated {
        Some(negotiated) if negotiated != version => Err(RpcError::invalid_request(format!(
            "Invalid request: MCP-Protocol-Version differs from the session's revision {negotiated}"
        ))),
        _ => Ok(()),
    }
}

/// `-32022`: the error for a legacy client if the legacy revisions are disabled.
#[must_use]
pub fn legacy_is_off(incoming: &Incoming<'_>, headers: &Headers<'_>) -> RpcError {
    let asked_for = match incoming {
        Incoming::Request(request) => request
            .params()
            .ok()
            .and_then(|params| params.protocol_version.and_then(as_str)),
        Incoming::Notification(_) | Incoming::Response(_) => None,
    };
    unsupported_version(
        asked_for
            .as_deref()
            .or(headers.protocol_version.text())
            .unwrap_or("none"),
    )
}

/// `-32022` with the supported and the requested versions.
fn unsupported_version(requested: &str) -> RpcError {
    RpcError::new(
        code::UNSUPPORTED_PROTOCOL_VERSION,
        "Unsupported protocol version",
    )
    .with_data(serde_json::json!({
        "supported": ProtocolVersion::MODERN.map(ProtocolVersion::as_str),
        "requested": requested.chars().take(64).collect::<String>(),
    }))
}
