//! The `mock-auth` program.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, Output, Stdio},
};

use crate::{
    restart::Folder,
    support::{CALLBACK, SECRET, query},
};

fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_mock-auth"));
    program
        .env_clear()
        .args(["--bind", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    program
}

fn refused(edit: impl FnOnce(&mut Command) -> &mut Command) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = edit(&mut program()).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[cfg(unix)]
#[test]
fn it_says_what_to_do_next_and_stops_when_told() {
    let mut running = program()
        .env("MOCK_AUTH_INTROSPECTION_CLIENT_SECRET", SECRET)
        .env("MOCK_AUTH_ISSUER", "")
        .spawn()
        .unwrap();
    let mut output = BufReader::new(running.stdout.take().unwrap());
    let mut first = String::new();
    output.read_line(&mut first).unwrap();
    assert!(
        first.starts_with("mock-auth is ready at http://127.0.0.1:"),
        "{first}"
    );
    let pid = running.id().to_string();
    assert!(Command::new("kill").arg(&pid).status().unwrap().success());
    assert!(running.wait().unwrap().success());
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("/dev/token") && rest.contains("client id  resource-server"));
    assert!(
        !rest.contains(SECRET),
        "a secret that somebody chose is not shown"
    );
}

#[test]
fn wrong_settings_are_named_and_end_it_with_64() {
    let (code, said) = refused(|it| it.args(["--access-token-lifetime", "0"]));
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("--access-token-lifetime"), "{said}");
    let (code, said) = refused(|it| it.env("MOCK_AUTH_ISSUER", "https://auth.example/path"));
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("issuer"), "{said}");
    for scopes in ["=Read", "notes:read=", "a=A,a=A", "a b=AB"] {
        let (code, said) = refused(|it| it.args(["--scopes", scopes]));
        assert_eq!(code, Some(64), "{said}");
        assert!(said.contains("scope"), "{said}");
    }
    for user in ["=ana", "ana,aud=x", "ana,email", "{}"] {
        let (code, said) = refused(|it| it.args(["--user", user]));
        assert_eq!(code, Some(64), "{said}");
        assert!(said.contains("user"), "{said}");
    }
    let (code, said) = refused(|it| it.args(["--scope", "=Greet you"]));
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("--scope"), "{said}");
    let (code, said) = refused(|it| it.args(["--resource", "/mcp"]));
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("/mcp"), "{said}");
    let (code, said) = refused(|it| it.args(["--auto-consent", "nobody"]));
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("nobody"), "{said}");
    let (code, said) = refused(|it| it.args(["--dangerous-scopes", "notes:burn"]));
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("notes:burn"), "{said}");
    let (code, said) = refused(|it| it.env("MOCK_AUTH_CLIENT_DOCUMENTS", "maybe"));
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("write on or off"), "{said}");
    let (code, said) = refused(|it| it.args(["--state", "/dev/null/x"]));
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("/dev/null/x"), "{said}");
    let file = "MOCK_AUTH_INTROSPECTION_CLIENT_SECRET_FILE";
    let (code, said) = refused(|it| it.env(file, "/nowhere/at/all"));
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains(file), "{said}");
}

/// Starts it with these arguments, and waits until it is ready.
#[cfg(unix)]
fn started(arguments: &[&str]) -> std::process::Child {
    let mut running = Command::new(env!("CARGO_BIN_EXE_mock-auth"))
        .env_clear()
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let mut output = BufReader::new(running.stdout.take().unwrap());
    output.read_line(&mut first).unwrap();
    assert!(first.contains("ready at"), "{first}");
    // What it prints later finds a reader.
    std::thread::spawn(move || output.read_to_string(&mut String::new()));
    running
}

/// An address that was free a moment ago, below those that the system gives out.
#[cfg(unix)]
pub(crate) fn free_address() -> String {
    let first = 20_000 + u16::try_from(std::process::id() % 9_000).unwrap();
    let mut addresses = (first..32_000).map(|port| format!("127.0.0.1:{port}"));
    let free = addresses.find(|address| std::net::TcpListener::bind(address).is_ok());
    free.unwrap()
}

#[cfg(unix)]
#[actix_rt::test]
async fn what_it_kept_is_there_after_a_signal_ended_it() {
    let folder = Folder::new();
    let state = folder.path().to_str().unwrap();
    // Both starts have one issuer, as at a port of its own.
    let bind = free_address();
    let arguments = ["--bind", &bind, "--state", state];
    let issuer = format!("http://{bind}");
    let mut running = started(&arguments);
    // A connection to the first start is of no use to the second.
    let http = reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0)
        .build()
        .unwrap();
    let registered = http
        .post(format!("{issuer}/oauth/register"))
        .json(
            &serde_json::json!({"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}),
        )
        .send()
        .await
        .unwrap();
    let registered: serde_json::Value = registered.json().await.unwrap();
    let pid = running.id().to_string();
    assert!(Command::new("kill").arg(&pid).status().unwrap().success());
    assert!(running.wait().unwrap().success());

    let mut running = started(&arguments);
    let path = query(
        "/oauth/authorize",
        registered["client_id"].as_str().unwrap(),
        &[],
    );
    let page = http.get(format!("{issuer}{path}")).send().await.unwrap();
    assert_eq!(page.status(), 200);
    running.kill().unwrap();
    running.wait().unwrap();
}

#[test]
fn a_taken_port_ends_it_with_69() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut program = Command::new(env!("CARGO_BIN_EXE_mock-auth"));
    let output = program
        .env_clear()
        .args(["--bind", &address])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(69));
    assert!(String::from_utf8(output.stderr).unwrap().contains(&address));
}

#[cfg(unix)]
#[test]
fn it_can_be_asked_whether_it_is_well_with_nothing_but_itself() {
    let mut running = program().spawn().unwrap();
    let mut output = BufReader::new(running.stdout.take().unwrap());
    let mut first = String::new();
    output.read_line(&mut first).unwrap();
    let address = first
        .trim_end()
        .strip_prefix("mock-auth is ready at http://")
        .unwrap()
        .to_owned();
    let asked = |bind: &str| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_mock-auth"));
        let status = program
            .env_clear()
            .args(["--bind", bind, "--check-health"])
            .stderr(Stdio::null())
            .status();
        status.unwrap().code()
    };
    // Whoever listens everywhere is asked over loopback.
    let everywhere = address.replace("127.0.0.1", "0.0.0.0");
    assert_eq!([asked(&address), asked(&everywhere)], [Some(0), Some(0)]);
    running.kill().unwrap();
    running.wait().unwrap();
    assert_eq!([asked(&address), asked(&everywhere)], [Some(69), Some(69)]);
}

#[test]
fn its_help_names_every_variable_and_shows_no_secret() {
    let output = program()
        .arg("--help")
        .env("MOCK_AUTH_INTROSPECTION_CLIENT_SECRET", "hidden-away")
        .output()
        .unwrap();
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    for variable in [
        "BIND",
        "ISSUER",
        "DEFAULT_RESOURCE",
        "ALLOWED_HOSTS",
        "ACCESS_TOKEN_LIFETIME",
        "CLIENT_DOCUMENTS",
        "DANGEROUS_SCOPES",
        "STATE",
    ] {
        assert!(
            help.contains(&format!("MOCK_AUTH_{variable}")),
            "{variable}"
        );
    }
    assert!(!help.contains("hidden-away"));
}
