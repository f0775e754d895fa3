use chrono::DateTime;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    bearer::Presentation,
    jose::{
        keys::Algorithm,
        test_keys::{TestKey, changed, now},
    },
};

const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
const TOKEN_HASH: &str = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo";

fn token() -> BearerToken {
    let field = format!("Bearer {TOKEN}");
    Presentation::from_authorization([field.as_bytes()].into_iter())
        .unwrap()
        .token
}

fn good() -> Value {
    json!({
        "htm": "POST",
        "htu": "https://files.example/mcp",
        "iat": 1_000_000,
        "jti": "p1",
        "ath": TOKEN_HASH,
    })
}

fn header(key: &TestKey) -> Value {
    json!({"typ": "dpop+jwt", "alg": key.algorithm.as_str(), "jwk": key.jwk()})
}

fn proof(key: &TestKey, claims: &Value) -> String {
    key.compact(&header(key).to_string(), &claims.to_string())
}

fn verify_with(proof: &str, nonces: Option<&Nonces>) -> Result<Proof, ProofFault> {
    let request = ProvedRequest {
        method: "POST",
        url: "https://files.example/mcp",
        token: &token(),
        window: Window::default(),
        nonces,
    };
    verify_proof(proof, &request, now())
}

fn verify(proof: &str) -> Result<Proof, ProofFault> {
    verify_with(proof, None)
}

#[test]
fn the_example_of_rfc_9449_is_verified() {
    // §7.1.
    let proof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
    let request = ProvedRequest {
        method: "GET",
        url: "https://resource.example.org/protectedresource",
        token: &token(),
        window: Window::default(),
        nonces: None,
    };
    let made_at = DateTime::from_timestamp(1_562_262_618, 0).unwrap();
    let proof = verify_proof(proof, &request, made_at).unwrap();
    assert_eq!(
        proof.thumbprint.as_str(),
        "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
    );
    assert_eq!(proof.token_id, "e1j3V_bKic8-LAEB");
    assert_eq!(proof.issued_at, made_at);
}

#[test]
fn every_accepted_algorithm_proves() {
    for algorithm in Algorithm::ALL {
        let key = TestKey::new(algorithm);
        let read = verify(&proof(&key, &good())).unwrap();
        assert_eq!(read.thumbprint, Thumbprint::of(&key.jwk()).unwrap());
        assert_eq!(read.token_id, "p1");
        assert_eq!(read.issued_at, now());
    }
}

#[test]
fn each_fault_of_the_claims_has_its_name() {
    use ProofFault::{Incomplete, NotOfNow, WrongMethod, WrongToken, WrongUrl};
    let key = TestKey::new(Algorithm::Es256);
    let long = "a".repeat(LONGEST_TOKEN_ID + 1);
    for (changes, fault) in [
        (json!({"htm": null}), Incomplete),
        (json!({"htu": null}), Incomplete),
        (json!({"iat": null}), Incomplete),
        (json!({"iat": "now"}), Incomplete),
        (json!({"jti": null}), Incomplete),
        (json!({"jti": ""}), Incomplete),
        (json!({"jti": long}), Incomplete),
        (json!({"ath": null}), Incomplete),
        (json!({"htm": "GET"}), WrongMethod),
        (json!({"htm": "post"}), WrongMethod),
        (json!({"htu": "https://files.example/"}), WrongUrl),
        (json!({"iat": 999_699}), NotOfNow),
        (json!({"iat": 1_000_031}), NotOfNow),
        (json!({"iat": 1e300}), NotOfNow),
        (
            json!({"ath": "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEp"}),
            WrongToken,
        ),
        (json!({"ath": ""}), WrongToken),
    ] {
        let read = verify(&proof(&key, &changed(&good(), &changes)));
        assert_eq!(read.unwrap_err(), fault, "{changes}");
        assert_eq!(fault.code(), "invalid_dpop_proof");
    }
    for changes in [
        json!({"iat": 999_700}),
        json!({"iat": 1_000_030}),
        json!({"jti": "a".repeat(LONGEST_TOKEN_ID)}),
        json!({"nonce": "not asked for"}),
    ] {
        let read = verify(&proof(&key, &changed(&good(), &changes)));
        assert!(read.is_ok(), "{changes}");
    }
}

