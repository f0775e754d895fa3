//! What the tests of several modules need.

use resource_server::{
    principal::{Credential, Principal, UserId},
    scope::{ScopeSet, Scopes},
};

/// The scopes of a server that keeps files.
pub(crate) fn scopes() -> Scopes {
    let names = ["files:read", "files:write", "people:read"];
    Scopes::declare(names.map(|name| (name, ""))).expect("they are scope tokens")
}

/// Somebody who may do everything.
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
