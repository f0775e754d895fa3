//! The file that describes several authorization servers: what it may say, and everything that is wrong
//! with it at once.

use std::process::Output;

use serde_json::{Value, json};

use crate::support::{SecretFile, SigningKey, epicme, said};

const DATABASE: (&str, &str) = ("DATABASE_URL", "postgres://localhost:1/epicme");

/// `check-config` with this file, and what it said with the paths of files taken out.
fn check(text: &str, more: &[(&str, &str)], secrets: &[&SecretFile]) -> String {
    let file = SecretFile::new(text);
    let mut environment = vec![DATABASE];
    environment.push(("EPICME_ISSUERS_FILE", file.path().to_str().unwrap()));
    environment.extend(more);
    let output: Output = epicme(&["check-config"], &environment).output().unwrap();
    let mut said = said(&output).replace(file.path().to_str().unwrap(), "[file]");
    for secret in secrets {
        said = said.replace(secret.path().to_str().unwrap(), "[secret]");
    }
    assert!(!said.contains("zq5"), "{said}");
    said
}

fn faults(document: &Value) -> Vec<String> {
    let said = check(&document.to_string(), &[], &[]);
    assert!(said.starts_with("exit 64\n"), "{said}");
    let lines = said.lines();
    let begin = "  EPICME_ISSUERS_FILE (environment): ";
    lines
        .filter_map(|line| line.strip_prefix(begin).map(str::to_owned))
        .collect()
}

fn issuer(url: &str, more: &Value) -> Value {
    let mut issuer = json!({
        "issuer": url,
        "introspection": { "authentication": "bearer", "clientSecretFile": "/dev/null" },
    });
    for (name, value) in more.as_object().unwrap() {
        issuer[name] = value.clone();
    }
    issuer
}

#[test]
fn the_effective_values_of_each_issuer_are_shown_and_no_secret() {
    let secret = SecretFile::new("zq5-secret\n");
    let key = SecretFile::new(&SigningKey::new("k").pem());
    let document = json!({ "issuers": [
        {
            "issuer": "https://login.example",
            "tokenPrefixes": ["ex_", "ex_new_"],
            "audienceOptional": true,
            "introspection": {
                "url": "https://login.example/introspect",
                "authentication": "private_key_jwt",
                "clientId": "epicme",
                "clientKeyId": "k1",
                "clientSecretFile": key.path(),
                "signed": true,
                "cache": "30s",
                "cacheEntries": 500,
                "negativeCache": "0s",
                "stale": "10m",
                "timeout": "1s",
            },
        },
        {
            "issuer": "https://b.example",
            "metadataUrl": "http://b.internal:8080/metadata",
            "jwt": { "introspected": true, "algorithms": ["ES256", "EdDSA"] },
            "jwksUrl": "https://keys.b.example/",
            "introspection": { "clientId": "epicme", "clientSecretFile": secret.path() },
        },
        { "issuer": "https://c.example", "jwt": {} },
        {
            "issuer": "https://d.example",
            "audiences": ["api://journal"],
            "audienceOptional": "untyped",
            "subject": "username",
            "clientClaims": ["client_id", "azp"],
            "scopeClaims": ["scp"],
            "scopePrefix": "api://journal/",
            "jwt": { "types": ["at+jwt", "JWT", "none"] },
        },
    ] });
    let plain = [("EPICME_PLAIN_HTTP_HOSTS", "b.internal")];
    let said = check(&document.to_string(), &plain, &[&secret, &key]);
    let lines: Vec<_> = said
        .lines()
        .filter(|line| line.starts_with("  issuers["))
        .collect();
    insta::assert_snapshot!("issuers_in_effect", lines.join("\n"));
}

#[test]
fn the_example_of_the_documentation_is_one() {
    let page = include_str!("../../../docs/AUTHORIZATION.md");
    let (_, example) = page.split_once("```json").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let key = SecretFile::new(&SigningKey::new("k").pem());
    let path = key.path().to_str().unwrap();
    let here = example.replace("/run/secrets/login-example.pem", path);
    assert_ne!(here, example);
    let said = check(&here, &[], &[]);
    assert!(said.starts_with("exit 0\n"), "{said}");
}

