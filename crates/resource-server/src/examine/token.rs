//! One token, from its form to the verdict.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use super::{
    Examiner,
    claims::{Comparison, Origin},
    finding::{Finding, Findings, Setting},
};
use crate::{
    bearer::{BearerToken, LONGEST_TOKEN, Presentation},
    issuer::{
        client::IssuerClient,
        selector::{IssuerSelector, IssuerTokens},
    },
    jose::{
        jws::{JwsFault, Unverified, unverified_claims},
        jwt::{self, AccessTokens},
        keys::{KeySet, NoKey},
    },
    printable::printable,
    token_rules::JwtType,
    validation::{Claims, IntrospectionReply, Refusal, join_claims, validate_claims},
};

/// What the check of a token has come to.
type Outcome = Result<IntrospectionReply, String>;

impl Examiner {
    /// Walks through a token: its form, its issuer, its signature, what its issuer says about it, and each claim.
    /// The last finding is the verdict. The token is sent to its own issuer, if it is introspected.
    pub async fn token(&self, text: &SecretString) -> Vec<Finding> {
        let mut found = Findings::default();
        if let Some(token) = read(text, &mut found) {
            self.walk(&token, &mut found).await;
        }
        found.0
    }

    async fn walk(&self, token: &BearerToken, found: &mut Findings) {
        let members = unverified_claims(token.expose(), LONGEST_TOKEN);
        form(token, members.as_ref(), found);
        let Some(client) = self.select(token, members.as_ref(), found) else {
            // Nobody is asked about it, but what it says itself may explain it.
            if let ([client], Some(members)) = (&self.issuers[..], members) {
                self.compare_unverified(client, members, found);
            }
            return found.wrong(
                "the server refuses it: token of an unknown issuer",
                None,
                "see above",
            );
        };
        let settings = &client.state().settings;
        let is_jwt = jwt::peek_issuer(token).is_some();
        let verified = match &settings.jwt {
            Some(_) if is_jwt => Some(self.verify(client, token, found).await),
            _ => None,
        };
        let is_introspected = verified.is_none() || client.introspects_jwts();
        let replied = match (&settings.client, is_introspected) {
            (Some(_), true) => Some(self.introspect(client, token, found).await),
            (None, true) => {
                found.wrong(
                    "it is not a JWT that names its issuer, and there is no client to introspect it with",
                    Some(Setting::Credentials),
                    "configure a client for introspection, or have the authorization server issue JWT access tokens (RFC 9068)",
                );
                return;
            }
            (_, false) => None,
        };
        let has_claims = matches!(replied, Some(Ok(ref reply)) if reply.active);
        if let (Some(members), true) = (members, verified.is_some() || !has_claims) {
            self.compare_unverified(client, members, found);
        }
        self.verdict(client, token, verified, replied, found);
    }

    fn select(
        &self,
        token: &BearerToken,
        members: Option<&Map<String, Value>>,
        found: &mut Findings,
    ) -> Option<&IssuerClient> {
        let settings = self.issuers.iter().map(|client| &client.state().settings);
        let tokens: Vec<_> = settings
            .map(|settings| IssuerTokens {
                issuer: settings.url.clone(),
                prefixes: settings.token_prefixes.clone(),
            })
            .collect();
        let claimed = || jwt::peek_issuer(token);
        if let Some(index) = IssuerSelector::new(&tokens).select(token, claimed) {
            found.ok(format!("it belongs to the issuer {}", tokens[index].issuer));
            return self.issuers.get(index).map(|client| &**client);
        }
        let names = tokens.iter().map(|tokens| tokens.issuer.as_str());
        let names = Vec::from_iter(names).join(" ");
        match members.and_then(|members| members.get("iss")).and_then(Value::as_str) {
            Some(iss) => found.wrong(
                format!("its iss is {}, and {names} is configured", printable(iss)),
                Some(Setting::Issuer),
                "set the issuer exactly as the authorization server writes it, to the last slash",
            ),
            None => found.wrong(
                format!("nothing says whose token it is: it names no issuer, and begins with no configured prefix ({names})"),
                Some(Setting::TokenPrefixes),
                "set what the issuer's tokens begin with",
            ),
        }
        None
    }

