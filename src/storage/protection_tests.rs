use std::{fs, process};

use super::*;

/// With TLS, as the system's newest libpq.
const NEW: Abilities = Abilities {
    tls: true,
    require_auth: true,
};

/// What the URL becomes: the values of `host hostaddr sslmode require_auth`, or the fault.
fn with(
    abilities: Abilities,
    url: &str,
    environment: &[(&str, &str)],
    plain: &[&str],
) -> Result<[String; 4], String> {
    let environment = |name: &str| {
        let found = environment.iter().find(|(own, _)| *own == name);
        found.map(|(_, value)| OsString::from(value))
    };
    let plain = plain.iter().map(|name| (*name).to_owned()).collect();
    let plain = PlainDatabaseHosts::read(plain).unwrap();
    let mut parameters = Parameters::read(url).unwrap();
    let circumstances = Circumstances {
        abilities,
        environment: &environment,
    };
    circumstances.protect(&mut parameters, Some(&plain))?;
    Ok(["host", "hostaddr", "sslmode", "require_auth"]
        .map(|name| parameters.get(name).unwrap_or("-").to_owned()))
}

fn refused(url: &str, environment: &[(&str, &str)], plain: &[&str]) -> String {
    match with(NEW, url, environment, plain) {
        Ok(passed) => panic!("{url} {environment:?}: {passed:?}"),
        Err(fault) => fault,
    }
}

/// A way to name a place: a URL, and the environment.
type Way = (&'static str, &'static [(&'static str, &'static str)]);

/// Every way to name another machine.
const OTHERS: &[Way] = &[
    ("postgres://ann:pw@db/x", &[]),
    ("postgres://ann:pw@d%62/x", &[]),
    ("postgres://ann:pw@%64%62:1/x", &[]),
    ("postgres://ann:pw@localhost,db/x", &[]),
    ("postgres://ann:pw@localhost%2Cdb/x", &[]),
    ("postgres://ann:pw@%2Frun,db/x", &[]),
    ("postgres://localhost/x?host=db", &[]),
    ("postgres://localhost/x?hostaddr=10.0.0.7", &[]),
    ("postgres://localhost/x?%68ostaddr=10.0.0.7", &[]),
    ("postgres://[2001:db8::7]/x", &[]),
    ("postgres://[::ffff:10.0.0.7]/x", &[]),
    ("postgres://127.evil.example/x", &[]),
    ("postgres://127.0.0.1.evil.example/x", &[]),
    ("postgres://localhost.evil.example/x", &[]),
    ("postgres://localhostx/x", &[]),
    ("postgres://0.0.0.0/x", &[]),
    ("host=db", &[]),
    ("host = 'd\\b'", &[]),
    ("host=/run hostaddr=10.0.0.7", &[]),
    ("host=localhost,localhost hostaddr=,10.0.0.7", &[]),
    ("host=localhost host=db", &[]),
    ("dbname=x", &[("PGHOST", "db")]),
    ("dbname=x", &[("PGHOSTADDR", "10.0.0.7")]),
    ("postgres://localhost/x", &[("PGHOSTADDR", "10.0.0.7")]),
];

#[test]
fn another_machine_is_reached_by_tls_however_it_is_named() {
    for (url, environment) in OTHERS {
        let [_, _, mode, methods] = with(NEW, url, environment, &[]).unwrap();
        assert_eq!((&*mode, &*methods), ("require", "scram-sha-256"), "{url}");
        for mode in ["disable", "allow", "prefer", "", "Require"] {
            let mut environment = environment.to_vec();
            environment.push(("PGSSLMODE", mode));
            let fault = refused(url, &environment, &[]);
            assert!(
                fault.contains(&format!("sslmode={mode},")),
                "{url}: {fault}"
            );
            assert!(!fault.contains("pw"), "{fault}");
        }
        for mode in ["require", "verify-ca", "verify-full"] {
            let mut environment = environment.to_vec();
            environment.push(("PGSSLMODE", mode));
            assert_eq!(with(NEW, url, &environment, &[]).unwrap()[2], mode);
        }
        let mut kerberos = environment.to_vec();
        kerberos.extend([("PGGSSENCMODE", "require"), ("PGSSLMODE", "disable")]);
        assert_eq!(with(NEW, url, &kerberos, &[]).unwrap()[2], "disable");
    }
}

#[test]
fn a_build_without_tls_reaches_no_other_machine() {
    let old = Abilities {
        tls: false,
        require_auth: true,
    };
    for (url, environment) in OTHERS {
        let fault = with(old, url, environment, &[]).unwrap_err();
        assert!(fault.contains("built without TLS") && fault.contains("system-libpq"));
        assert!(!fault.contains("pw"), "{fault}");
    }
    for url in [
        "postgres://db/x?sslmode=require",
        "postgres://db/x?ssl=true",
        "host=/run sslmode=verify-full",
        "host=db requiressl=1",
    ] {
        let fault = with(old, url, &[], &["db"]).unwrap_err();
        assert!(fault.contains("must not require TLS"), "{url}: {fault}");
    }
}

