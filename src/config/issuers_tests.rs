use super::*;
use crate::config::{Config, options::Options};
use resource_server::{
    issuer::AssertionAudience,
    jose::keys::Algorithm,
    token_rules::{JwtType, TokenRules},
};

fn options() -> Options {
    Options::default()
        .with("DATABASE_URL", "postgres://localhost/epicme")
        .with("EPICME_ISSUER", "https://issuer.example")
}

fn with_client() -> Options {
    options()
        .with("EPICME_INTROSPECTION_CLIENT_ID", "epicme")
        .with("EPICME_INTROSPECTION_CLIENT_SECRET", "hunter2")
}

fn read(options: &Options) -> Result<IssuerConfig, Vec<(String, String)>> {
    Config::read(options)
        .map(|mut config| config.issuers.remove(0))
        .map_err(|errors| {
            let faults = errors.0.into_iter();
            faults.map(|fault| (fault.key, fault.reason)).collect()
        })
}

fn faulty_keys(options: &Options) -> Vec<String> {
    let faults = read(options).unwrap_err();
    assert!(!format!("{faults:?}").contains("hunter2"));
    faults.into_iter().map(|(key, _)| key).collect()
}

#[test]
fn an_issuer_whose_tokens_are_verified_needs_no_client() {
    let jwt = |mode: &str| options().with("EPICME_JWT", mode);
    let Verification::Jwt { algorithms, opaque } = read(&jwt("on")).unwrap().verification else {
        panic!("its tokens are verified with its keys alone")
    };
    assert!(opaque.is_none());
    assert_eq!(
        algorithms,
        [
            Algorithm::Es256,
            Algorithm::Rs256,
            Algorithm::Ps256,
            Algorithm::EdDsa
        ]
    );
    let client = [
        "EPICME_INTROSPECTION_CLIENT_ID",
        "EPICME_INTROSPECTION_CLIENT_SECRET",
    ];
    for mode in ["off", "introspected"] {
        assert_eq!(faulty_keys(&jwt(mode)), client);
    }
    assert!(faulty_keys(&jwt("yes")).contains(&"EPICME_JWT".to_owned()));
    // Half a client is a mistake, not the absence of one.
    let half = jwt("on").with("EPICME_INTROSPECTION_CLIENT_ID", "epicme");
    assert_eq!(faulty_keys(&half), client[1..]);
    let signed = jwt("on").with("EPICME_INTROSPECTION_SIGNED", "on");
    assert_eq!(faulty_keys(&signed), ["EPICME_INTROSPECTION_SIGNED"]);
    for algorithms in ["", "HS256", "ES256 none"] {
        let wrong = jwt("on").with("EPICME_JWT_ALGORITHMS", algorithms);
        assert_eq!(faulty_keys(&wrong), ["EPICME_JWT_ALGORITHMS"]);
    }
}

#[test]
fn a_mode_and_a_client_decide_how_tokens_are_verified() {
    let by = |mode: &str| {
        read(&with_client().with("EPICME_JWT", mode))
            .unwrap()
            .verification
    };
    assert!(matches!(by("off"), Verification::Introspection(_)));
    assert!(matches!(
        by("on"),
        Verification::Jwt {
            opaque: Some(_),
            ..
        }
    ));
    assert!(matches!(
        by("introspected"),
        Verification::JwtThenIntrospection { .. }
    ));
}

#[test]
fn each_method_of_authentication_gets_what_it_needs_and_no_more() {
    let by = |method: &str| with_client().with("EPICME_INTROSPECTION_AUTHENTICATION", method);
    for method in ["client_secret_basic", "client_secret_post", "bearer"] {
        let issuer = read(&by(method)).unwrap();
        assert_eq!(
            issuer.verification.client().unwrap().method.as_str(),
            method
        );
    }
    assert_eq!(
        faulty_keys(&by("private_key_jwt")),
        ["EPICME_INTROSPECTION_CLIENT_SECRET"],
        "a password is not a private key"
    );
    assert_eq!(
        faulty_keys(&by("tls_client_auth")),
        ["EPICME_INTROSPECTION_AUTHENTICATION"]
    );
    let key_id = by("client_secret_basic").with("EPICME_INTROSPECTION_CLIENT_KEY_ID", "k");
    assert_eq!(faulty_keys(&key_id), ["EPICME_INTROSPECTION_CLIENT_KEY_ID"]);
    // A bearer token identifies its client by itself; a signed response has to name a client.
    let bearer = |signed: &str| {
        options()
            .with("EPICME_INTROSPECTION_AUTHENTICATION", "bearer")
            .with("EPICME_INTROSPECTION_CLIENT_SECRET", "hunter2")
            .with("EPICME_INTROSPECTION_SIGNED", signed)
    };
    assert!(read(&bearer("off")).is_ok());
    assert_eq!(
        faulty_keys(&bearer("on")),
        ["EPICME_INTROSPECTION_CLIENT_ID"]
    );
    let two_words = by("bearer").with("EPICME_INTROSPECTION_CLIENT_SECRET", "hunter2 hunter2");
    assert_eq!(
        faulty_keys(&two_words),
        ["EPICME_INTROSPECTION_CLIENT_SECRET"]
    );
}