#[test]
fn every_fault_of_the_file_is_reported_at_once_with_its_member() {
    let no_key = SecretFile::new("zq5-no-key");
    let text = json!({
        "isuers": [],
        "issuers": [
            {
                "issuer": "http://login.example",
                "tokenPrefixes": ["a_", ""],
                "introspection": {
                    "url": 7,
                    "authentication": "private_key_jwt",
                    "clientId": "",
                    "clientSecret": "zq5-secret",
                    "clientSecretFile": no_key.path(),
                    "signed": "yes",
                    "cache": "2h",
                    "cacheEntries": 0,
                    "negativeCache": "2m",
                    "stale": "7",
                    "timeout": "1m",
                },
                "metadataUrl": "http://b.internal:8080/metadata",
                "audienceOptional": "off",
            },
            {
                "issuer": "https://b.example",
                "tokenPrefixes": "b_",
                "jwt": { "introspected": true, "algorithms": ["none"], "leeway": 5 },
                "introspection": { "authentication": "mtls", "clientKeyId": "k" },
            },
            { "issuer": "https://b.example", "tokenPrefixes": ["a_"], "jwt": true },
            { "introspection": { "clientId": "x", "clientSecretFile": "/nonexistent/x" } },
            "https://e.example",
            {
                "issuer": "https://f.example",
                "jwt": {},
                "jwksUrl": "http://f.example",
                "introspection": { "signed": true },
            },
        ],
    });
    let said = check(&text.to_string(), &[], &[&no_key]);
    insta::assert_snapshot!("issuers_with_faults", said);
}

#[test]
fn the_keys_of_one_issuer_and_the_file_exclude_each_other() {
    let document = json!({ "issuers": [{ "issuer": "https://c.example", "jwt": {} }] });
    let keys = [
        ("EPICME_ISSUER", "https://a.example"),
        ("EPICME_ISSUER_METADATA_URL", "https://a.example/metadata"),
        ("EPICME_INTROSPECTION_URL", "https://a.example/introspect"),
        ("EPICME_INTROSPECTION_AUTHENTICATION", "client_secret_basic"),
        ("EPICME_INTROSPECTION_CLIENT_ID", "epicme"),
        ("EPICME_INTROSPECTION_CLIENT_KEY_ID", "k"),
        ("EPICME_INTROSPECTION_CLIENT_SECRET", "zq5-secret"),
        ("EPICME_INTROSPECTION_CLIENT_SECRET_FILE", "/nonexistent"),
        ("EPICME_INTROSPECTION_SIGNED", "off"),
        ("EPICME_INTROSPECTION_CACHE", "60s"),
        ("EPICME_INTROSPECTION_CACHE_ENTRIES", "1"),
        ("EPICME_INTROSPECTION_NEGATIVE_CACHE", "5s"),
        ("EPICME_INTROSPECTION_STALE", "0s"),
        ("EPICME_INTROSPECTION_TIMEOUT", "3s"),
        ("EPICME_JWT", "off"),
        ("EPICME_JWT_ALGORITHMS", "ES256"),
        ("EPICME_JWKS_URL", "https://a.example/jwks"),
        ("EPICME_AUDIENCE_OPTIONAL", "off"),
    ];
    let said = check(&document.to_string(), &keys, &[]);
    assert!(said.contains("has 18 faults"), "{said}");
    for (key, _) in keys {
        let fault = format!("  {key} (environment): is set, and so is EPICME_ISSUERS_FILE, ");
        assert!(said.contains(&fault), "{key}: {said}");
    }
    assert!(check(&document.to_string(), &[], &[]).starts_with("exit 0\n"));
}