    /// Verifies the signature of a JWT, and says of every part of its head whether it is right.
    async fn verify(
        &self,
        client: &IssuerClient,
        token: &BearerToken,
        found: &mut Findings,
    ) -> Outcome {
        let keys = match client.keys().await {
            Ok(keys) => keys,
            Err(error) => {
                found.wrong(
                    format!("its signature cannot be verified: {error}"),
                    Some(Setting::KeysUrl),
                    "see what is said about the issuer",
                );
                return Err(error.to_string());
            }
        };
        let settings = client.state().settings.jwt.as_ref();
        match Unverified::read(token.expose(), LONGEST_TOKEN) {
            Ok(unverified) => {
                let algorithm = unverified.header.algorithm;
                let is_accepted =
                    settings.is_some_and(|settings| settings.algorithms.contains(&algorithm));
                if is_accepted {
                    found.ok(format!("alg is {}, which is accepted", algorithm.as_str()));
                } else {
                    found.wrong(
                        format!("alg is {}, which is not accepted", algorithm.as_str()),
                        Some(Setting::Algorithms),
                        "accept it, or have the authorization server sign with another",
                    );
                }
                let types = settings.map_or(&[][..], |settings| &settings.types);
                signature(&unverified, &keys, types, found);
                if !is_accepted {
                    return Err(JwsFault::Algorithm.to_string());
                }
            }
            Err(fault) => found.wrong(
                format!("it is not a JWT that can be verified: {fault}"),
                Some(Setting::Jwt),
                "have the authorization server issue JWTs as RFC 9068 has them, or introspect its tokens",
            ),
        }
        let state = client.state();
        let accepted = AccessTokens {
            types: settings.map_or(&[], |settings| &settings.types),
            rules: &state.settings.rules,
        };
        jwt::access_token(token, &keys, accepted, self.clock.now())
            .map_err(|fault| fault.refusal().to_string())
    }

    async fn introspect(
        &self,
        client: &IssuerClient,
        token: &BearerToken,
        found: &mut Findings,
    ) -> Outcome {
        let reply = match client.introspect_within_limit(token.expose()).await {
            Ok(reply) => reply,
            Err(failed) => {
                found.wrong(
                    format!("it could not be introspected: {}", failed.error),
                    Some(Setting::IntrospectionUrl),
                    "see what is said about the issuer",
                );
                return Err(failed.error.to_string());
            }
        };
        if reply.is_unsupported {
            found.wrong(
                "its issuer does not introspect tokens of this kind (unsupported_token_type)",
                Some(Setting::Jwt),
                "verify JWTs with the issuer's keys alone",
            );
        } else if reply.active {
            found.ok("its issuer says that it is active");
            self.comparison(client, Origin::Reply)
                .compare(&reply.claims, found);
        } else {
            found.wrong(
                "its issuer says that it is not active",
                None,
                "it has expired, was revoked, is of another issuer or environment, or this server's client may not introspect it",
            );
        }
        Ok(reply)
    }

    /// Compares what a JWT says of itself, whoever signed it.
    fn compare_unverified(
        &self,
        client: &IssuerClient,
        members: Map<String, Value>,
        found: &mut Findings,
    ) {
        found.ok("what the token itself says:");
        match serde_json::from_value::<Claims>(Value::Object(members)) {
            Ok(claims) => {
                let claims = claims.under(&client.state().settings.rules);
                self.comparison(client, Origin::Jwt).compare(&claims, found);
            }
            Err(_) => found.wrong(
                "a claim has a JSON type that RFC 7519 and RFC 9068 do not give it",
                None,
                "scope, sub, client_id and iss are strings, exp, nbf and iat numbers, aud a string or an array of strings",
            ),
        }
    }

    fn comparison<'a>(&self, client: &'a IssuerClient, origin: Origin) -> Comparison<'a> {
        Comparison {
            expected: &client.state().expectation,
            accepts_proofs: self.accepts_proofs,
            now: self.clock.now(),
            origin,
        }
    }

    /// What the server would say, by the code that checks requests.
    fn verdict(
        &self,
        client: &IssuerClient,
        token: &BearerToken,
        verified: Option<Outcome>,
        replied: Option<Outcome>,
        found: &mut Findings,
    ) {
        let state = client.state();
        let expected = &state.expectation;
        let refused = |refusal: Refusal| refusal.to_string();
        let reply = match (verified, replied) {
            (Some(Err(why)), _) | (_, Some(Err(why))) => Err(why),
            (Some(Ok(_)), Some(Ok(reply))) if reply.is_unsupported => {
                Err("its issuer does not introspect it".to_owned())
            }
            (Some(Ok(jwt)), Some(Ok(reply))) => {
                join_claims(jwt.claims, reply, expected).map_err(refused)
            }
            (Some(Ok(reply)), None) | (None, Some(Ok(reply))) => Ok(reply),
            (None, None) => Err(refused(Refusal::UnknownIssuer)),
        };
        let credential = state.token_cache.credential(token);
        let valid = reply.and_then(|reply| {
            validate_claims(reply, expected, credential, self.clock.now()).map_err(refused)
        });
        match valid {
            Ok(valid) if valid.principal.bound_key.is_some() && !self.accepts_proofs => {
                found.wrong(
                    format!("the server refuses it: {}", Refusal::SenderConstrained),
                    Some(Setting::Proofs),
                    "see above",
                );
            }
            Ok(valid) => {
                let scopes = valid.principal.scopes;
                found.ok(format!(
                    "the server accepts it, for the scopes {}",
                    if scopes.is_empty() {
                        "(none)".to_owned()
                    } else {
                        self.scopes.list(scopes)
                    }
                ));
            }
            Err(why) => {
                let advice = if found.is_wrong() {
                    "see above"
                } else {
                    "the sentence names the rule that it breaks"
                };
                found.wrong(format!("the server refuses it: {why}"), None, advice);
            }
        }
    }
}

