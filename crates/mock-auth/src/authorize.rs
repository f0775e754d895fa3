//! The authorization request: what it has to look like, and where its faults are reported. Pure.

use std::sync::Arc;

use crate::{
    answer::{ErrorCode, OAuthError},
    client::{Client, GrantType},
    details::Details,
    grants::CodeGrant,
    params::Params,
    pkce::Challenge,
    redirect,
    resource::Resources,
    scopes::{Grantable, Scopes},
    user::User,
};

/// A sound authorization request.
#[derive(Clone, Debug)]
pub(crate) struct AuthorizationRequest {
    pub(crate) client: Arc<Client>,
    pub(crate) way_back: WayBack,
    /// Whether the request named the redirect URI; the token request has to repeat it then.
    redirect_uri_named: bool,
    challenge: Challenge,
    /// The scopes asked for, if any were named.
    pub(crate) scopes: Option<Scopes>,
    pub(crate) resources: Vec<String>,
    /// What else was asked for (RFC 9396).
    pub(crate) details: Details,
}

/// Where the browser goes in the end, and what it takes along whatever happens.
#[derive(Clone, Debug)]
pub(crate) struct WayBack {
    pub(crate) redirect_uri: String,
    state: Option<String>,
    issuer: String,
}

impl WayBack {
    /// The redirect for a code (RFC 6749 §4.1.2, with the issuer of RFC 9207 against mix-up).
    pub(crate) fn with_code(&self, code: &str) -> String {
        self.with(&[("code", code)])
    }

    /// The redirect for an error (RFC 6749 §4.1.2.1; RFC 9207 §2 wants the issuer here as well).
    pub(crate) fn with_error(&self, error: &OAuthError) -> String {
        let code = error.code.as_str();
        self.with(&[("error", code), ("error_description", &error.description)])
    }

    fn with(&self, outcome: &[(&str, &str)]) -> String {
        let mut pairs = outcome.to_vec();
        pairs.extend(self.state.as_deref().map(|state| ("state", state)));
        pairs.push(("iss", &self.issuer));
        redirect::with(&self.redirect_uri, &pairs)
    }
}

/// Why a request is refused, and who is told.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The person, on a page that says why, and what to do: it is not certain where a redirect would lead (RFC 6749 §4.1.2.1).
    Page(String, &'static str),
    /// The client, by a redirect.
    Redirect(WayBack, OAuthError),
}

impl Refusal {
    pub(crate) fn page(why: impl Into<String>) -> Self {
        let what_to_do = "Go back to the app and connect again. If this page comes back, remove the connection in the app \
             and add it again, so that the app registers anew.";
        Self::Page(why.into(), what_to_do)
    }
}

/// The client id of a request, before anything is known about the client.
pub(crate) fn client_id(params: &Params) -> Result<&str, String> {
    if params.repeats("client_id") {
        return Err("client_id is there twice".to_owned());
    }
    let id = params.get("client_id");
    id.ok_or_else(|| "client_id is missing".to_owned())
}

/// Checks a request of this client. The order matters: until client and redirect URI are known to
/// belong together, nothing is sent anywhere.
pub(crate) fn read(
    params: &Params,
    client: Arc<Client>,
    issuer: &str,
    resources: &Resources,
    grantable: &Grantable,
    types: &[String],
) -> Result<AuthorizationRequest, Refusal> {
    let redirect_uri = redirect_uri(params, &client).map_err(Refusal::page)?;
    let way_back = WayBack {
        redirect_uri,
        state: params.get("state").map(ToOwned::to_owned),
        issuer: issuer.to_owned(),
    };
    match read_rest(params, &client, resources, grantable, types) {
        Ok((challenge, scopes, resources, details)) => Ok(AuthorizationRequest {
            client,
            way_back,
            redirect_uri_named: params.get("redirect_uri").is_some(),
            challenge,
            scopes,
            resources,
            details,
        }),
        Err(error) => Err(Refusal::Redirect(way_back, error)),
    }
}

