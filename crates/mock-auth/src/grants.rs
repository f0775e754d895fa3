//! What codes and tokens stand for.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::{details::Details, pkce::Challenge, scopes::Scopes, settings::TokenFormat};

/// How long what the store keeps is valid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetimes {
    pub(crate) code: TimeDelta,
    pub(crate) access: TimeDelta,
    pub(crate) refresh: TimeDelta,
    /// How long a device may be waited for.
    pub(crate) device: TimeDelta,
    /// For how long a spent refresh token gives the same successor again.
    pub(crate) grace: TimeDelta,
}

impl Lifetimes {
    pub(crate) const PAGE: TimeDelta = TimeDelta::minutes(15);
    /// How long a client's document is used before it is fetched again.
    pub(crate) const DOCUMENT: TimeDelta = TimeDelta::minutes(5);
    pub(crate) const REGISTRATION: TimeDelta = TimeDelta::days(365);
    /// How long it is remembered which scopes a person unticked for a client.
    pub(crate) const CHOICE: TimeDelta = TimeDelta::days(365);
}

/// What a code stands for until it is redeemed.
#[derive(Clone, Debug)]
pub(crate) struct CodeGrant {
    pub(crate) client_id: String,
    /// As the authorization request named it, if it did: the token request has to repeat it.
    pub(crate) redirect_uri: Option<String>,
    pub(crate) challenge: Challenge,
    pub(crate) subject: String,
    pub(crate) scopes: Scopes,
    pub(crate) resources: Vec<String>,
    pub(crate) details: Details,
    pub(crate) refreshable: bool,
}

/// A code presented for redemption.
pub(crate) struct Redemption<'a> {
    pub(crate) code: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) redirect_uri: Option<&'a str>,
    pub(crate) verifier: &'a str,
    pub(crate) resources: Vec<&'a str>,
    /// Some of the `authorization_details` that were granted, or none to have all.
    pub(crate) details: Details,
    /// The thumbprint of the key that the client proved, if it did.
    pub(crate) key: Option<&'a str>,
}

/// A refresh token presented for a new pair.
pub(crate) struct Refreshment<'a> {
    pub(crate) token: &'a str,
    pub(crate) client_id: &'a str,
    /// Fewer scopes than before, if given.
    pub(crate) scopes: Option<Scopes>,
    pub(crate) resources: Vec<&'a str>,
    /// Some of the `authorization_details` that were granted, or none to have all.
    pub(crate) details: Details,
    /// The thumbprint of the key that the client proved, if it did.
    pub(crate) key: Option<&'a str>,
}

/// The code of a device presented for tokens (RFC 8628 §3.4).
pub(crate) struct DeviceRedemption<'a> {
    pub(crate) code: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) refreshable: bool,
    pub(crate) resources: Vec<&'a str>,
    /// The thumbprint of the key that the client proved, if it did.
    pub(crate) key: Option<&'a str>,
}

/// What an access token says: the user, the client, the scope and the audience.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Grant {
    pub(crate) subject: String,
    pub(crate) client_id: String,
    pub(crate) scope: String,
    pub(crate) audience: Vec<String>,
    #[serde(default, skip_serializing_if = "Details::is_empty")]
    pub(crate) details: Details,
    /// How its access tokens are written.
    pub(crate) format: TokenFormat,
    /// The thumbprint of the key that they are bound to (RFC 9449 §6).
    pub(crate) key: Option<String>,
}

/// Tokens that were just issued: the only place where they are in clear.
pub(crate) struct Issued {
    pub(crate) access_token: SecretString,
    pub(crate) refresh_token: Option<SecretString>,
    pub(crate) scope: String,
    pub(crate) details: Details,
    /// Whether the access token is bound to a key.
    pub(crate) is_bound: bool,
    pub(crate) lifetime: TimeDelta,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Access,
    Refresh,
    /// A refresh token that was used first at this time. Its use long after ends the whole family.
    SpentRefresh {
        at: DateTime<Utc>,
    },
}

/// A token as the store keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) grant: Arc<Grant>,
    pub(crate) issued: DateTime<Utc>,
    pub(crate) expires: DateTime<Utc>,
    /// The `jti` in a JWT. Any other token goes by its digest.
    pub(crate) jti: Option<String>,
    /// All tokens that descend from one consent. They are revoked together.
    pub(crate) family: u64,
}

impl Token {
    pub(crate) fn is_spent(&self) -> bool {
        matches!(self.kind, Kind::SpentRefresh { .. })
    }
}
