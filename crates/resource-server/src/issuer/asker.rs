//! Who asks about a token: what an answer of the authorization server may be held against.

use crate::{
    limits::Source,
    principal::{Credential, UserId},
};

/// Who asks about a token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker {
    /// The token.
    pub(crate) credential: Credential,
    /// The source of the request; `None` if this server asks again about a token of a stream.
    pub(crate) source: Option<Source>,
    /// The user, if the token was active when its issuer was asked last.
    pub(crate) user: Option<UserId>,
}

impl Asker {
    /// The source, if nothing is known of the token: anybody can send such a token.
    pub(crate) fn stranger(&self) -> Option<Source> {
        self.source.filter(|_| self.user.is_none())
    }

    /// Whether the token was active before.
    pub(crate) fn is_known(&self) -> bool {
        self.user.is_some() || self.source.is_none()
    }
}