#[test]
fn a_url_is_compared_in_its_normal_form() {
    let same = |a: &str, b: &str| normalized(a).is_some() && normalized(a) == normalized(b);
    for url in [
        "https://files.example/mcp",
        "HTTPS://Files.EXAMPLE/mcp",
        "https://files.example:443/mcp",
        "https://files.example/%6Dcp",
        "https://files.example/%6dcp",
        "https://files.example/./x/../mcp",
        "https://files.example/mcp?session=1",
        "https://files.example/mcp#top",
    ] {
        assert!(same(url, "https://files.example/mcp"), "{url}");
    }
    for url in [
        "http://files.example/mcp",
        "https://files.example:8443/mcp",
        "https://files.example/MCP",
        "https://files.example/mcp/",
        "https://files.example//mcp",
        "https://files.example/mcp%2F",
        "https://a@files.example/mcp",
        "https://files.example.evil.example/mcp",
        "https://files.example\\mcp",
        " https://files.example/mcp",
        "https://files.example/m\tcp",
        "/mcp",
        "mcp:files",
        "",
    ] {
        assert!(!same(url, "https://files.example/mcp"), "{url}");
    }
    assert!(same("https://a.example", "https://a.example/"));
    assert!(same("https://a.example/%e4%7e", "https://a.example/%E4~"));
    assert!(same("https://a.example/100%", "https://a.example/100%"));
    assert!(!same("https://a.example/a%2fb", "https://a.example/a/b"));
    assert!(!same("https://a.example/%0%61", "https://a.example/%0a"));
}

#[test]
fn the_key_of_a_proof_is_public_and_its_own() {
    let key = TestKey::new(Algorithm::Es256);
    let good_header = header(&key);
    let jwk = |changes: Value| {
        let jwk = changed(&Value::Object(key.jwk()), &changes);
        changed(&good_header, &json!({"jwk": jwk}))
    };
    let other = TestKey::new(Algorithm::Es256).jwk();
    let short = json!({"kty": "RSA", "e": "AQAB", "n": "_".repeat(172)});
    for (header, fault) in [
        (
            jwk(json!({"d": "AQAB"})),
            ProofFault::Key(KeyFault::NotPublic),
        ),
        (jwk(json!({"use": "enc"})), ProofFault::Key(KeyFault::Use)),
        (
            jwk(json!({"alg": "ES384"})),
            ProofFault::Key(KeyFault::Type),
        ),
        (
            jwk(json!({"x": null})),
            ProofFault::Key(KeyFault::Malformed),
        ),
        (
            changed(&good_header, &json!({"jwk": null})),
            ProofFault::Key(KeyFault::Malformed),
        ),
        (
            changed(&good_header, &json!({"jwk": {"kty": "oct", "k": "AQAB"}})),
            ProofFault::Key(KeyFault::NotPublic),
        ),
        (
            changed(&good_header, &json!({"jwk": short, "alg": "RS256"})),
            ProofFault::Key(KeyFault::Size),
        ),
        (
            changed(&good_header, &json!({"jwk": other})),
            ProofFault::Jws(JwsFault::Signature),
        ),
        (
            changed(&good_header, &json!({"jwk": "k"})),
            ProofFault::Jws(JwsFault::Header),
        ),
        (
            changed(&good_header, &json!({"alg": "ES384"})),
            ProofFault::Jws(JwsFault::UnfitKey),
        ),
        (
            changed(&good_header, &json!({"alg": "none"})),
            ProofFault::Jws(JwsFault::Algorithm),
        ),
        (
            changed(&good_header, &json!({"alg": "HS256"})),
            ProofFault::Jws(JwsFault::Algorithm),
        ),
        (
            changed(&good_header, &json!({"typ": "JWT"})),
            ProofFault::Jws(JwsFault::Type),
        ),
        (
            changed(&good_header, &json!({"typ": null})),
            ProofFault::Jws(JwsFault::Type),
        ),
    ] {
        let read = verify(&key.compact(&header.to_string(), &good().to_string()));
        assert_eq!(read.unwrap_err(), fault, "{header}");
    }
}

