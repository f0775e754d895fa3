//! The claims of a token, from an introspection reply (RFC 7662 §2.2) or from the token itself (RFC 9068 §2.2), and how
//! those of another form are read by the rules for an issuer.

use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

use crate::{
    claim::{Audience, NumericDate, scope_list, scope_list_or_nothing, text_or_nothing},
    token_rules::{ClientClaim, ScopeClaim, SubjectClaim, TokenRules},
};

/// The longest `sub`, `client_id` and `username` that are accepted, in bytes.
const LONGEST_NAME: usize = 1_024;

/// An introspection reply (RFC 7662 §2.2). Members that are not listed are ignored.
#[derive(Debug)]
pub struct IntrospectionReply {
    /// Whether the token is currently active. The only REQUIRED member.
    pub active: bool,
    /// The members of an active token.
    pub claims: Claims,
    /// Whether the authorization server answered that it does not introspect tokens of this kind; it then
    /// says nothing about the token (RFC 7009 §2.2.1 has the error code).
    pub(crate) is_unsupported: bool,
}

/// The optional members of an introspection reply, and the claims of a JWT access token, which have the
/// same names.
#[derive(Debug, Default, Deserialize)]
pub struct Claims {
    #[serde(default, deserialize_with = "scope_list")]
    pub(crate) scope: Option<String>,
    pub(crate) client_id: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) token_type: Option<String>,
    pub(crate) exp: Option<NumericDate>,
    pub(crate) nbf: Option<NumericDate>,
    pub(crate) iat: Option<NumericDate>,
    pub(crate) sub: Option<String>,
    pub(crate) aud: Option<Audience>,
    pub(crate) iss: Option<String>,
    pub(crate) cnf: Option<Value>,
    // Claims of no RFC about access tokens. They count where the rules for an issuer say so, and as signs of another use;
    // one of another JSON type is not there.
    #[serde(default, deserialize_with = "text_or_nothing")]
    azp: Option<String>,
    #[serde(default, deserialize_with = "text_or_nothing")]
    cid: Option<String>,
    #[serde(default, deserialize_with = "text_or_nothing")]
    appid: Option<String>,
    #[serde(default, deserialize_with = "scope_list_or_nothing")]
    scp: Option<String>,
    #[serde(default, deserialize_with = "text_or_nothing")]
    preferred_username: Option<String>,
    #[serde(default, deserialize_with = "text_or_nothing")]
    name: Option<String>,
    #[serde(default, deserialize_with = "text_or_nothing")]
    email: Option<String>,
    nonce: Option<IgnoredAny>,
    at_hash: Option<IgnoredAny>,
    c_hash: Option<IgnoredAny>,
    events: Option<IgnoredAny>,
    token_use: Option<Value>,
    typ: Option<Value>,
}

/// Reads the body of an introspection reply.
///
/// The other members of an inactive token are ignored (RFC 7662 §2.2).
///
/// # Errors
/// The body is not a JSON object, `active` is not a boolean, or another member of an active token has the
/// wrong type: a fault of the authorization server, not of the token.
pub fn read_reply(body: &[u8]) -> Result<IntrospectionReply, serde_json::Error> {
    #[derive(Deserialize)]
    struct Active {
        active: bool,
    }
    // serde would also deserialize the struct from a JSON array.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(serde::de::Error::custom("not an object"));
    }
    let Active { active } = serde_json::from_slice(body)?;
    let claims = if active {
        serde_json::from_slice(body)?
    } else {
        Claims::default()
    };
    Ok(IntrospectionReply {
        active,
        claims,
        is_unsupported: false,
    })
}

impl IntrospectionReply {
    /// The same, with its claims read by these rules.
    #[must_use]
    pub fn under(self, rules: &TokenRules) -> Self {
        Self {
            claims: self.claims.under(rules),
            ..self
        }
    }
}

impl Claims {
    /// The claims in the form of RFC 9068, by the rules for their issuer: `client_id`, `scope` and `sub` are those that
    /// the rules say, and `username` is the name for people: `username`, else `preferred_username`, `name`, `email`
    /// (OpenID Connect Core §5.1). To be called once.
    #[must_use]
    pub(crate) fn under(mut self, rules: &TokenRules) -> Self {
        let client = rules.client_claims.iter().find_map(|claim| {
            let client = match claim {
                ClientClaim::ClientId => &mut self.client_id,
                ClientClaim::AuthorizedParty => &mut self.azp,
                ClientClaim::Cid => &mut self.cid,
                ClientClaim::AppId => &mut self.appid,
            };
            client.take()
        });
        let scope = rules.scope_claims.iter().find_map(|claim| {
            let scope = match claim {
                ScopeClaim::Scope => &mut self.scope,
                ScopeClaim::Scp => &mut self.scp,
            };
            scope.take()
        });
        let subject = match rules.subject {
            SubjectClaim::Subject => self.sub.take(),
            SubjectClaim::Username => self.username.clone(),
        };
        let names = [
            self.username.take(),
            self.preferred_username.take(),
            self.name.take(),
            self.email.take(),
        ];
        let is_shown = |name: &String| is_usable_name(name) && !name.trim().is_empty();
        Self {
            client_id: client,
            scope,
            sub: subject,
            username: names.into_iter().flatten().find(is_shown),
            ..self
        }
    }

    /// What shows that the document is not an access token, or not one for calls: an ID token, a refresh token, a
    /// logout token. Checked where neither `typ` nor the audience says what it is.
    pub(crate) fn other_use(&self) -> Option<&'static str> {
        let is_one_of = |claim: &Option<Value>, known: &[&str]| {
            claim.as_ref().is_none_or(|claim| {
                let text = claim.as_str().unwrap_or_default();
                known.iter().any(|known| text.eq_ignore_ascii_case(known))
            })
        };
        let has_scope = self
            .scope
            .as_deref()
            .is_some_and(|scope| !scope.trim().is_empty());
        [
            ("it has nonce", self.nonce.is_some()),
            ("it has at_hash", self.at_hash.is_some()),
            ("it has c_hash", self.c_hash.is_some()),
            ("it has events", self.events.is_some()),
            (
                "its token_use is not access",
                !is_one_of(&self.token_use, &["access", "access_token"]),
            ),
            (
                "its typ is not Bearer",
                !is_one_of(&self.typ, &["Bearer", "DPoP"]),
            ),
            ("it has no scope", !has_scope),
        ]
        .into_iter()
        .find_map(|(sign, is_there)| is_there.then_some(sign))
    }
}

/// Whether a `sub`, a `client_id` or a `username` is accepted: not empty, of 1,024 bytes at most, and without NUL,
/// which many databases cannot hold.
#[must_use]
pub fn is_usable_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= LONGEST_NAME && !name.contains('\0')
}

#[cfg(test)]
#[path = "claims_tests.rs"]
mod tests;