/// Reads the text of a token file, which may have more in it than a token.
fn read(text: &SecretString, found: &mut Findings) -> Option<BearerToken> {
    let text = text.expose_secret().trim();
    let bare = ["Authorization:", "Bearer ", "DPoP "]
        .iter()
        .fold(text, |text, prefix| {
            let begins = text
                .get(..prefix.len())
                .is_some_and(|begin| begin.eq_ignore_ascii_case(prefix));
            if begins {
                text[prefix.len()..].trim_start()
            } else {
                text
            }
        });
    if bare.len() < text.len() {
        found.warning(
            "the text begins with the name of the field or of the scheme",
            None,
            "only the token counts; a client that puts the scheme into the token twice is refused",
        );
    }
    let bare = bare.trim_matches('"');
    let field = SecretString::from(format!("Bearer {bare}"));
    let fields = [field.expose_secret().as_bytes()].into_iter();
    match Presentation::from_authorization(fields) {
        Ok(presentation) => Some(presentation.token),
        Err(refusal) => {
            found.wrong(
                format!("it is not a token that a request can carry: {refusal}"),
                None,
                "save the access token alone: no other text, no line break in it, 4,096 bytes at most",
            );
            None
        }
    }
}

/// Says what kind of token it is.
fn form(token: &BearerToken, members: Option<&Map<String, Value>>, found: &mut Findings) {
    let length = token.expose().len();
    let parts = token.expose().split('.').count();
    found.ok(match (members, parts) {
        (Some(_), _) => format!("it is a JWT of {length} bytes"),
        (None, 5) => format!(
            "it has the form of an encrypted JWT ({length} bytes), which only its issuer can read"
        ),
        (None, _) => format!("it is an opaque token of {length} bytes"),
    });
}

/// Says of the type, the key and the signature whether they are right.
fn signature(unverified: &Unverified<'_>, keys: &KeySet, types: &[JwtType], found: &mut Findings) {
    let header = &unverified.header;
    let media_type = header.media_type.as_deref();
    let shown = media_type.map_or("missing".into(), printable);
    if jwt::type_of(media_type).is_some_and(|kind| types.contains(&kind)) {
        found.ok(format!("typ is {shown}, which is accepted"));
    } else {
        let accepted = types.iter().map(|kind| JwtType::as_str(*kind));
        found.wrong(
            format!(
                "typ is {shown}, and {} is expected (RFC 9068 §2.1)",
                Vec::from_iter(accepted).join(" or ")
            ),
            Some(Setting::JwtTypes),
            "is this an ID token; otherwise have the authorization server issue RFC 9068 access tokens, or introspect its \
             tokens; only if it can do neither, accept this type",
        );
    }
    let key_id = header.key_id.as_deref();
    let named = key_id.map_or("no kid".into(), |id| format!("kid {}", printable(id)));
    let known = keys.described().map(|key| printable(&key).into_owned());
    let known = Vec::from_iter(known).join(" ");
    match keys.find(key_id, header.algorithm) {
        Ok(_) => found.ok(format!("{named} is in the key set")),
        Err(NoKey::Unknown) => found.wrong(
            format!("{named} is not in the key set, which has {known}"),
            Some(Setting::KeysUrl),
            "it was signed by another server or environment, or with a key that was rotated out; is the key set that of the issuer",
        ),
        Err(NoKey::Unfit) => found.wrong(
            format!("{named} is for another algorithm than {}", header.algorithm.as_str()),
            None,
            "have the authorization server correct alg of the key or of the token",
        ),
        Err(NoKey::Ambiguous) => found.wrong(
            format!("it has no kid, and several keys fit ({known})"),
            None,
            "have the authorization server add kid to its tokens",
        ),
    }
    match unverified.verified_by(keys) {
        Ok(_) => found.ok("its signature is right"),
        Err(JwsFault::Signature) => found.wrong(
            "its signature is wrong",
            None,
            "it was changed on the way, cut off, or signed with another key of the same kid",
        ),
        // Said above.
        Err(_) => {}
    }
}
