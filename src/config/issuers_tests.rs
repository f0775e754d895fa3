use super::*;
use crate::config::{Config, options::Options};
use resource_server::jose::keys::Algorithm;

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
