//! The HTTP status of an error, for each era.

use crate::{
    era::Era,
    rpc_error::{RpcError, code},
};

/// The status of an error response. If the era does not define one, it is 200: the error is in the body.
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

/// The status of an error of [`super::era::admit`] or [`super::era::classify`], or of parsing.
#[must_use]
pub fn of_refused_envelope(error: &RpcError) -> u16 {
    match error.code {
        code::INVALID_PARAMS => 400,
        _ => of_error(Era::Modern, error),
    }
}
