//! What a client sends as its credentials.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use resource_server::{
    bearer::{BearerToken, Presentation, Scheme},
    fuzzing::verify_dpop_proof,
    jose::{
        jwt::{AccessTokens, access_token, peek_issuer},
        keys::KeySet,
    },
    token_rules::{JwtType, TokenRules},
    validation::{Refusal, read_reply},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use crate::{claims, signing};

/// The longest token that is accepted, in bytes.
const LONGEST_TOKEN: usize = 4_096;

/// The values of the `Authorization` fields, a line each.
pub fn bearer(data: &[u8]) -> bool {
    let fields: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    let read = Presentation::from_authorization(fields.iter().copied());
    // The grammar once more: one field; a scheme, spaces, a token.
    let value = fields[0].trim_ascii();
    let (scheme, token) = value.split_at(
        value
            .iter()
            .position(|byte| *byte == b' ')
            .unwrap_or(value.len()),
    );
    let token = token.trim_ascii_start();
    let is_ours = [Scheme::Bearer, Scheme::Dpop]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known.as_str().as_bytes()));
    let is_token = (1..=LONGEST_TOKEN).contains(&token.len())
        && token
            .iter()
            .all(|byte| matches!(byte, b'!'..=b'~') && !b",\"".contains(byte));
    assert_eq!(read.is_ok(), fields.len() == 1 && is_ours && is_token);
    match read {
        Ok(Presentation {
            token: read,
            scheme,
        }) => {
            assert_eq!(read.expose().as_bytes(), token);
            assert_eq!(Scheme::of(fields.iter().copied()), Some(scheme));
            let again = format!("{} {}", scheme.as_str(), read.expose());
            let again = Presentation::from_authorization([again.as_bytes()].into_iter());
            let again = again.expect("what was read is read again");
            assert_eq!(
                (again.token.expose(), again.scheme),
                (read.expose(), scheme)
            );
            // Its hash alone is printed.
            assert_eq!(format!("{read:?}").len(), "BearerToken(01234567)".len());
            true
        }
        Err(refusal) => {
            let missing = fields.len() == 1 && (!is_ours || token.is_empty());
            assert_eq!(refusal == Refusal::Missing, missing, "{refusal:?}");
            false
        }
    }
}

fn token(text: &str) -> Option<BearerToken> {
    let field = format!("Bearer {text}");
    let read = Presentation::from_authorization([field.as_bytes()].into_iter());
    read.ok().map(|presentation| presentation.token)
}

/// A JWT access token: `signing::document`.
pub fn jwt(data: &[u8]) -> bool {
    let Some(document) = signing::document(data) else {
        return false;
    };
    let Some(token) = token(&document) else {
        return false;
    };
    let issuer = peek_issuer(&token);
    let keys = format!(r#"{{"keys":[{}]}}"#, signing::jwk(&signing::key()));
    let keys = KeySet::read(keys.as_bytes()).expect("a key set");
    let rules = TokenRules::default();
    let accepted = AccessTokens {
        types: &[JwtType::AccessToken],
        rules: &rules,
    };
    let Ok(reply) = access_token(&token, &keys, accepted, claims::now()) else {
        return false;
    };
    let (header, members) = signing::members(token.expose());
    assert_eq!(header["alg"], "EdDSA");
    let media_type = header["typ"].as_str().map(str::to_ascii_lowercase);
    assert!(matches!(
        media_type.as_deref(),
        Some("at+jwt" | "application/at+jwt")
    ));
    assert!(header.get("crit").is_none());
    assert!(header.get("kid").is_none_or(|kid| kid == "k1"));
    assert_eq!(members["iss"].as_str(), issuer.as_deref());
    for required in ["iss", "exp", "aud", "sub", "client_id", "iat"] {
        assert!(!members[required].is_null(), "{required} is missing");
    }
    let principal = claims::validated(reply, Some(&members));
    // An issuer that says the same of the token in an introspection reply is understood alike.
    let mut reply = members;
    reply["active"] = json!(true);
    let reply = read_reply(reply.to_string().as_bytes()).expect("the claims have the right types");
    let introspected = claims::validated(reply.under(&rules), None);
    assert_eq!(introspected, principal);
    principal.is_some()
}

/// A DPoP proof: `signing::document`.
pub fn dpop_proof(data: &[u8]) -> bool {
    const TOKEN: &str = "mF_9.B5f-4.1JqM";
    let Some(document) = signing::document(data) else {
        return false;
    };
    let token = token(TOKEN).expect("a token");
    let verify = |fields: &[&[u8]]| {
        verify_dpop_proof(
            fields.iter().copied(),
            "POST",
            claims::RESOURCE,
            &token,
            claims::now(),
        )
    };
    let field = document.as_bytes();
    assert!(
        verify(&[field, field]).is_err(),
        "two proofs are one too many"
    );
    assert!(verify(&[&[field, b",", field].concat()]).is_err());
    let Ok(proof) = verify(&[field]) else {
        return false;
    };
    let (header, members) = signing::members(document.trim_ascii());
    assert!(header["jwk"].get("d").is_none(), "a private key");
    assert_eq!(
        URL_SAFE_NO_PAD
            .decode(&proof.thumbprint)
            .map(|hash| hash.len()),
        Ok(32)
    );
    assert_eq!(members["htm"], "POST");
    assert_eq!(members["jti"].as_str(), Some(proof.token_id.as_str()));
    assert!((1..=256).contains(&proof.token_id.len()));
    assert_eq!(
        members["ath"],
        URL_SAFE_NO_PAD.encode(Sha256::digest(TOKEN))
    );
    let age = 1_000_000.0 - members["iat"].as_f64().expect("a number").floor();
    assert!((-30.0..=300.0).contains(&age), "{age} s old");
    assert_eq!(
        proof.issued_at.timestamp(),
        claims::now().timestamp() - age as i64
    );
    check_url(&members["htu"]);
    true
}

fn check_url(htu: &Value) {
    let text = htu.as_str().expect("a string");
    let (url, ours) = (Url::parse(text), Url::parse(claims::RESOURCE));
    let (url, ours) = (url.expect("a URL"), ours.expect("a URL"));
    assert_eq!(url.origin(), ours.origin(), "{text}");
    assert!(
        url.username().is_empty() && url.password().is_none(),
        "{text}"
    );
    let path = percent_decoded(url.path());
    assert_eq!(path, b"/mcp", "{text}");
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let (mut decoded, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((byte, after)) = rest.split_first() {
        let digits = after
            .get(..2)
            .and_then(|digits| str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(encoded) if *byte == b'%' => {
                decoded.push(encoded);
                rest = &after[2..];
            }
            _ => {
                decoded.push(*byte);
                rest = after;
            }
        }
    }
    decoded
}
