//! `epicme revoke`: sends a revocation to one process of the server, lifts one, or lists them.

use std::{
    fmt::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use awc::{
    Client,
    http::{
        Method, StatusCode,
        header::{AUTHORIZATION, CONTENT_TYPE, HOST},
    },
};
use clap::{ArgGroup, Args};
use derive_more::{Display, Error};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::config::keys;
use resource_server::{issuer, printable::printable, url::PublicUrl};

/// Time limit for the response.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest list that is read, in bytes: 1,000 revocations of the longest names.
const LONGEST_LIST: usize = 8 * 1024 * 1024;

/// The process that listens where `epicme serve` does by default.
const DEFAULT_SERVER: &str = "http://127.0.0.1:8787";

/// The options of the command.
#[derive(Args, Clone, Debug)]
#[command(group(ArgGroup::new("target").required(true)))]
pub struct RevokeOptions {
    /// URL of the process. Default: its listener for operators, if --admin-bind is set, else
    /// http://127.0.0.1:8787
    #[arg(long, value_name = "URL")]
    server: Option<Url>,

    /// Address and port of the listener for operators. If it listens on every address, the loopback address
    /// is used
    #[arg(long, env = keys::HTTP.admin.name, value_name = keys::HTTP.admin.value_name)]
    admin_bind: Option<SocketAddr>,

    /// URL under which clients reach the server: the main listener answers to no other host
    #[arg(
        long,
        env = keys::HTTP.public_url.name,
        value_name = keys::HTTP.public_url.value_name,
        default_value = keys::HTTP.public_url.default
    )]
    public_url: PublicUrl,

    /// File that holds EPICME_REVOCATION_SECRET
    #[arg(long, env = "EPICME_REVOCATION_SECRET_FILE", value_name = "FILE")]
    pub secret_file: PathBuf,

    /// Revoke the token with this SHA-256, in hexadecimal, for good
    #[arg(long, value_name = "HEX", group = "target")]
    token_sha256: Option<String>,

    /// Revoke the tokens of the issuer's user with this subject
    #[arg(long, value_name = "SUBJECT", group = "target", requires = "issuer")]
    subject: Option<String>,

    /// Revoke the tokens of the issuer's client with this client id
    #[arg(long, value_name = "CLIENT", group = "target", requires = "issuer")]
    client: Option<String>,

    /// Revoke every token
    #[arg(long, group = "target")]
    everybody: bool,

    /// List the revocations, the latest first
    #[arg(long, group = "target")]
    list: bool,

    /// Issuer of the user or client
    #[arg(long, env = "EPICME_ISSUER", value_name = "URL")]
    issuer: Option<String>,

    /// Also refuse the tokens of the user, the client or everybody that are issued later, until this time, such as
    /// 2027-01-31T12:00:00Z, or forever. Without it, only tokens issued before now are refused
    #[arg(long, value_name = "TIME", conflicts_with_all = ["list", "token_sha256"])]
    until: Option<String>,

    /// Take the revocation back
    #[arg(long, conflicts_with_all = ["list", "until"])]
    lift: bool,
}

