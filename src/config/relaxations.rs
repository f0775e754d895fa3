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
            "; also without token_type, so that a refresh token is one too if that issuer calls it active",
        ),
    };
    if let Some(untyped) = untyped {
        warnings.push(format!(
            "tokens of {url} are accepted without an audience (EPICME_AUDIENCE_OPTIONAL), so every access token of that issuer can be used here{untyped}"
        ));
    }
    if rules.subject == SubjectClaim::Username {
        warnings.push(format!(
            "users of {url} are identified by username (EPICME_SUBJECT): whoever is given the name of a former user there gets that user's journal, and whoever is renamed loses theirs"
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
            "issuers have different scope prefixes (scopePrefix): a client without a token is asked for scopes by the names that {} has, whichever issuer it chooses",
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
            "tokens of {url} for {audiences} are accepted (EPICME_AUDIENCES), because it does not put the URL of this server into aud: every service that gets such a token can use it here; what has the signs of an ID token is refused"
        ));
    }
    let types = issuer.jwt_types.iter().copied();
    let types: Vec<_> = types
        .filter(|kind| *kind != JwtType::AccessToken)
        .map(JwtType::as_str)
        .collect();
    if !matches!(issuer.verification, Verification::Introspection(_)) && !types.is_empty() {
        notes.push(format!(
            "JWTs of {url} with the type {} are accepted (EPICME_JWT_TYPES), which does not tell access tokens from ID tokens (RFC 9068 §2.1): so what has nonce, at_hash, c_hash or events, another token_use than access, another typ than Bearer, or no scope is refused",
            types.join(" or ")
        ));
    }
    notes.extend(other_claims(issuer, rules));
    if let Some(client) = issuer.verification.client()
        && client.method == ClientAuthenticationMethod::PrivateKeyJwt
        && client.assertion_audience == AssertionAudience::TokenEndpoint
    {
        notes.push(format!(
            "client assertions for {url} are for its token endpoint (EPICME_INTROSPECTION_ASSERTION_AUDIENCE): a server whose metadata names the token endpoint of another could use them there"
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
            "the client of a token of {url} is taken from {} (EPICME_CLIENT_CLAIMS), the first that is there: limits, revocations and activity by client are by that name",
            Vec::from_iter(claims).join(", ")
        ));
    }
    if rules.scope_claims != strict.scope_claims {
        let claims = rules.scope_claims.iter().map(|claim| claim.as_str());
        notes.push(format!(
            "the scopes of a token of {url} are taken from {} (EPICME_SCOPE_CLAIMS), the first that is there",
            Vec::from_iter(claims).join(", ")
        ));
    }
    if !rules.scope_prefix.is_empty() {
        notes.push(format!(
            "scopes are named with {} before them at {url} (EPICME_SCOPE_PREFIX): clients ask for {}user:read and so on; in a token both forms count",
            rules.scope_prefix, rules.scope_prefix
        ));
    }
    notes
}
