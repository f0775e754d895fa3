//! An example that runs as a process, and the authorization server whose tokens it accepts.

use std::{
    env,
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, SystemTime},
};

use mock_auth::{MockAuth, TokenGrant};
use reqwest::{RequestBuilder, Response, StatusCode, header};
use secrecy::ExposeSecret;
use serde_json::Value;

pub(crate) struct Example {
    pub(crate) auth: MockAuth,
    process: Child,
    /// The first line that the example prints: the URL that tokens have to be issued for.
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
}

impl Example {
    /// Starts the example with this name; `file` is its source, in the folder `examples` of the package.
    pub(crate) async fn start(package: &str, name: &str, file: &str) -> Self {
        let auth = MockAuth::builder().introspection_client("example", "example-secret");
        let auth = auth.start().await.unwrap();
        let mut process = Command::new(program(package, name, file))
            .env("BIND", "127.0.0.1:0")
            .env("ISSUER", auth.issuer())
            .env_remove("CLIENT_ID")
            .env_remove("CLIENT_SECRET")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        output.read_line(&mut url).unwrap();
        Self {
            auth,
            process,
            url: url.trim_end().to_owned(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    /// A token for the example.
    pub(crate) fn token(&self, subject: &str, scopes: &str) -> String {
        let token = self.auth.issue_token(TokenGrant {
            subject: subject.to_owned(),
            scopes: scopes.to_owned(),
            audience: vec![self.url.clone()],
            lifetime: Duration::from_secs(60),
            ..TokenGrant::default()
        });
        token.expose_secret().to_owned()
    }

    /// Checks that a request without a token is refused as it has to be, and that the metadata which the refusal
    /// names is served (RFC 9728 §5.1).
    pub(crate) async fn refuses_without_a_token(&self, request: RequestBuilder, scopes: &[&str]) {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let challenge = challenge(&response);
        let metadata = parameter(&challenge, "resource_metadata");
        assert_eq!(parameter(&challenge, "scope"), scopes.join(" "));
        let metadata = self.http.get(metadata).send().await.unwrap();
        assert_eq!(metadata.status(), StatusCode::OK);
        let metadata: Value = metadata.json().await.unwrap();
        assert_eq!(metadata["resource"], self.url);
        let issuers = [self.auth.issuer()];
        assert_eq!(metadata["authorization_servers"], Value::from_iter(issuers));
        assert_eq!(
            metadata["scopes_supported"],
            Value::from_iter(scopes.to_vec())
        );
    }

    /// Checks that a request is refused for a scope that its token does not have (RFC 6750 §3.1).
    pub(crate) async fn refuses_for_want_of(&self, scope: &str, request: RequestBuilder) {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        let challenge = challenge(&response);
        assert_eq!(parameter(&challenge, "error"), "insufficient_scope");
        let needed = parameter(&challenge, "scope");
        assert!(needed.split(' ').any(|needed| needed == scope), "{needed}");
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(sent.success());
        self.process.wait().unwrap()
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // It may have ended by itself, which a test has seen by then.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The example's program, beside the test's. `cargo test --workspace` has built it; a test of this package
/// alone builds it here.
pub(crate) fn program(package: &str, name: &str, file: &str) -> PathBuf {
    let source = Path::new("..").join(package).join("examples").join(file);
    built(
        package,
        ["--example", name],
        &format!("examples/{name}"),
        &source,
    )
}

/// The program `mock-auth`, in the same way.
pub(crate) fn mock_auth() -> PathBuf {
    let source = Path::new("../mock-auth/src/bin/mock-auth/main.rs");
    built("mock-auth", ["--bin", "mock-auth"], "mock-auth", source)
}

/// What is built of a package, unless it is there and younger than its source.
fn built(package: &str, target: [&str; 2], file: &str, source: &Path) -> PathBuf {
    let test = env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    let program = folder.join(file);
    if modified(&program).is_none_or(|built| modified(source) > Some(built)) {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--locked", "--quiet", "-p", package]);
        cargo.args(target);
        // What cargo says of this package to its test would have the build script of ring run again.
        for (variable, _) in env::vars() {
            if variable.starts_with("CARGO_MANIFEST_") || variable.starts_with("CARGO_PKG_") {
                cargo.env_remove(variable);
            }
        }
        assert!(cargo.status().unwrap().success(), "{file} cannot be built");
    }
    program
}

fn modified(path: &Path) -> Option<SystemTime> {
    File::open(path).ok()?.metadata().ok()?.modified().ok()
}

fn challenge(response: &Response) -> String {
    let challenge = response.headers().get(header::WWW_AUTHENTICATE);
    challenge.unwrap().to_str().unwrap().to_owned()
}

/// The value of a parameter of a challenge.
fn parameter(challenge: &str, name: &str) -> String {
    let value = challenge.split_once(&format!("{name}=\""));
    let value = value.and_then(|(_, rest)| rest.split('"').next());
    value
        .unwrap_or_else(|| panic!("{name} in {challenge}"))
        .to_owned()
}
