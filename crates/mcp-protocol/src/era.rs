//! Which era a message belongs to, and the checks that a modern one has to pass, in their order.

use crate::{
    envelope::{Envelope, Params},
    headers::{Field, Headers},
    json::object::as_str,
    jsonrpc::{Incoming, Request, RpcError, code},
    logging::Level,
    method::Method,
    outgoing::ClientCapabilities,
    version::ProtocolVersion,
};

/// The era of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// 2026-07-28: no session, every request for itself.
    Modern,
    /// 2025-03-26 to 2025-11-25: inside a session, or `initialize`.
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

    /// Whether clients of this era replace the scopes that they have by those of a challenge, so
    /// that a challenge has to name the ones already granted as well. Modern clients add the two up.
    #[must_use]
    pub const fn replaces_scopes(self) -> bool {
        matches!(self, Self::Legacy)
    }
}

/// A modern request that has passed every check of the protocol's.
#[derive(Debug)]
pub struct Admitted<'a> {
    /// The revision it speaks.
    pub version: ProtocolVersion,
    /// What it asks for.
    pub method: Method,
    /// With which parameters.
    pub params: Params<'a>,
    /// What its client can do for the server.
    pub capabilities: ClientCapabilities,
    /// How much a message has to matter for its client to be told it.
    pub log_level: Option<Level>,
}

/// Tells the era of a message. The body decides, the header is a cross-check (D-01): a request that
/// claims an envelope is modern, and what is wrong with it is told in modern words.
///
/// # Errors
/// `-32020` for an `initialize` without an envelope under a modern header (D-02), `-32600` for a
/// response under one (D-15).
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

/// Whether the header names a modern revision, which is all there is to go by where there is no body:
/// modern clients have neither GET nor DELETE (T-28).
#[must_use]
pub fn has_modern_header(headers: &Headers<'_>) -> bool {
    headers
        .protocol_version
        .text()
        .and_then(ProtocolVersion::parse)
        .is_some_and(ProtocolVersion::is_modern)
}

/// Leads a modern request through the protocol's checks: envelope, headers, version, method. The
/// first that fails answers (D-05).
///
/// # Errors
/// `-32602`, `-32020`, `-32022` or `-32601`.
pub fn admit<'a>(
    request: &Request<'a>,
    params: Params<'a>,
    headers: &Headers<'_>,
) -> Result<Admitted<'a>, RpcError> {
    let envelope = Envelope::read(&params)?;
    headers.agree(&envelope.protocol_version, &request.method, &params)?;
    let version = ProtocolVersion::parse(&envelope.protocol_version)
        .filter(|version| version.is_modern())
        .ok_or_else(|| unsupported_version(&envelope.protocol_version))?;
    let method = Method::find(&request.method, version).ok_or_else(RpcError::method_not_found)?;
    Ok(Admitted {
        version,
        method,
        params,
        capabilities: envelope.capabilities,
        log_level: envelope.log_level,
    })
}

/// Holds the version header of a legacy request against what is served, and against what its session
/// negotiated (L-10, D-11).
///
/// # Errors
/// `-32600` if the header is doubled, names a revision that is not served in this era, or another
/// than the session's.
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

/// What a legacy client is told where the legacy era is switched off (V-04, D-30).
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

/// `-32022` with what would be served, and what was asked for.
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
