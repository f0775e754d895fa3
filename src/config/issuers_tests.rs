use super::*;
use crate::config::{Config, options::Sources};

fn options() -> Options {
    Options {
        database_url: Some("postgres://localhost/epicme".to_owned()),
        issuer: Some("https://issuer.example".to_owned()),
        ..Options::default()
    }
}

fn with_client() -> Options {
    Options {
        introspection_client_id: Some("epicme".to_owned()),
        introspection_client_secret: Some("hunter2".to_owned()),
        ..options()
    }
}

fn read(options: &Options) -> Result<IssuerConfig, Vec<(&'static str, String)>> {
    Config::read(options, &Sources::default())
        .map(|mut config| config.issuers.remove(0))
        .map_err(|errors| {
            let faults = errors.0.into_iter();
            faults.map(|fault| (fault.key, fault.reason)).collect()
        })
}

fn faulty_keys(options: &Options) -> Vec<&'static str> {
    let faults = read(options).unwrap_err();
    assert!(!format!("{faults:?}").contains("hunter2"));
    faults.into_iter().map(|(key, _)| key).collect()
}

#[test]
fn an_issuer_whose_tokens_are_verified_needs_no_client() {
    let jwt = |mode: &str| Options {
        jwt: mode.to_owned(),
        ..options()
    };
    let issuer = read(&jwt("on")).unwrap();
    assert!(issuer.client.is_none());
    let jwt_config = issuer.jwt.unwrap();
    assert!(!jwt_config.introspected);
    assert_eq!(
        jwt_config.algorithms,
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
    assert_eq!(faulty_keys(&jwt("yes"))[0], "EPICME_JWT");
    // Half a client is a mistake, not none.
    let half = Options {
        introspection_client_id: Some("epicme".to_owned()),
        ..jwt("on")
    };
    assert_eq!(faulty_keys(&half), client[1..]);
    let signed = Options {
        introspection_signed: "on".to_owned(),
        ..jwt("on")
    };
    assert_eq!(faulty_keys(&signed), ["EPICME_INTROSPECTION_SIGNED"]);
    for algorithms in ["", "HS256", "ES256 none"] {
        let wrong = Options {
            jwt_algorithms: algorithms.to_owned(),
            ..jwt("on")
        };
        assert_eq!(faulty_keys(&wrong), ["EPICME_JWT_ALGORITHMS"]);
    }
}

#[test]
fn each_method_of_authentication_is_told_what_it_needs_and_no_more() {
    let by = |method: &str| Options {
        introspection_authentication: method.to_owned(),
        ..with_client()
    };
    for method in ["client_secret_basic", "client_secret_post", "bearer"] {
        let client = read(&by(method)).unwrap().client.unwrap();
        assert_eq!(client.method.as_str(), method);
    }
    assert_eq!(
        faulty_keys(&by("private_key_jwt")),
        ["EPICME_INTROSPECTION_CLIENT_SECRET"],
        "a password is no private key"
    );
    assert_eq!(
        faulty_keys(&by("tls_client_auth")),
        ["EPICME_INTROSPECTION_AUTHENTICATION"]
    );
    let key_id = Options {
        introspection_client_key_id: Some("k".to_owned()),
        ..by("client_secret_basic")
    };
    assert_eq!(faulty_keys(&key_id), ["EPICME_INTROSPECTION_CLIENT_KEY_ID"]);
    // A bearer token says by itself whose it is; a signed reply has to name a client.
    for (signed, faults) in [
        ("off", &[][..]),
        ("on", &["EPICME_INTROSPECTION_CLIENT_ID"]),
    ] {
        let bearer = Options {
            introspection_client_id: None,
            introspection_signed: signed.to_owned(),
            ..by("bearer")
        };
        let read = read(&bearer).map(|_| ()).map_err(|_| faulty_keys(&bearer));
        assert_eq!(read.err().unwrap_or_default(), faults);
    }
    let two_words = Options {
        introspection_client_secret: Some("hunter2 hunter2".to_owned()),
        ..by("bearer")
    };
    assert_eq!(
        faulty_keys(&two_words),
        ["EPICME_INTROSPECTION_CLIENT_SECRET"]
    );
}

#[test]
fn a_secret_of_a_file_stays_in_the_file() {
    let path = std::env::temp_dir().join(format!("epicme-client-secret-{}", std::process::id()));
    let from_file = Options {
        introspection_client_secret: None,
        introspection_client_secret_file: Some(path.clone()),
        ..with_client()
    };
    std::fs::write(&path, "hunter2\n").unwrap();
    let client = read(&from_file).unwrap().client.unwrap();
    std::fs::write(&path, "\n").unwrap();
    let empty = faulty_keys(&from_file);
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(client.secret, SecretSource::File(file) if file == path));
    for faults in [empty, faulty_keys(&from_file)] {
        assert_eq!(faults, ["EPICME_INTROSPECTION_CLIENT_SECRET_FILE"]);
    }
}
