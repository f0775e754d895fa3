//! Compares the claims of a token with what is expected, one after another. The verdict is that of
//! [`validate_claims`](crate::validation::validate_claims); this says everything that leads to it.

use chrono::{SecondsFormat, TimeDelta};

use super::finding::{Findings, Setting};
use crate::{
    claim::{Audience, CLOCK_SKEW, NumericDate},
    clock::Timestamp,
    printable::printable,
    scope::Scopes,
    token_rules::{AbsentAudience, SubjectClaim},
    validation::{Claims, ExpectedClaims, bound_key, is_access_token_type, is_usable_name},
};

/// Where claims are from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The introspection reply (RFC 7662 §2.2).
    Reply,
    /// A JWT (RFC 9068 §2.2), which needs more claims.
    Jwt,
}

/// What a token is compared with.
pub(super) struct Comparison<'a> {
    pub(super) expected: &'a ExpectedClaims,
    pub(super) accepts_proofs: bool,
    pub(super) now: Timestamp,
    pub(super) origin: Origin,
}

impl Comparison<'_> {
    /// Compares every claim.
    pub(super) fn compare(&self, claims: &Claims, found: &mut Findings) {
        self.issuer(claims, found);
        self.audience(claims, found);
        self.times(claims, found);
        self.subject(claims, found);
        self.client(claims, found);
        self.scopes(claims, found);
        self.kind(claims, found);
    }

    fn issuer(&self, claims: &Claims, found: &mut Findings) {
        let expected = self.expected.issuer.as_str();
        match claims.iss.as_deref() {
            Some(iss) if iss == expected => found.ok(format!("iss is {expected}, as expected")),
            Some(iss) => {
                let hint = difference(iss, expected);
                found.wrong(
                    format!(
                        "iss is {}, and {expected} is expected{hint}",
                        printable(iss)
                    ),
                    Some(Setting::Issuer),
                    "set the issuer exactly as the authorization server writes it",
                );
            }
            None if self.origin == Origin::Jwt => found.wrong(
                "iss is missing, which a JWT access token must have (RFC 9068 §2.2)",
                None,
                "have the authorization server add it",
            ),
            None => found.ok("iss is absent, which a reply may be without"),
        }
    }

    fn audience(&self, claims: &Claims, found: &mut Findings) {
        let expected = &self.expected.resource;
        let audiences: &[String] = match &claims.aud {
            None if self.may_lack_audience() => {
                return found.ok("aud is absent, which is configured to be accepted");
            }
            None => {
                return found.wrong(
                    format!("aud is missing, and {} is expected", expected.as_str()),
                    Some(Setting::AudienceMayBeAbsent),
                    "have the authorization server add it (the client asks for it by the parameter resource of RFC 8707); \
                     only if it never sends an audience, accept tokens without one",
                );
            }
            Some(Audience::One(audience)) => std::slice::from_ref(audience),
            Some(Audience::Many(audiences)) => audiences,
        };
        if audiences
            .iter()
            .any(|audience| expected.is_named_by(audience))
        {
            return found.ok(format!("aud is {}, as expected", expected.as_str()));
        }
        let further = &self.expected.rules.audiences;
        if let Some(audience) = audiences
            .iter()
            .find(|audience| further.contains(*audience))
        {
            return found.ok(format!(
                "aud is {}, which is configured to be accepted",
                printable(audience)
            ));
        }
        let hint = audiences
            .iter()
            .map(|audience| difference(audience, expected.as_str()))
            .find(|hint| !hint.is_empty())
            .unwrap_or_default();
        let shown = audiences.iter().map(|audience| printable(audience));
        found.wrong(
            format!(
                "aud is {}, and {} is expected{hint}",
                Vec::from_iter(shown).join(" "),
                expected.as_str()
            ),
            Some(Setting::Resource),
            "the audience is this server's public URL with the path of its endpoint: correct that URL, or have the \
             authorization server issue tokens for it; only if it names this resource by another word, accept that \
             audience; a token for another resource must stay refused",
        );
    }

    fn times(&self, claims: &Claims, found: &mut Findings) {
        let now = self.now;
        match claims.exp.map(NumericDate::instant) {
            Some(end) if end > now => found.ok(format!(
                "exp is {}, in {}",
                shown(end),
                span(end - now)
            )),
            Some(end) => found.wrong(
                format!("exp was {}, {} ago by this machine's clock ({})", shown(end), span(now - end), shown(now)),
                None,
                if now - end < TimeDelta::minutes(5) {
                    "get a new token; if it is new, the clocks of this machine and of the authorization server differ: exp has no tolerance"
                } else {
                    "get a new token"
                },
            ),
            None if self.origin == Origin::Jwt => found.wrong(
                "exp is missing, which a JWT access token must have (RFC 9068 §2.2)",
                None,
                "have the authorization server add it",
            ),
            None => found.warning(
                "exp is absent: the token is cached as long as any",
                None,
                "have the authorization server add it to its replies",
            ),
        }
        for (name, instant) in [("nbf", claims.nbf), ("iat", claims.iat)] {
            match instant.map(NumericDate::instant) {
                Some(begin) if name == "iat" && self.origin == Origin::Reply && begin > now => {
                    found.warning(
                        format!(
                            "iat is {}, {} ahead of this machine's clock",
                            shown(begin),
                            span(begin - now)
                        ),
                        None,
                        "set both clocks by NTP",
                    );
                }
                Some(begin) if begin > now.checked_add_signed(CLOCK_SKEW).unwrap_or(now) => {
                    found.wrong(
                        format!(
                            "{name} is {}, {} ahead of this machine's clock ({}); {} s are tolerated",
                            shown(begin),
                            span(begin - now),
                            shown(now),
                            CLOCK_SKEW.num_seconds()
                        ),
                        None,
                        "wait, or set the clocks of both machines by NTP",
                    );
                }
                Some(begin) => found.ok(format!("{name} is {}", shown(begin))),
                None if name == "iat" && self.origin == Origin::Jwt => found.wrong(
                    "iat is missing, which a JWT access token must have (RFC 9068 §2.2)",
                    None,
                    "have the authorization server add it",
                ),
                None => {}
            }
        }
    }

    fn subject(&self, claims: &Claims, found: &mut Findings) {
        match claims.sub.as_deref() {
            Some(sub) if is_usable_name(sub) => found.ok(format!("sub is {}", printable(sub))),
            Some(_) => found.wrong(
                "sub is empty, has NUL in it, or has more than 1,024 bytes",
                None,
                "have the authorization server name the user",
            ),
            None if self.expected.rules.subject == SubjectClaim::Username => found.wrong(
                "username is missing, which is configured to identify the user",
                Some(Setting::Subject),
                "have the authorization server add it to its replies and tokens, or identify users by sub",
            ),
            None => found.wrong(
                "sub is missing, so that there is no user",
                Some(Setting::Subject),
                "have the authorization server add it to its replies and tokens; a token of a client of its own \
                 (client_credentials) has no user",
            ),
        }
    }

    fn client(&self, claims: &Claims, found: &mut Findings) {
        match claims.client_id.as_deref() {
            Some(client) if is_usable_name(client) => {
                found.ok(format!("client_id is {}", printable(client)));
            }
            _ if self.origin == Origin::Jwt => found.wrong(
                "client_id is missing, which a JWT access token must have (RFC 9068 §2.2)",
                Some(Setting::ClientClaims),
                "have the authorization server add it, or configure the claim that names the client (azp, cid, appid)",
            ),
            _ => found.warning(
                "client_id is absent or unusable: nothing can be limited or revoked by client",
                None,
                "have the authorization server add it to its replies",
            ),
        }
    }

    fn scopes(&self, claims: &Claims, found: &mut Findings) {
        let declared: &Scopes = &self.expected.scopes;
        let all = declared.list(declared.all());
        let Some(list) = claims.scope.as_deref() else {
            return found.wrong(
                format!("scope is missing, so that every call is refused (403); known are {all}"),
                Some(Setting::ScopeClaims),
                "have the authorization server grant scopes and name them in scope, or configure that they are in scp; roles and \
                 permissions are no scopes",
            );
        };
        let prefix = &self.expected.rules.scope_prefix;
        let known = declared.parse_with(list, prefix);
        let is_known = |name: &&str| !declared.parse_with(name, prefix).is_empty();
        let unknown: Vec<_> = list
            .split_ascii_whitespace()
            .filter(|name| !is_known(name))
            .map(printable)
            .collect();
        if known.is_empty() {
            found.wrong(
                format!("scope has no known scope, so that every call is refused (403); known are {all}, found {}",
                    if unknown.is_empty() { "none".to_owned() } else { unknown.join(" ") }),
                None,
                "have the authorization server define these scopes and grant them to the client",
            );
            return;
        }
        found.ok(format!("scope has {}", declared.list(known)));
        let lacking = declared.all().minus(known);
        if !lacking.is_empty() {
            found.ok(format!(
                "scope lacks {}: calls that need it are refused (403), and the client asks for more",
                declared.list(lacking)
            ));
        }
        if !unknown.is_empty() {
            found.ok(format!(
                "scope has others, which are ignored: {}",
                unknown.join(" ")
            ));
        }
    }

    /// The type of the token, and the key that it is bound to.
    fn kind(&self, claims: &Claims, found: &mut Findings) {
        let key = claims.cnf.as_ref().map(bound_key);
        let is_bound = matches!(key, Some(Some(_)));
        match &key {
            None => {}
            Some(Some(_)) if self.accepts_proofs => found.ok(
                "cnf binds it to a key (jkt): each request needs a DPoP proof of that key (RFC 9449)",
            ),
            Some(Some(_)) => found.wrong(
                "cnf binds it to a key (jkt), and such tokens are refused by configuration",
                Some(Setting::Proofs),
                "accept DPoP, or have the authorization server issue plain bearer tokens",
            ),
            Some(None) => found.wrong(
                "cnf binds it in a way that cannot be verified here, such as to a TLS certificate (x5t#S256)",
                None,
                "have the authorization server bind the client's tokens by DPoP (jkt alone), or not at all",
            ),
        }
        match claims.token_type.as_deref() {
            Some(kind)
                if is_access_token_type(kind)
                    || is_bound && kind.eq_ignore_ascii_case("DPoP") =>
            {
                found.ok(format!("token_type is {}", printable(kind)));
            }
            Some(kind) => found.wrong(
                format!("token_type is {}, and Bearer is expected", printable(kind)),
                None,
                "this is not an access token (a refresh token or an ID token is none), or it is bound and lacks cnf",
            ),
            None if claims.aud.is_none()
                && self.expected.rules.absent_audience == AbsentAudience::WithTokenType =>
            {
                found.wrong(
                    "neither aud nor token_type is there, so that it could be a refresh token",
                    Some(Setting::AudienceMayBeAbsent),
                    "have the authorization server send token_type; only if it calls refresh tokens inactive, accept tokens \
                     without both",
                );
            }
            None => {}
        }
    }

    fn may_lack_audience(&self) -> bool {
        match self.expected.rules.absent_audience {
            AbsentAudience::Refused => false,
            AbsentAudience::WithTokenType => self.origin == Origin::Reply,
            AbsentAudience::Accepted => true,
        }
    }
}

/// How two identifiers differ, if that is easily overlooked.
fn difference(found: &str, expected: &str) -> &'static str {
    let bare = |text: &str| text.trim_end_matches('/').to_ascii_lowercase();
    let without_scheme = |text: &str| {
        let bare = bare(text);
        bare.split_once("://")
            .map_or(bare.clone(), |(_, rest)| rest.to_owned())
    };
    let is_start = |one: &str, other: &str| one.starts_with(&format!("{other}/"));
    if found.trim_end_matches('/') == expected.trim_end_matches('/') {
        " (they differ by the slash at the end, which counts)"
    } else if bare(found) == bare(expected) {
        " (they differ by capital letters, which count)"
    } else if without_scheme(found) == without_scheme(expected) {
        " (they differ by http and https)"
    } else if is_start(&bare(expected), &bare(found)) || is_start(&bare(found), &bare(expected)) {
        " (they differ by the end of the path)"
    } else {
        ""
    }
}

fn shown(instant: Timestamp) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A length of time in its two largest units.
fn span(length: TimeDelta) -> String {
    let seconds = length.num_seconds();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}
