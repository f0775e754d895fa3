//! Why a logout token (OpenID Connect Back-Channel Logout 1.0) is not accepted.

use derive_more::{Display, Error};

use super::order::OrderError;
use crate::{auth::error::AuthError, jose::logout_token::LogoutFault};

/// Why a logout token is not accepted. The message may be sent to the issuer (§2.8).
#[derive(Clone, Debug, Display, Error)]
pub enum LogoutError {
    /// Its issuer is not configured here.
    #[display("the logout token is from no issuer that is known here")]
    UnknownIssuer,
    /// The token is invalid.
    #[display("{_0}")]
    Refused(#[error(not(source))] LogoutFault),
    /// It names only a session (`sid`), and this server does not track sessions of the issuer.
    #[display("the logout token needs sub: sessions of the issuer are not known here")]
    SubjectNeeded,
    /// It was used before (§2.6).
    #[display("the logout token was used before")]
    Replayed,
    /// The user was logged out here, but that was not stored. The token may be sent again.
    #[display("{_0}")]
    NotStored(#[error(not(source))] OrderError),
    /// The issuer's keys cannot be fetched, or too many logout tokens are being verified.
    #[display("{_0}")]
    Unavailable(#[error(not(source))] AuthError),
}