#[test]
fn a_secret_of_a_file_stays_in_the_file() {
    let path = std::env::temp_dir().join(format!("epicme-client-secret-{}", std::process::id()));
    let from_file = options()
        .with("EPICME_INTROSPECTION_CLIENT_ID", "epicme")
        .with("EPICME_INTROSPECTION_CLIENT_SECRET_FILE", &path);
    std::fs::write(&path, "hunter2\n").unwrap();
    let issuer = read(&from_file).unwrap();
    std::fs::write(&path, "\n").unwrap();
    let empty = faulty_keys(&from_file);
    std::fs::remove_file(&path).unwrap();
    let secret = &issuer.verification.client().unwrap().secret;
    assert!(matches!(secret, SecretSource::File(file) if *file == path));
    for faults in [empty, faulty_keys(&from_file)] {
        assert_eq!(faults, ["EPICME_INTROSPECTION_CLIENT_SECRET_FILE"]);
    }
}

/// Strict is the default, and each relaxation is one that somebody has set.
#[test]
fn by_default_nothing_is_accepted_beyond_the_rfcs() {
    let jwt = with_client().with("EPICME_JWT", "on");
    for options in [with_client(), jwt] {
        let issuer = read(&options).unwrap();
        assert_eq!(issuer.rules, TokenRules::default());
        assert_eq!(issuer.jwt_types, [JwtType::AccessToken]);
        let client = issuer.verification.client().unwrap();
        assert_eq!(client.assertion_audience, AssertionAudience::Issuer);
        assert_eq!(Config::read(&options).unwrap().relaxations(), [""; 0]);
    }
}

#[test]
fn each_relaxation_is_read_and_explained_by_its_key() {
    let jwt = || options().with("EPICME_JWT", "on");
    for (key, value, meaning) in [
        (
            "EPICME_AUDIENCES",
            "api://journal 177@p",
            "tokens of https://issuer.example for 177@p api://journal are accepted",
        ),
        (
            "EPICME_AUDIENCE_OPTIONAL",
            "on",
            "every access token of that issuer can be used here",
        ),
        (
            "EPICME_AUDIENCE_OPTIONAL",
            "untyped",
            "also without token_type",
        ),
        (
            "EPICME_SUBJECT",
            "username",
            "a new user with the name of a former user",
        ),
        (
            "EPICME_CLIENT_CLAIMS",
            "client_id,azp",
            "the first claim that it has of client_id, azp",
        ),
        (
            "EPICME_SCOPE_CLAIMS",
            "scp",
            "the first claim that it has of scp",
        ),
        (
            "EPICME_SCOPE_PREFIX",
            "api://journal/",
            "clients request api://journal/user:read",
        ),
        (
            "EPICME_JWT_TYPES",
            "at+jwt JWT none",
            "with the type JWT or none",
        ),
    ] {
        let config = Config::read(&jwt().with(key, value)).unwrap();
        let relaxations = config.relaxations();
        let [explained] = &relaxations[..] else {
            panic!("{key}: {relaxations:?}")
        };
        assert!(
            explained.contains(meaning) && explained.contains(key),
            "{key}: {explained}"
        );
        // Who a user is, and whose tokens are accepted, is said at every start.
        let is_warned_of = ["EPICME_AUDIENCE_OPTIONAL", "EPICME_SUBJECT"].contains(&key);
        assert_eq!(config.warnings().len(), usize::from(is_warned_of), "{key}");
    }
    let types = read(&jwt().with("EPICME_JWT_TYPES", "none"))
        .unwrap()
        .jwt_types;
    assert_eq!(types, [JwtType::Absent], "at+jwt is not accepted then");
}

#[test]
fn a_relaxation_that_means_nothing_is_a_fault() {
    for (key, value) in [
        ("EPICME_AUDIENCE_OPTIONAL", "yes"),
        ("EPICME_SUBJECT", "email"),
        ("EPICME_CLIENT_CLAIMS", ""),
        ("EPICME_CLIENT_CLAIMS", "sub"),
        ("EPICME_CLIENT_CLAIMS", "azp azp"),
        ("EPICME_SCOPE_CLAIMS", "roles"),
        ("EPICME_SCOPE_PREFIX", "api journal"),
        ("EPICME_SCOPE_PREFIX", "\"x\""),
        ("EPICME_JWT_TYPES", "at+jwt id+jwt"),
        ("EPICME_JWT_TYPES", "jwt"),
        (
            "EPICME_INTROSPECTION_ASSERTION_AUDIENCE",
            "https://issuer.example",
        ),
        // It is for another method than that of a secret.
        ("EPICME_INTROSPECTION_ASSERTION_AUDIENCE", "token_endpoint"),
    ] {
        assert_eq!(
            faulty_keys(&with_client().with(key, value)),
            [key],
            "{value}"
        );
    }
    let most = |count: usize| {
        let audiences = (0..count).map(|number| format!("a{number}"));
        with_client().with("EPICME_AUDIENCES", Vec::from_iter(audiences).join(" "))
    };
    assert_eq!(read(&most(20)).unwrap().rules.audiences.len(), 20);
    assert_eq!(faulty_keys(&most(21)), ["EPICME_AUDIENCES"]);
    let prefix = |length| with_client().with("EPICME_SCOPE_PREFIX", "p".repeat(length));
    assert!(read(&prefix(200)).is_ok());
    assert_eq!(faulty_keys(&prefix(201)), ["EPICME_SCOPE_PREFIX"]);
}