/// Why it is unknown whether anything was done.
#[derive(Debug, Display, Error)]
pub enum RevokeError {
    /// The server cannot be reached, or does not answer.
    #[display("{_0} gives no answer")]
    Unreachable(#[error(not(source))] Url),
    /// The server refuses the request.
    #[display("the server answers {status}: {reason}")]
    Refused {
        /// Its status.
        status: u16,
        /// The server's error description.
        reason: String,
    },
}

/// Sends what the options ask for to the process, with the public URL's host as `Host`. Returns what is to be
/// printed. Needs an actix `System`.
///
/// # Errors
/// If the server does not confirm it.
pub async fn run(options: &RevokeOptions, secret: &SecretString) -> Result<String, RevokeError> {
    let server = options.server();
    let unreachable = || RevokeError::Unreachable(server.clone());
    let url = server
        .join("/admin/revocations")
        .map_err(|_| unreachable())?;
    let client: Client = issuer::client(TIMEOUT, Some(TIMEOUT), server.scheme() == "http");
    let (method, body) = match options.instruction() {
        None => (Method::GET, String::new()),
        Some(instruction) => (Method::POST, instruction.to_string()),
    };
    let mut response = client
        .request(method, url.as_str())
        .insert_header((HOST, options.public_url.authority()))
        .insert_header((AUTHORIZATION, format!("Bearer {}", secret.expose_secret())))
        .insert_header((CONTENT_TYPE, "application/json"))
        .send_body(body)
        .await
        .map_err(|_| unreachable())?;
    match response.status() {
        StatusCode::NO_CONTENT => Ok(String::new()),
        StatusCode::OK if options.list => {
            let listed = response.json().limit(LONGEST_LIST).await;
            Ok(table(&listed.map_err(|_| unreachable())?))
        }
        status => {
            let body: Value = response.json().await.unwrap_or_default();
            Err(RevokeError::Refused {
                status: status.as_u16(),
                reason: body["error_description"]
                    .as_str()
                    .unwrap_or("it gives no reason")
                    .to_owned(),
            })
        }
    }
}

impl RevokeOptions {
    fn server(&self) -> Url {
        let admin = self.admin_bind.map(|address| {
            let host = match address.ip() {
                IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
                host => host,
            };
            format!("http://{}", SocketAddr::new(host, address.port()))
        });
        let default = || admin.as_deref().unwrap_or(DEFAULT_SERVER).parse();
        let server = self.server.clone().map_or_else(default, Ok);
        server.expect("an address and a port make a URL")
    }

    /// The body of the request; `None` to list.
    fn instruction(&self) -> Option<Value> {
        if self.list {
            return None;
        }
        let mut instruction = match (&self.token_sha256, &self.subject, &self.client) {
            (Some(digest), _, _) => json!({ "tokenSha256": digest }),
            (_, Some(subject), _) => json!({ "issuer": self.issuer, "subject": subject }),
            (_, _, Some(client)) => json!({ "issuer": self.issuer, "client": client }),
            (None, None, None) => json!({ "everybody": self.everybody }),
        };
        if let Some(until) = &self.until {
            instruction["until"] = until.as_str().into();
        }
        if self.lift {
            instruction["lift"] = true.into();
        }
        Some(instruction)
    }
}

/// The answer to a request for the list.
#[derive(Deserialize)]
struct Listed {
    revocations: Vec<Revoked>,
    more: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Revoked {
    kind: String,
    issuer: Option<String>,
    subject: Option<String>,
    client: Option<String>,
    token_sha256: Option<String>,
    revoked_at: String,
    until: Option<String>,
    ordered_by: String,
}

/// One line for each, for people; names are escaped, because they are others' texts.
fn table(listed: &Listed) -> String {
    let mut text = String::new();
    if listed.revocations.is_empty() {
        return "There are no revocations.\n".to_owned();
    }
    let heading = ["REVOKED AT", "UNTIL", "BY", "WHAT"];
    let lines = listed.revocations.iter().map(|one| {
        let names = [
            &one.subject,
            &one.client,
            &one.token_sha256,
            &one.issuer.as_ref().map(|issuer| format!("at {issuer}")),
        ];
        let mut what = one.kind.clone();
        for name in names.into_iter().flatten() {
            let words = name.split(' ').map(printable);
            what = format!("{what} {}", Vec::from_iter(words).join(" "));
        }
        [
            one.revoked_at.clone(),
            one.until.clone().unwrap_or_else(|| "-".to_owned()),
            one.ordered_by.clone(),
            what,
        ]
    });
    for [revoked_at, until, by, what] in [heading.map(str::to_owned)].into_iter().chain(lines) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{revoked_at:<20}  {until:<20}  {by:<8}  {what}");
    }
    if listed.more {
        text.push_str("There are more; these are the latest.\n");
    }
    text
}
