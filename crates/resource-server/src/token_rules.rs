//! What is accepted of the tokens of one authorization server beyond what the RFCs have. The default accepts nothing
//! beyond: each relaxation is for a server that is known to need it.

use std::collections::BTreeSet;

/// How the claims of an issuer's tokens are read, and which of its tokens are for this resource.
///
/// ```
/// use resource_server::{
///     issuer::Issuer,
///     jose::keys::Algorithm,
///     token_rules::{ClientClaim, JwtType, ScopeClaim},
/// };
///
/// let issuer = Issuer::verifying_jwts("https://login.example", [Algorithm::Rs256])
///     .jwt_types([JwtType::AccessToken, JwtType::Jwt])
///     .rules(|rules| {
///         rules.audiences.insert("api://files".to_owned());
///         rules.client_claims = vec![ClientClaim::ClientId, ClientClaim::AuthorizedParty];
///         rules.scope_claims = vec![ScopeClaim::Scope, ScopeClaim::Scp];
///         rules.scope_prefix = "api://files/".to_owned();
///     });
/// assert!(issuer.settings().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRules {
    /// Audiences that are accepted besides the identifier of the resource, compared as text (RFC 7519 §4.1.3). Every
    /// token that the issuer makes for one of them can be used here.
    pub audiences: BTreeSet<String>,
    /// Whether a token may have no `aud`.
    pub absent_audience: AbsentAudience,
    /// The claim that identifies the user.
    pub subject: SubjectClaim,
    /// The claims that can name the client, in the order in which they are looked at; the first one that is there
    /// counts.
    pub client_claims: Vec<ClientClaim>,
    /// The claims that can have the scopes, likewise.
    pub scope_claims: Vec<ScopeClaim>,
    /// What the issuer puts before the names of this resource's scopes: it is put before those that are advertised,
    /// and taken off those of a token. A scope without it counts as well.
    pub scope_prefix: String,
}

impl Default for TokenRules {
    fn default() -> Self {
        Self {
            audiences: BTreeSet::new(),
            absent_audience: AbsentAudience::Refused,
            subject: SubjectClaim::Subject,
            client_claims: vec![ClientClaim::ClientId],
            scope_claims: vec![ScopeClaim::Scope],
            scope_prefix: String::new(),
        }
    }
}

/// Whether a token may have no `aud` (RFC 7662 §2.2 makes it optional).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbsentAudience {
    /// No: nothing says that it is for this resource (RFC 8707 §2).
    Refused,
    /// Yes, if the introspection reply has `token_type`, because some servers introspect refresh tokens as active
    /// without both members.
    WithTokenType,
    /// Yes, also without `token_type`: for a server that does not introspect refresh tokens as active. A JWT needs no
    /// `aud` then either.
    Accepted,
}

/// The claim that identifies the user at the issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubjectClaim {
    /// `sub` (RFC 7662 §2.2, RFC 9068 §2.2), which is never given to another user.
    Subject,
    /// `username` in its place, for a server that sends no `sub`. Whoever is given the name of a user of before has
    /// that user's data.
    Username,
}

/// A claim that names the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientClaim {
    /// `client_id` (RFC 7662 §2.2, RFC 9068 §2.2).
    ClientId,
    /// `azp` (OpenID Connect Core §2).
    AuthorizedParty,
    /// `cid`.
    Cid,
    /// `appid`.
    AppId,
}

impl ClientClaim {
    /// Every claim.
    pub const ALL: [Self; 4] = [
        Self::ClientId,
        Self::AuthorizedParty,
        Self::Cid,
        Self::AppId,
    ];

    /// Its name in a token.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientId => "client_id",
            Self::AuthorizedParty => "azp",
            Self::Cid => "cid",
            Self::AppId => "appid",
        }
    }
}

/// A claim that has the scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeClaim {
    /// `scope` (RFC 7662 §2.2, RFC 9068 §2.2.3).
    Scope,
    /// `scp`.
    Scp,
}

impl ScopeClaim {
    /// Every claim.
    pub const ALL: [Self; 2] = [Self::Scope, Self::Scp];

    /// Its name in a token.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scope => "scope",
            Self::Scp => "scp",
        }
    }
}

/// The type that the header of a JWT has (`typ`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwtType {
    /// `at+jwt` (RFC 9068 §2.1): an access token, and nothing else.
    AccessToken,
    /// `JWT`, which ID tokens and other documents of the issuer have as well. What shows that it is one of them is
    /// refused.
    Jwt,
    /// No `typ`; as with `JWT`.
    Absent,
}

impl JwtType {
    /// Every type.
    pub const ALL: [Self; 3] = [Self::AccessToken, Self::Jwt, Self::Absent];

    /// The value of `typ`, or `none`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "at+jwt",
            Self::Jwt => "JWT",
            Self::Absent => "none",
        }
    }

    /// The value of `typ`.
    pub(crate) const fn media_type(self) -> Option<&'static str> {
        match self {
            Self::Absent => None,
            named => Some(named.as_str()),
        }
    }
}
