//! Intermediate structs: a group of keys fills one, its values are checked together, and a section of the
//! configuration is built from it.

use std::path::PathBuf;

use secrecy::SecretString;

use crate::storage::PlainDatabaseHosts;
use resource_server::{
    address_range::AddressRange,
    issuer::{AssertionAudience, ClientAuthenticationMethod},
    jose::keys::Algorithm,
    token_rules::JwtType,
    url::PlainHttpHosts,
};

/// The files of the listener's certificate and key.
pub(super) struct TlsFiles {
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

/// Machines that the database may be on without TLS.
pub(super) struct DatabaseHosts {
    pub(super) plain: Option<PlainDatabaseHosts>,
}

/// The database's URL, the only key that `epicme migrate` needs.
pub(super) struct DatabaseUrl {
    pub(super) url: SecretString,
}

/// Settings of all issuers.
pub(super) struct Issuers {
    pub(super) file: Option<Option<PathBuf>>,
    pub(super) plain_http_hosts: Option<PlainHttpHosts>,
    pub(super) private_addresses: Option<Vec<AddressRange>>,
}

/// How an issuer's tokens are verified, and the client credentials for introspection; see `issuers.rs`.
pub(super) struct Client {
    pub(super) method: Option<ClientAuthenticationMethod>,
    pub(super) client_id: Option<Option<String>>,
    pub(super) key_id: Option<Option<String>>,
    pub(super) secret: Option<Option<SecretString>>,
    pub(super) signed: Option<bool>,
    pub(super) jwt: Option<JwtMode>,
    pub(super) algorithms: Option<Vec<Algorithm>>,
    pub(super) types: Option<Vec<JwtType>>,
    pub(super) assertion_audience: Option<AssertionAudience>,
}

/// The values of `EPICME_JWT`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum JwtMode {
    Off,
    On,
    Introspected,
}

/// Whether legacy revisions are served.
pub(super) struct Legacy {
    pub(super) enabled: bool,
}
