//! Fixtures of unit tests.

use resource_server::{
    principal::{Credential, Principal, UserId},
    scope::{ScopeSet, Scopes},
};

/// The scopes of a file server.
pub(crate) fn scopes() -> Scopes {
    let names = ["files:read", "files:write", "people:read"];
    Scopes::declare(names.map(|name| (name, ""))).expect("they are scope tokens")
}

/// A user with all scopes.
pub(crate) fn principal(subject: &str) -> Principal {
    Principal {
        issuer: "i".to_owned(),
        subject: subject.to_owned(),
        fingerprint: resource_server::fingerprint::fingerprint(subject),
        client: None,
        username: None,
        scopes: scopes().all(),
        withheld: ScopeSet::EMPTY,
        expires_at: None,
        issued_at: None,
        bound_key: None,
        credential: Credential([0; 32]),
        user: UserId::derive("i", subject),
    }
}