#[test]
fn where_a_nonce_is_demanded_it_has_to_be_one_of_ours() {
    let key = TestKey::new(Algorithm::EdDsa);
    let nonces = Nonces::new(&[7; 32]);
    let with = |nonce: Value| {
        let proof = proof(&key, &changed(&good(), &json!({"nonce": nonce})));
        verify_with(&proof, Some(&nonces)).err()
    };
    assert_eq!(with(nonces.issue(now()).into()), None);
    assert_eq!(
        with(nonces.issue(now() - TimeDelta::minutes(5)).into()),
        None
    );
    for nonce in [
        Value::Null,
        "".into(),
        nonces.issue(now() - TimeDelta::minutes(10)).into(),
        Nonces::new(&[8; 32]).issue(now()).into(),
    ] {
        assert_eq!(with(nonce.clone()), Some(ProofFault::Nonce), "{nonce}");
    }
    assert_eq!(ProofFault::Nonce.code(), "use_dpop_nonce");
}

#[test]
fn the_window_is_the_callers() {
    let key = TestKey::new(Algorithm::EdDsa);
    let proof = proof(&key, &good());
    let request = ProvedRequest {
        method: "POST",
        url: "https://files.example/mcp",
        token: &token(),
        window: Window {
            back: TimeDelta::seconds(10),
            ahead: TimeDelta::seconds(1),
        },
        nonces: None,
    };
    for (seconds, fault) in [
        (-2, Some(ProofFault::NotOfNow)),
        (-1, None),
        (10, None),
        (11, Some(ProofFault::NotOfNow)),
    ] {
        let at = now() + TimeDelta::seconds(seconds);
        assert_eq!(verify_proof(&proof, &request, at).err(), fault, "{seconds}");
    }
}

#[test]
fn a_request_brings_one_proof() {
    let fields = |fields: &[&'static [u8]]| proof_in(fields.iter().copied());
    assert_eq!(fields(&[b" a.b.c "]), Ok("a.b.c"));
    assert_eq!(fields(&[]), Err(ProofFault::Missing));
    assert_eq!(fields(&[b"a.b.c", b"a.b.c"]), Err(ProofFault::Several));
    assert_eq!(
        fields(&[b"\xff"]),
        Err(ProofFault::Jws(JwsFault::NotCompact))
    );
    assert_eq!(fields(&[b"a.b.c, a.b.c"]), Err(ProofFault::Several));
}

#[test]
fn length_is_bounded() {
    let key = TestKey::new(Algorithm::EdDsa);
    let fault = verify(&"a".repeat(LONGEST_PROOF + 1)).unwrap_err();
    assert_eq!(fault, ProofFault::Jws(JwsFault::TooLong));
    let big = proof(&key, &changed(&good(), &json!({"more": "a".repeat(5_000)})));
    assert!(big.len() < LONGEST_PROOF && verify(&big).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_is_refused(proof in "\\PC{0,200}") {
        prop_assert!(verify(&proof).is_err());
    }

    #[test]
    fn any_url_has_one_normal_form(url in "https?://[a-zA-Z0-9.]{1,12}(:[0-9]{1,4})?(/[a-zA-Z0-9%~.]{0,8}){0,4}") {
        if let Some(normal) = normalized(&url) {
            prop_assert_eq!(normalized(&normal), Some(normal));
        }
    }

    #[test]
    fn any_path_is_normalized(path in "\\PC{0,20}", encoded in "(%[0-9a-fA-F]{2}|[a-z/]|%){0,20}") {
        let _ = (normalized(&format!("https://a.example/{path}")), normalized(&format!("https://a.example/{encoded}")));
    }

    #[test]
    fn no_changed_bit_passes(position: prop::sample::Index, bit in 0u8..8) {
        let mut text = proof(&TestKey::new(Algorithm::Es256), &good()).into_bytes();
        let position = position.index(text.len());
        text[position] ^= 1 << bit;
        if let Ok(text) = str::from_utf8(&text) {
            prop_assert!(verify(text).is_err());
        }
    }
}