#[test]
fn a_file_that_is_not_json_is_refused_with_the_reason() {
    for (text, reason) in [
        (
            "",
            "is not JSON: EOF while parsing a value at line 1 column 0",
        ),
        ("zq5", "is not JSON: expected value at line 1 column 1"),
        ("[]", "must be an object without duplicate members"),
        (
            "{\"issuers\": [{\"issuer\": \"https://a.example\", \"issuer\": \"https://b.example\"}]}",
            "must be an object without duplicate members",
        ),
    ] {
        let said = check(text, &[], &[]);
        assert!(said.contains(&format!("[file] {reason}")), "{said}");
    }
    let missing = [DATABASE, ("EPICME_ISSUERS_FILE", "/nonexistent/issuers")];
    let said = said(&epicme(&["check-config"], &missing).output().unwrap());
    assert!(
        said.contains("/nonexistent/issuers cannot be read: "),
        "{said}"
    );
    for document in [
        json!({}),
        json!({ "issuers": [] }),
        json!({ "issuers": {} }),
    ] {
        assert_eq!(
            faults(&document),
            ["issuers: must be an array of 1 to 20 objects"]
        );
    }
}

#[test]
fn a_file_is_read_up_to_its_bounds_and_not_beyond() {
    let issuers = |count: usize| {
        let issuers = (0..count).map(|n| {
            let prefixes: Vec<_> = (0..20)
                .map(|p| format!("{n}_{p}_{}", "x".repeat(50)))
                .collect();
            let url = format!("https://i{n}.example");
            json!({ "issuer": url, "tokenPrefixes": prefixes, "jwt": {} })
        });
        json!({ "issuers": issuers.collect::<Vec<_>>() })
    };
    let padded = |length: usize| {
        let text = issuers(20).to_string();
        let padding = " ".repeat(length - text.len());
        check(&(text + &padding), &[], &[])
    };
    let longest = padded(256 * 1024);
    assert!(longest.starts_with("exit 0\n"), "{longest}");
    let longer = padded(256 * 1024 + 1);
    assert!(longer.contains("[file] is longer than 256 KiB"), "{longer}");
    assert_eq!(
        faults(&issuers(21)),
        ["issuers: must be an array of 1 to 20 objects"]
    );
    let prefixes = |prefixes: Value| {
        let issuer = json!({ "issuer": "https://a.example", "jwt": {}, "tokenPrefixes": prefixes });
        faults(&json!({ "issuers": [issuer] }))
    };
    let many: Vec<_> = (0..21).map(|n| n.to_string()).collect();
    for wrong in [json!(many), json!(["x".repeat(101)]), json!(["a b"])] {
        let told = prefixes(wrong);
        assert!(
            told[0].starts_with("issuers[0].tokenPrefixes: must be at most 20 prefixes"),
            "{told:?}"
        );
    }
}

#[test]
fn tokens_of_several_issuers_must_be_distinguishable() {
    let secret = SecretFile::new("zq5-secret");
    let with = |issuers: &[(&str, &[&str], bool)]| {
        let issuers = issuers.iter().map(|(name, prefixes, is_verified)| {
            let mut issuer = issuer(
                &format!("https://{name}.example"),
                &json!({ "tokenPrefixes": prefixes }),
            );
            issuer["introspection"]["clientSecretFile"] = json!(secret.path());
            if *is_verified {
                issuer["jwt"] = json!({});
            }
            issuer
        });
        json!({ "issuers": issuers.collect::<Vec<_>>() })
    };
    let untold = "is required if there are several issuers, unless jwt is set: nothing else says whose a token is";
    for (issuers, told) in [
        (
            with(&[("a", &["x_"], false), ("b", &[], false)]),
            format!("issuers[1].tokenPrefixes: {untold}"),
        ),
        (
            with(&[("a", &["x_"], false), ("a", &["y_"], false)]),
            "issuers[1].issuer: is the same as that of issuers[0]".to_owned(),
        ),
        (
            with(&[("a", &["x_"], false), ("b", &["y_", "x_"], false)]),
            "issuers[1].tokenPrefixes: contains a prefix that issuers[0] has too".to_owned(),
        ),
        (
            with(&[("a", &["x_", "x_"], false)]),
            "issuers[0].tokenPrefixes: contains a prefix that issuers[0] has too".to_owned(),
        ),
    ] {
        assert_eq!(faults(&issuers), [told]);
    }
    for issuers in [
        with(&[("a", &[], false)]),
        with(&[("a", &[], true), ("b", &[], true)]),
        with(&[("a", &["x_"], false), ("b", &["x_y_"], false)]),
    ] {
        let said = check(&issuers.to_string(), &[], &[]);
        assert!(said.starts_with("exit 0\n"), "{said}");
    }
}
