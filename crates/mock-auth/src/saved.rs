//! What outlives a restart, as JSON: it is sealed before it is written, for the keys in it are secrets. Pure.

use serde::{Deserialize, Serialize};

use crate::{client::GrantType, grants::Grant, signing::SavedKeys};

/// All of it. Times are seconds of the Unix epoch, digests base64url.
#[derive(Deserialize, Serialize)]
pub(crate) struct Saved {
    /// What was granted under one issuer is worth nothing under another.
    pub(crate) issuer: String,
    pub(crate) keys: SavedKeys,
    /// The key from which refresh tokens' successors are computed.
    pub(crate) successors: String,
    pub(crate) clients: Vec<SavedClient>,
    pub(crate) families: Vec<SavedFamily>,
    pub(crate) tokens: Vec<SavedToken>,
    pub(crate) choices: Vec<SavedChoice>,
}

/// A registered client.
#[derive(Deserialize, Serialize)]
pub(crate) struct SavedClient {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) redirect_uris: Vec<String>,
    pub(crate) grant_types: Vec<GrantType>,
    /// The digest of its secret.
    pub(crate) secret: Option<String>,
    pub(crate) expires: i64,
}

/// What a person granted to a client.
#[derive(Deserialize, Serialize)]
pub(crate) struct SavedFamily {
    pub(crate) id: u64,
    pub(crate) grant: Grant,
    pub(crate) expires: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SavedKind {
    Access,
    Refresh,
    Spent,
}

/// A token of a family, by its digest.
#[derive(Deserialize, Serialize)]
pub(crate) struct SavedToken {
    pub(crate) digest: String,
    pub(crate) kind: SavedKind,
    pub(crate) family: u64,
    /// If it differs from the family's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) grant: Option<Grant>,
    pub(crate) issued: i64,
    pub(crate) expires: i64,
    /// When a refresh token was used first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) spent: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) jti: Option<String>,
}

/// The scopes that a person unticked for a client.
#[derive(Deserialize, Serialize)]
pub(crate) struct SavedChoice {
    pub(crate) subject: String,
    pub(crate) client_id: String,
    pub(crate) unticked: Vec<String>,
    pub(crate) expires: i64,
}
