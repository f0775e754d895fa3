//! Whose requests they are: a token for each user.

use std::{fs::File, io::Read, path::Path, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use http_body_util::Full;
use hyper::{
    Request,
    body::Bytes,
    header::{self, HeaderValue},
};
use serde::Deserialize;
use serde_json::json;
use url::{Url, form_urlencoded};

use crate::{
    connection::{Connection, Wanted, read, refused, within},
    error::LoadError,
    options::Options,
    target::Target,
};

/// How large the answer of a token endpoint may be, and a file of a secret.
const MOST_ANSWER: usize = 64 * 1_024;

/// How large a file of tokens may be.
const MOST_FILE: u64 = 512 * 1_024 * 1_024;

/// How much longer than the test a token is asked for.
const TO_SPARE: Duration = Duration::from_secs(15 * 60);

/// Users without a number given: one for each client, up to so many.
const USERS: u64 = 100;

/// What requests carry in `Authorization`, one for each user. Never printed: hyper shows a sensitive value as such.
pub(crate) async fn fetch(
    options: &Options,
    resource: &Url,
) -> Result<Vec<HeaderValue>, LoadError> {
    let users = options.users.unwrap_or(options.sessions.min(USERS));
    if let Some(issuer) = &options.dev_tokens {
        let mut url = issuer.clone();
        let path = format!("{}/dev/token", issuer.path().trim_end_matches('/'));
        url.set_path(&path);
        let mut endpoint = Endpoint::open(&url, options).await?;
        let lifetime = options.ramp_up + options.warm_up + options.duration + TO_SPARE;
        let mut tokens = Vec::new();
        for user in 0..users {
            let mut wanted = json!({
                "subject": format!("{}{user}", options.subject_prefix),
                "client_id": "mcp-load",
                "resource": resource.as_str(),
                "expires_in": lifetime.as_secs(),
            });
            if let Some(scope) = &options.scope {
                wanted["scope"] = scope.as_str().into();
            }
            let body = wanted.to_string();
            tokens.push(endpoint.ask("application/json", body, None).await?);
        }
        return Ok(tokens);
    }
    if let Some(url) = &options.token_url {
        return Ok(vec![by_client_credentials(options, url, resource).await?]);
    }
    Err(LoadError::Usage("nobody gives tokens".to_owned()))
}

/// The tokens of a file, if there is to be one: they are there before anybody is asked.
pub(crate) fn from_file(options: &Options) -> Result<Option<Vec<HeaderValue>>, LoadError> {
    let Some(path) = &options.token_file else {
        return Ok(None);
    };
    let text = read_file(path, MOST_FILE)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let most = options.users.and_then(|users| usize::try_from(users).ok());
    let tokens: Result<Vec<_>, _> = lines.take(most.unwrap_or(usize::MAX)).map(bearer).collect();
    let tokens = tokens.map_err(|()| {
        LoadError::Usage(format!("{} has a line that is no token", path.display()))
    })?;
    if tokens.is_empty() {
        return Err(LoadError::Usage(format!("{} has no token", path.display())));
    }
    Ok(Some(tokens))
}

/// RFC 6749 §4.4, with the client's secret by Basic (§2.3.1) and the resource of RFC 8707.
async fn by_client_credentials(
    options: &Options,
    url: &Url,
    resource: &Url,
) -> Result<HeaderValue, LoadError> {
    let (Some(id), Some(file)) = (&options.client_id, &options.client_secret_file) else {
        return Err(LoadError::Usage(
            "--token-url needs --client-id and --client-secret-file".to_owned(),
        ));
    };
    let secret = read_file(file, MOST_ANSWER as u64)?;
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!(
        "{}:{}",
        encoded(id),
        encoded(secret.trim_end_matches(['\r', '\n']))
    );
    let mut basic = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)))
        .map_err(|error| LoadError::Usage(error.to_string()))?;
    basic.set_sensitive(true);
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    form.append_pair("resource", resource.as_str());
    if let Some(scope) = &options.scope {
        form.append_pair("scope", scope);
    }
    let mut endpoint = Endpoint::open(url, options).await?;
    let form_type = "application/x-www-form-urlencoded";
    endpoint.ask(form_type, form.finish(), Some(basic)).await
}

/// Where tokens are given out.
struct Endpoint {
    target: Target,
    connection: Connection,
    timeout: Duration,
}

impl Endpoint {
    async fn open(url: &Url, options: &Options) -> Result<Self, LoadError> {
        let target = Target::find(url, None, options.insecure_http).await?;
        let mut last = String::new();
        for turn in 0..target.addresses.len() {
            let opening = Connection::open(&target, turn);
            match within(options.timeout, opening).await {
                Ok(connection) => {
                    return Ok(Self {
                        target,
                        connection,
                        timeout: options.timeout,
                    });
                }
                Err(failure) => last = failure.detail,
            }
        }
        Err(LoadError::Unreachable {
            what: target.name,
            why: last,
        })
    }

    async fn ask(
        &mut self,
        media_type: &'static str,
        body: String,
        authorization: Option<HeaderValue>,
    ) -> Result<HeaderValue, LoadError> {
        #[derive(Deserialize)]
        struct Issued {
            access_token: String,
        }
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = hyper::Method::POST;
        *request.uri_mut() = self.target.path.clone();
        let headers = request.headers_mut();
        headers.insert(header::HOST, self.target.host.clone());
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(authorization) = authorization {
            headers.insert(header::AUTHORIZATION, authorization);
        }
        let unreachable = |why: String| LoadError::Unreachable {
            what: format!("{}{}", self.target.name, self.target.path),
            why,
        };
        let wanted = Wanted {
            id: None,
            most: MOST_ANSWER,
        };
        let connection = &mut self.connection;
        let exchange = async {
            let mut body = Vec::new();
            let sent = connection.send(request).await;
            let response = sent.map_err(|(failure, _)| failure)?;
            let reply = read(response, wanted, &mut body).await?;
            if !reply.status.is_success() {
                return Err(refused(reply.status, &reply.headers, &body));
            }
            Ok(body)
        };
        let answer = within(self.timeout, exchange).await;
        let body = answer.map_err(|failure| {
            unreachable(format!("{}: {}", failure.kind.name(), failure.detail))
        })?;
        // What it says is not shown: there may be a token in it.
        let nonsense = || unreachable("its answer has no access_token".to_owned());
        let issued: Issued = serde_json::from_slice(&body).map_err(|_| nonsense())?;
        bearer(&issued.access_token).map_err(|()| nonsense())
    }
}

/// RFC 6750 §2.1.
fn bearer(token: &str) -> Result<HeaderValue, ()> {
    let is_of_a_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if token.is_empty() || !token.bytes().all(is_of_a_token) {
        return Err(());
    }
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| ())?;
    value.set_sensitive(true);
    Ok(value)
}

fn read_file(path: &Path, most: u64) -> Result<String, LoadError> {
    let wrong = |source| LoadError::File {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    let file = File::open(path).map_err(wrong)?;
    file.take(most).read_to_string(&mut text).map_err(wrong)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_what_a_header_can_carry_and_is_not_shown() {
        for token in ["", "a b", "a\r\nb", "ä", "Bearer x"] {
            assert!(bearer(token).is_err(), "{token:?}");
        }
        let value = bearer("epa_abc-._~+/=").unwrap();
        assert_eq!(value, "Bearer epa_abc-._~+/=");
        assert_eq!(format!("{value:?}"), "Sensitive");
    }
}
