//! The one table from an outcome to an HTTP status, per era (D-18).

use crate::{
    era::Era,
    jsonrpc::{RpcError, code},
};

/// The status of an error response. Where the era does not pin one, an error travels in band: the
/// HTTP exchange succeeded.
#[must_use]
pub fn of_error(era: Era, error: &RpcError) -> u16 {
    match (era, error.code) {
        (_, code::PARSE_ERROR | code::INVALID_REQUEST) => 400,
        (_, code::HEADER_MISMATCH | code::UNSUPPORTED_PROTOCOL_VERSION) => 400,
        (Era::Modern, code::MISSING_CLIENT_CAPABILITY) => 400,
        (Era::Modern, code::METHOD_NOT_FOUND) => 404,
        (Era::Modern, code::INTERNAL_ERROR) => 500,
        (Era::Modern | Era::Legacy, _) => 200,
    }
}

/// The status of an error that [`super::era::admit`] or [`super::era::classify`] found, before
/// anything of the method was looked at: a bad envelope is the transport's business.
#[must_use]
pub fn of_refused_envelope(error: &RpcError) -> u16 {
    match error.code {
        code::INVALID_PARAMS => 400,
        _ => of_error(Era::Modern, error),
    }
}
