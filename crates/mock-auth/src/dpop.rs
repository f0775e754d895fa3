//! DPoP proofs at the token endpoint (RFC 9449 §5): a client that proves a key gets tokens that are good
//! with that key only.

use actix_web::HttpRequest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey, VerificationAlgorithm};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::{
    answer::{ErrorCode, OAuthError},
    secret::Digest,
};

/// The algorithms that proofs may have.
pub(crate) const ALGORITHMS: [&str; 2] = ["ES256", "EdDSA"];

/// The longest proof that is read, in bytes.
const LONGEST: usize = 8 * 1024;

/// How long ago a proof may have been made; one that was used is remembered for as long.
const BACK: TimeDelta = TimeDelta::minutes(5);

/// How far a client's clock may be ahead.
const AHEAD: TimeDelta = TimeDelta::seconds(30);

/// A proof that is good, if it was not used before.
#[derive(Debug)]
pub(crate) struct Proof {
    /// The SHA-256 thumbprint of its key (RFC 7638), as `cnf.jkt` has it.
    pub(crate) thumbprint: String,
    /// The same proof has the same, and no other has it.
    pub(crate) id: Digest,
    /// From when on it would be too old.
    pub(crate) expires: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Header {
    typ: String,
    alg: String,
    jwk: Jwk,
    crit: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    x: String,
    y: Option<String>,
    d: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Claims {
    htm: String,
    htu: String,
    iat: i64,
    jti: String,
}

/// The proof that a request brings, if it brings one.
///
/// # Errors
/// `invalid_dpop_proof` (§5), whatever is wrong with it.
pub(crate) fn proof(
    request: &HttpRequest,
    url: &str,
    now: DateTime<Utc>,
) -> Result<Option<Proof>, OAuthError> {
    let mut fields = request.headers().get_all("DPoP");
    let Some(field) = fields.next() else {
        return Ok(None);
    };
    if fields.next().is_some() {
        return Err(refused("there is more than one DPoP proof"));
    }
    let text = field
        .to_str()
        .map_err(|_| refused("the DPoP proof is no text"))?;
    verify(text, request.method().as_str(), url, now)
        .map(Some)
        .map_err(refused)
}

/// The error of a proof that is refused.
pub(crate) fn refused(why: &str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidDpopProof, why)
}

/// Whether a text can be a thumbprint.
pub(crate) fn is_thumbprint(text: &str) -> bool {
    URL_SAFE_NO_PAD
        .decode(text)
        .is_ok_and(|hash| hash.len() == 32)
}

/// The checks of §4.3 that concern a token request.
fn verify(text: &str, method: &str, url: &str, now: DateTime<Utc>) -> Result<Proof, &'static str> {
    if text.len() > LONGEST {
        return Err("the DPoP proof is too long");
    }
    let (signed, signature) = text.rsplit_once('.').ok_or("the DPoP proof is no JWS")?;
    let (header, claims) = signed.split_once('.').ok_or("the DPoP proof is no JWS")?;
    let decoded = |part| {
        URL_SAFE_NO_PAD
            .decode(part)
            .map_err(|_| "a part is no base64url")
    };
    let (header, claims) = (decoded(header)?, decoded(claims)?);
    let signature = decoded(signature)?;

    let header: Header =
        serde_json::from_slice(&header).map_err(|_| "the header lacks typ, alg or jwk")?;
    if header.typ != "dpop+jwt" || header.crit.is_some() {
        return Err("typ has to be dpop+jwt, and crit is not understood");
    }
    let (algorithm, key) = key(&header.alg, &header.jwk)?;
    UnparsedPublicKey::new(algorithm, key)
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| "the signature is wrong")?;

    let claims: Claims =
        serde_json::from_slice(&claims).map_err(|_| "a claim of htm, htu, iat, jti is missing")?;
    if claims.htm != method {
        return Err("htm is another method");
    }
    let same_url = |a: &str| {
        let mut url = Url::parse(a).ok()?;
        url.set_query(None);
        url.set_fragment(None);
        Some(url)
    };
    if same_url(&claims.htu).is_none() || same_url(&claims.htu) != same_url(url) {
        return Err("htu is another URL");
    }
    let issued = DateTime::from_timestamp(claims.iat, 0).ok_or("iat is no time")?;
    if issued < now - BACK || issued > now + AHEAD {
        return Err("iat is not of now");
    }
    if claims.jti.is_empty() || claims.jti.len() > 256 {
        return Err("jti has to have 1 to 256 bytes");
    }
    let thumbprint = thumbprint(&header.jwk);
    Ok(Proof {
        id: Digest::of(&format!("{thumbprint} {}", claims.jti)),
        thumbprint,
        expires: issued + BACK,
    })
}

/// The public key, if it is one for this algorithm.
fn key(
    algorithm: &str,
    jwk: &Jwk,
) -> Result<(&'static dyn VerificationAlgorithm, Vec<u8>), &'static str> {
    const MALFORMED: &str = "jwk is no public key for alg";
    if jwk.d.is_some() {
        return Err("jwk has a private key in it");
    }
    let coordinate = |text: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| MALFORMED)?;
        (bytes.len() == 32).then_some(bytes).ok_or(MALFORMED)
    };
    match (algorithm, jwk.kty.as_str(), jwk.crv.as_str(), &jwk.y) {
        ("ES256", "EC", "P-256", Some(y)) => {
            let point = [vec![4], coordinate(&jwk.x)?, coordinate(y)?].concat();
            Ok((&ECDSA_P256_SHA256_FIXED, point))
        }
        ("EdDSA", "OKP", "Ed25519", None) => Ok((&ED25519, coordinate(&jwk.x)?)),
        _ => Err("alg has to be ES256 or EdDSA, and jwk a key for it"),
    }
}

/// RFC 7638 §3: the required members in the order of their names.
fn thumbprint(jwk: &Jwk) -> String {
    let (kty, crv, x) = (&jwk.kty, &jwk.crv, &jwk.x);
    let required = match &jwk.y {
        Some(y) => json!({"crv": crv, "kty": kty, "x": x, "y": y}),
        None => json!({"crv": crv, "kty": kty, "x": x}),
    };
    URL_SAFE_NO_PAD.encode(Sha256::digest(required.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example of RFC 9449 §5.
    const EXAMPLE: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn the_example_of_rfc_9449_is_verified_for_what_it_says() {
        let verify = |method, url, now| verify(EXAMPLE, method, url, at(now));
        let url = "https://server.example.com/token";
        let proof = verify("POST", url, 1_562_262_616).unwrap();
        assert_eq!(
            proof.thumbprint,
            "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
        );
        assert!(verify("POST", url, 1_562_262_616 + 300).is_ok());
        assert!(verify("POST", url, 1_562_262_616 + 301).is_err());
        assert!(verify("POST", url, 1_562_262_616 - 31).is_err());
        assert!(verify("GET", url, 1_562_262_616).is_err());
        assert!(verify("POST", "https://server.example.com/", 1_562_262_616).is_err());
    }

    proptest! {
        #[test]
        fn no_changed_bit_passes(position: prop::sample::Index, bit in 0u8..8) {
            let mut text = EXAMPLE.as_bytes().to_vec();
            let position = position.index(text.len());
            text[position] ^= 1 << bit;
            if let Ok(text) = str::from_utf8(&text) {
                let url = "https://server.example.com/token";
                prop_assert!(verify(text, "POST", url, at(1_562_262_616)).is_err());
            }
        }

        #[test]
        fn any_text_is_refused(text in "\\PC{0,200}") {
            prop_assert!(verify(&text, "POST", "https://a.example/", at(0)).is_err());
        }
    }
}