#[test]
fn this_machine_is_left_as_the_operator_set_it() {
    for (url, environment) in [
        ("postgres://ann@localhost/x", &[][..]),
        ("postgres://LocalHost./x", &[]),
        ("postgres://127.0.0.1:5432/x", &[]),
        ("postgres://127.9.9.9/x?sslmode=disable", &[]),
        ("postgres://[::1]/x", &[]),
        ("postgres://[0:0::1]/x", &[]),
        ("postgres://%2Frun/x", &[]),
        ("postgres://@%2Frun,localhost/x", &[]),
        ("postgres:///x", &[]),
        ("host='@abstract'", &[]),
        ("host=db hostaddr=127.0.0.1", &[]),
        ("dbname=x", &[("PGHOST", "/run"), ("PGSSLMODE", "disable")]),
        ("host=localhost", &[("PGHOST", "db")]),
    ] {
        let before = Parameters::read(url).unwrap();
        let parameters = ["host", "hostaddr", "sslmode", "require_auth"]
            .map(|name| before.get(name).unwrap_or("-").to_owned());
        assert_eq!(with(NEW, url, environment, &[]), Ok(parameters), "{url}");
    }
}

#[test]
fn a_named_host_may_be_without_tls_and_no_other() {
    for (url, plain, mode) in [
        ("postgres://db/x", "db", "prefer"),
        ("postgres://DB./x", "db", "prefer"),
        ("postgres://db/x?sslmode=disable", "Db", "disable"),
        ("postgres://db/x?sslmode=verify-full", "db", "verify-full"),
        ("postgres://10.0.0.7/x", "::ffff:10.0.0.7", "prefer"),
        ("postgres://[fd00:0::7]/x", "fd00::7", "prefer"),
        ("postgres://db/x?hostaddr=10.0.0.7", "10.0.0.7", "prefer"),
    ] {
        let [_, _, found, methods] = with(NEW, url, &[], &[plain]).unwrap();
        assert_eq!((&*found, &*methods), (mode, "scram-sha-256"), "{url}");
    }
    // The address is where it goes, and the name is not looked up.
    for url in [
        "postgres://db.example/x?sslmode=disable",
        "postgres://db,other/x?sslmode=disable",
        "postgres://db/x?sslmode=disable&hostaddr=10.0.0.7",
    ] {
        let fault = refused(url, &[], &["db"]);
        assert!(fault.contains("EPICME_PLAIN_DATABASE_HOSTS"), "{fault}");
    }
    for name in ["db:5432", "[::1]", "10.0.0.0/8", "postgres://db", "*", "@x"] {
        assert!(PlainDatabaseHosts::read(vec![name.to_owned()]).is_err());
    }
}

#[test]
fn what_the_operator_says_of_authentication_counts() {
    for (url, environment, methods) in [
        ("postgres://db/x?require_auth=none", &[][..], "none"),
        ("postgres://db/x", &[("PGREQUIREAUTH", "")], ""),
        ("postgres://localhost/x?require_auth=md5", &[], "md5"),
    ] {
        assert_eq!(with(NEW, url, environment, &[]).unwrap()[3], methods);
    }
    let old = Abilities {
        tls: true,
        require_auth: false,
    };
    assert_eq!(with(old, "host=db", &[], &[]).unwrap()[3], "-");
}

#[test]
fn a_service_is_looked_at_before_it_is_used() {
    let file = env::temp_dir().join(format!("epicme-service-{}", process::id()));
    fs::write(
        &file,
        "[far]\nhost=db\n[plain]\nhost=db\nsslmode=disable\n[checked]\nhostaddr=10.0.0.7\nsslmode=verify-full\nrequire_auth=md5\n\
         [near]\nhost=/run\n",
    )
    .unwrap();
    let path = file.to_str().unwrap();
    let in_file = [("PGSERVICEFILE", path)];
    let result = |url: &str, environment: &[(&str, &str)]| {
        let mut all = in_file.to_vec();
        all.extend_from_slice(environment);
        let named = with(NEW, url, &all, &[]);
        named.map(|values| values.join(" "))
    };
    let far = Ok("db  require scram-sha-256".to_owned());
    assert_eq!(result("service=far", &[]), far);
    assert_eq!(result("postgres:///x?service=far", &[]), far);
    assert_eq!(result("dbname=x", &[("PGSERVICE", "far")]), far);
    assert_eq!(
        with(NEW, &format!("service=far servicefile={path}"), &[], &[]).unwrap()[2],
        "require"
    );
    assert_eq!(
        result("service=checked", &[]),
        Ok(" 10.0.0.7 verify-full md5".to_owned())
    );
    // An address of the environment is not that of the service.
    let elsewhere = [("PGHOSTADDR", "10.0.0.7")];
    assert_eq!(
        result("service=near", &elsewhere),
        Ok("/run 10.0.0.7 require scram-sha-256".to_owned())
    );
    assert_eq!(result("service=near", &[]), Ok("/run  - -".to_owned()));
    assert!(result("service=plain", &[]).is_err());
    assert!(result("service=missing", &[("PGSYSCONFDIR", "/nowhere")]).is_err());
    // The URL says more than the service, and the service more than the environment.
    assert_eq!(
        result("service=plain sslmode=verify-full", &[]).unwrap(),
        "db  verify-full scram-sha-256"
    );
    assert!(result("service=plain", &[("PGSSLMODE", "verify-full")]).is_err());
    fs::remove_file(file).unwrap();
}