fn redirect_uri(params: &Params, client: &Client) -> Result<String, String> {
    if params.repeats("redirect_uri") {
        return Err("redirect_uri is there twice".to_owned());
    }
    match (params.get("redirect_uri"), client.redirect_uris.as_slice()) {
        (Some(asked), registered) => registered
            .iter()
            .any(|registered| redirect::matches(registered, asked))
            .then(|| asked.to_owned())
            .ok_or_else(|| "redirect_uri is not one that the client registered".to_owned()),
        // RFC 6749 §3.1.2.3: it may be left out where there is no choice.
        (None, [only]) => Ok(only.clone()),
        (None, _) => Err("redirect_uri is missing".to_owned()),
    }
}

type Rest = (Challenge, Option<Scopes>, Vec<String>, Details);

fn read_rest(
    params: &Params,
    client: &Client,
    resources: &Resources,
    grantable: &Grantable,
    types: &[String],
) -> Result<Rest, OAuthError> {
    if params.any_repeats() {
        return Err(OAuthError::invalid_request("a parameter is there twice"));
    }
    // Request objects (RFC 9101) would override what was just checked, so they are refused by name.
    if params.get("request").is_some() {
        let unknown = "request objects are not supported";
        return Err(OAuthError::new(ErrorCode::RequestNotSupported, unknown));
    }
    if params.get("request_uri").is_some() {
        let unknown = "request objects are not supported";
        return Err(OAuthError::new(ErrorCode::RequestUriNotSupported, unknown));
    }
    match params.get("response_type") {
        Some("code") => {}
        Some(_) => {
            let only = "response_type has to be code";
            return Err(OAuthError::new(ErrorCode::UnsupportedResponseType, only));
        }
        None => return Err(OAuthError::invalid_request("response_type is missing")),
    }
    if params
        .get("response_mode")
        .is_some_and(|mode| mode != "query")
    {
        return Err(OAuthError::invalid_request("response_mode has to be query"));
    }
    if !client.may(GrantType::AuthorizationCode) {
        let other = "the client did not register for authorization_code";
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, other));
    }
    let challenge = challenge(params)?;
    let scopes = params.get("scope");
    let scopes = scopes
        .map(|list| read_scopes(list, grantable))
        .transpose()?;
    let resources = resources.read(params.all("resource"))?;
    let details = Details::read(params.get("authorization_details"), types)?;
    if params.get("prompt") == Some("none") {
        let page = "there is no way to authorize without a page";
        return Err(OAuthError::new(ErrorCode::LoginRequired, page));
    }
    Ok((challenge, scopes, resources, details))
}

fn challenge(params: &Params) -> Result<Challenge, OAuthError> {
    let missing = "code_challenge is missing: PKCE is required";
    let challenge = params
        .get("code_challenge")
        .ok_or_else(|| OAuthError::invalid_request(missing))?;
    // RFC 7636 §4.3: left out, it means plain.
    if params.get("code_challenge_method") != Some("S256") {
        return Err(OAuthError::invalid_request(
            "code_challenge_method has to be S256",
        ));
    }
    let bad = "code_challenge is not the base64url form of a SHA-256";
    Challenge::parse(challenge).ok_or_else(|| OAuthError::invalid_request(bad))
}

fn read_scopes(list: &str, grantable: &Grantable) -> Result<Scopes, OAuthError> {
    let scopes = grantable.parse(list);
    let scopes = scopes.ok_or_else(|| OAuthError::invalid_scope("scope is malformed"))?;
    if scopes.is_empty() {
        return Err(OAuthError::invalid_scope(
            "none of these scopes is known here",
        ));
    }
    Ok(scopes)
}

