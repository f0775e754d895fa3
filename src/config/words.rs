//! The words that values are written in.

use std::collections::BTreeSet;

use super::{parts::JwtMode, sections::ProofConfig};
use mcp_server::audit::AddressDetail;
use resource_server::{
    issuer::{AssertionAudience, ClientAuthenticationMethod},
    token_rules::{AbsentAudience, SubjectClaim},
};

/// A value by its word.
type Words<T> = &'static [(&'static str, T)];

pub(super) const ABSENT_AUDIENCES: Words<AbsentAudience> = &[
    ("off", AbsentAudience::Refused),
    ("on", AbsentAudience::WithTokenType),
    ("untyped", AbsentAudience::Accepted),
];

pub(super) const SUBJECTS: Words<SubjectClaim> = &[
    ("sub", SubjectClaim::Subject),
    ("username", SubjectClaim::Username),
];

pub(super) const ASSERTION_AUDIENCES: Words<AssertionAudience> = &[
    ("issuer", AssertionAudience::Issuer),
    ("token_endpoint", AssertionAudience::TokenEndpoint),
];

pub(super) const METHODS: Words<ClientAuthenticationMethod> = &[
    (
        "client_secret_basic",
        ClientAuthenticationMethod::SecretBasic,
    ),
    ("client_secret_post", ClientAuthenticationMethod::SecretPost),
    ("private_key_jwt", ClientAuthenticationMethod::PrivateKeyJwt),
    ("bearer", ClientAuthenticationMethod::Bearer),
];

pub(super) const JWT_MODES: Words<JwtMode> = &[
    ("off", JwtMode::Off),
    ("on", JwtMode::On),
    ("introspected", JwtMode::Introspected),
];

pub(super) const PROOFS: Words<ProofConfig> = &[
    ("off", ProofConfig::Off),
    ("on", ProofConfig::On),
    ("nonce", ProofConfig::Nonce),
];

pub(super) const ADDRESSES: Words<AddressDetail> = &[
    ("full", AddressDetail::Full),
    ("truncated", AddressDetail::Truncated),
    ("hashed", AddressDetail::Hashed),
];

pub(super) fn audiences(audiences: &BTreeSet<String>) -> Vec<String> {
    audiences.iter().cloned().collect()
}

/// The names of these things.
pub(super) fn names<T: Copy>(all: &[T], name_of: impl Fn(T) -> &'static str) -> Vec<String> {
    all.iter().map(|one| name_of(*one).to_owned()).collect()
}
