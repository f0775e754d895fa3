//! What is accepted of an issuer beyond the RFCs, each with what it means: for `check-config`, and as warnings at start
//! where it decides who a user is, or which tokens are for this server.

use super::sections::{Config, IssuerConfig, Verification};
use resource_server::{
    issuer::{AssertionAudience, ClientAuthenticationMethod},
    token_rules::{AbsentAudience, JwtType, SubjectClaim, TokenRules},
};

impl Config {
    /// A sentence for each setting of an issuer that accepts what the RFCs do not have: what it accepts, and what that
    /// means.
    #[must_use]
    pub fn relaxations(&self) -> Vec<String> {
        let mut found = Vec::new();
        for issuer in &self.issuers {
            found.extend(warnings(issuer));
            found.extend(notes(issuer));
        }
        found.extend(different_prefixes(&self.issuers));
        found
    }
}

/// Those that an operator is told of at every start.
pub(super) fn warnings(issuer: &IssuerConfig) -> Vec<String> {
    let mut warnings = Vec::new();
    let (url, rules) = (&issuer.url, &issuer.rules);
    let untyped = match rules.absent_audience {
        AbsentAudience::Refused => None,
        AbsentAudience::WithTokenType => Some(""),
        AbsentAudience::Accepted => Some(
            "; they are accepted also without token_type, so a refresh token can be used too if that issuer calls it active",
        ),
    };
    if let Some(untyped) = untyped {
        warnings.push(format!(
            "tokens of {url} are accepted without an audience (EPICME_AUDIENCE_OPTIONAL), so every access token of that issuer can be used here{untyped}"
        ));
    }
    if rules.subject == SubjectClaim::Username {
        warnings.push(format!(
            "users of {url} are identified by username (EPICME_SUBJECT): a new user with the name of a former user gets that user's journal, and a renamed user loses theirs"
        ));
    }
    warnings
}

/// Challenges have the names of one issuer, unless a token says whose it is.
pub(super) fn different_prefixes(issuers: &[IssuerConfig]) -> Option<String> {
    let prefix = |issuer: &IssuerConfig| issuer.rules.scope_prefix.clone();
    let first = issuers.first()?;
    let differ = issuers.iter().any(|issuer| prefix(issuer) != prefix(first));
    differ.then(|| {
        format!(
            "issuers have different scope prefixes (scopePrefix): a client without a token is told the scope names of {}, whichever issuer it chooses",
            first.url
        )
    })
}

fn notes(issuer: &IssuerConfig) -> Vec<String> {
    let mut notes = Vec::new();
    let IssuerConfig { url, rules, .. } = issuer;
    if !rules.audiences.is_empty() {
        let audiences = Vec::from_iter(rules.audiences.iter().map(String::as_str)).join(" ");
        notes.push(format!(
            "tokens of {url} for {audiences} are accepted (EPICME_AUDIENCES), because it does not put the URL of this server into aud: every service that gets such a token can use it here; tokens that look like ID tokens are refused"
        ));
    }
    let types = issuer.jwt_types.iter().copied();
    let types: Vec<_> = types
        .filter(|kind| *kind != JwtType::AccessToken)
        .map(JwtType::as_str)
        .collect();
    if !matches!(issuer.verification, Verification::Introspection(_)) && !types.is_empty() {
        notes.push(format!(
            "JWTs of {url} with the type {} are accepted (EPICME_JWT_TYPES), a type that ID tokens can have too (RFC 9068 §2.1): tokens with nonce, at_hash, c_hash or events, with a token_use other than access or a typ other than Bearer, or without scope are refused",
            types.join(" or ")
        ));
    }
    notes.extend(other_claims(issuer, rules));
    if let Some(client) = issuer.verification.client()
        && client.method == ClientAuthenticationMethod::PrivateKeyJwt
        && client.assertion_audience == AssertionAudience::TokenEndpoint
    {
        notes.push(format!(
            "client assertions for {url} have its token endpoint as audience (EPICME_INTROSPECTION_ASSERTION_AUDIENCE): a server whose metadata names another server's token endpoint could use them there"
        ));
    }
    notes
}

fn other_claims(issuer: &IssuerConfig, rules: &TokenRules) -> Vec<String> {
    let (url, strict) = (&issuer.url, TokenRules::default());
    let mut notes = Vec::new();
    if rules.client_claims != strict.client_claims {
        let claims = rules.client_claims.iter().map(|claim| claim.as_str());
        notes.push(format!(
            "the client of a token of {url} is the first claim that it has of {} (EPICME_CLIENT_CLAIMS): limits, revocations and activity by client use that name",
            Vec::from_iter(claims).join(", ")
        ));
    }
    if rules.scope_claims != strict.scope_claims {
        let claims = rules.scope_claims.iter().map(|claim| claim.as_str());
        notes.push(format!(
            "the scopes of a token of {url} are in the first claim that it has of {} (EPICME_SCOPE_CLAIMS)",
            Vec::from_iter(claims).join(", ")
        ));
    }
    if !rules.scope_prefix.is_empty() {
        notes.push(format!(
            "scope names of {url} have the prefix {} (EPICME_SCOPE_PREFIX): clients request {}user:read and so on; tokens may have either form",
            rules.scope_prefix, rules.scope_prefix
        ));
    }
    notes
}