impl AuthorizationRequest {
    /// What a code stands for, once this person has granted these scopes.
    pub(crate) fn granted(&self, user: &User, scopes: Scopes) -> CodeGrant {
        CodeGrant {
            client_id: self.client.id.clone(),
            redirect_uri: self
                .redirect_uri_named
                .then(|| self.way_back.redirect_uri.clone()),
            challenge: self.challenge.clone(),
            subject: user.subject.clone(),
            scopes,
            resources: self.resources.clone(),
            details: self.details.clone(),
            refreshable: self.client.may(GrantType::RefreshToken),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::settings::five_scopes;

    const GOOD: &str = "client_id=c&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&response_type=code&state=s\
        &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";

    fn ask(query: &str) -> Result<AuthorizationRequest, Refusal> {
        let client = Client {
            id: "c".to_owned(),
            name: None,
            redirect_uris: vec![
                "https://app.example/cb".to_owned(),
                "http://127.0.0.1/cb".to_owned(),
            ],
            grant_types: vec![GrantType::AuthorizationCode],
            secret: None,
            document_host: None,
        };
        let resources = Resources {
            allowed: Vec::new(),
            default: None,
        };
        let issuer = "http://127.0.0.1:7788";
        read(
            &Params::parse(query.as_bytes()),
            Arc::new(client),
            issuer,
            &resources,
            &Grantable::new(five_scopes()).unwrap(),
            &["account".to_owned()],
        )
    }

    fn error(query: &str) -> &'static str {
        match ask(query) {
            Err(Refusal::Redirect(way_back, error)) => {
                let location = way_back.with_error(&error);
                assert!(
                    location.starts_with("https://app.example/cb?error="),
                    "{location}"
                );
                assert!(
                    location.ends_with("iss=http%3A%2F%2F127.0.0.1%3A7788"),
                    "{location}"
                );
                error.code.as_str()
            }
            other => panic!("{query}: {other:?}"),
        }
    }

    #[test]
    fn a_sound_request_is_read() {
        let request = ask(&format!("{GOOD}&prompt=consent&login_hint=x")).unwrap();
        assert_eq!(request.scopes, None);
        assert_eq!(
            request.way_back.with_code("x"),
            "https://app.example/cb?code=x&state=s&iss=http%3A%2F%2F127.0.0.1%3A7788"
        );
    }

    #[test]
    fn a_doubtful_redirect_uri_is_never_followed() {
        for uri in [
            "https%3A%2F%2Fevil.example%2Fcb",
            "https%3A%2F%2Fapp.example%2Fcb%2F",
            "https%3A%2F%2Fapp.example%2Fcb&redirect_uri=https%3A%2F%2Fapp.example%2Fcb",
            "",
        ] {
            let query = GOOD.replace("https%3A%2F%2Fapp.example%2Fcb", uri);
            // A second fault changes nothing: this one is looked at first.
            let query = query.replace("response_type=code", "response_type=token");
            assert!(matches!(ask(&query), Err(Refusal::Page(..))), "{uri}");
        }
    }

    #[test]
    fn every_other_fault_goes_to_the_client() {
        for (from, to, code) in [
            (
                "response_type=code",
                "response_type=token",
                "unsupported_response_type",
            ),
            (
                "response_type=code",
                "response_mode=query",
                "invalid_request",
            ),
            ("method=S256", "method=plain", "invalid_request"),
            ("&code_challenge_method=S256", "", "invalid_request"),
            ("code_challenge=E9", "code_challenge=", "invalid_request"),
            (
                "code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&",
                "",
                "invalid_request",
            ),
            ("state=s", "state=s&state=t", "invalid_request"),
            ("state=s", "state=s&x=1&x=1", "invalid_request"),
            (
                "state=s",
                "state=s&response_mode=fragment",
                "invalid_request",
            ),
            ("state=s", "state=s&scope=openid", "invalid_scope"),
            ("state=s", "state=s&scope=%22", "invalid_scope"),
            ("state=s", "state=s&resource=mcp", "invalid_target"),
            (
                "state=s",
                "state=s&resource=https://a.example/%23f",
                "invalid_target",
            ),
            ("state=s", "state=s&request=x", "request_not_supported"),
            (
                "state=s",
                "state=s&request_uri=x",
                "request_uri_not_supported",
            ),
            ("state=s", "state=s&prompt=none", "login_required"),
            (
                "state=s",
                "state=s&authorization_details=[{\"type\":\"other\"}]",
                "invalid_authorization_details",
            ),
        ] {
            let query = GOOD.replace(from, to);
            assert_ne!(query, GOOD, "{from}");
            assert_eq!(error(&query), code, "{from} {to}");
        }
    }

    proptest! {
        #[test]
        fn any_query_is_refused_or_read(query in "[ -~]{0,200}") {
            let _ = ask(&query);
            let _ = ask(&format!("{GOOD}&{query}"));
        }
    }
}
