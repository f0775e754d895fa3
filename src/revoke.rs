//! `epicme revoke`: tells one process of the server that somebody is to lose access.

use std::time::Duration;

use awc::http::{
    StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
};
use derive_more::{Display, Error};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use resource_server::{issuer, url::PublicUrl};

/// How long an answer is waited for.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why it is not known that anybody was cut off.
#[derive(Debug, Display, Error)]
pub enum RevokeError {
    /// The server cannot be reached, or does not answer.
    #[display("{_0} gives no answer")]
    Unreachable(#[error(not(source))] Url),
    /// The server says no.
    #[display("the server answers {status}: {reason}")]
    Refused {
        /// Its status.
        status: u16,
        /// Why, in its own words.
        reason: String,
    },
}

/// Tells the process that listens at `server`, under the host by which clients know it. Needs an actix
/// `System`.
///
/// # Errors
/// If it did not say that it was done.
pub async fn tell(
    server: &Url,
    public_url: &PublicUrl,
    secret: &SecretString,
    whom: &Value,
) -> Result<(), RevokeError> {
    let client = issuer::client(TIMEOUT, Some(TIMEOUT), server.scheme() == "http");
    let unreachable = || RevokeError::Unreachable(server.clone());
    let url = server
        .join("/admin/revocations")
        .map_err(|_| unreachable())?;
    let mut response = client
        .post(url.as_str())
        .insert_header((HOST, public_url.authority()))
        .insert_header((AUTHORIZATION, format!("Bearer {}", secret.expose_secret())))
        .insert_header((CONTENT_TYPE, "application/json"))
        .send_body(whom.to_string())
        .await
        .map_err(|_| unreachable())?;
    let status = response.status();
    if status == StatusCode::NO_CONTENT {
        return Ok(());
    }
    let body: Value = response.json().await.unwrap_or_default();
    Err(RevokeError::Refused {
        status: status.as_u16(),
        reason: body["error_description"]
            .as_str()
            .unwrap_or("it says nothing more")
            .to_owned(),
    })
}
