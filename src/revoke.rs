//! `epicme revoke`: sends a revocation to one process of the server.

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

/// Time limit for the response.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why it is unknown whether anything was revoked.
#[derive(Debug, Display, Error)]
pub enum RevokeError {
    /// The server cannot be reached, or does not answer.
    #[display("{_0} gives no answer")]
    Unreachable(#[error(not(source))] Url),
    /// The server refuses the request.
    #[display("the server answers {status}: {reason}")]
    Refused {
        /// Its status.
        status: u16,
        /// The server's error description.
        reason: String,
    },
}

/// Sends a revocation to the process that listens at `server`, with the public URL's host as `Host`. The
/// `target` is the JSON body of `/admin/revocations`. Needs an actix `System`.
///
/// # Errors
/// If the server does not confirm it.
pub async fn send(
    server: &Url,
    public_url: &PublicUrl,
    secret: &SecretString,
    target: &Value,
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
        .send_body(target.to_string())
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
