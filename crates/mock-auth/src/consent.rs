//! The authorization endpoint: choose who you are, tick what the client may do, and go back.
//!
//! Each page carries a handle for what it is posted for: random, expiring, good for one post, and only
//! from the browser that was given the page. The browser is known by a cookie. That cookie is
//! `SameSite=Lax`: `Strict` would keep it back when a client opens the authorization request from
//! another site, and the new cookie set then would break what is open in other tabs. A forged post is
//! stopped by either, by the handle that the forger does not know, and by `Sec-Fetch-Site`.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    answer::{self, Body, ErrorCode, OAuthError, Reply},
    authorize::{self, AuthorizationRequest, Refusal, Step},
    client_document, middleware, pages,
    params::Params,
    secret,
    settings::User,
    state::State,
};

/// The longest query of an authorization request. It is kept while the page is open.
const LONGEST_QUERY: usize = 8 * 1024;

/// `GET /oauth/authorize`: the request is checked, and the page asks who is there.
pub(crate) async fn begin(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    match read(&request, &state).await {
        Ok(asked) => sign_in(&request, &state, asked),
        Err(Refusal::Page(why)) => pages::error(StatusCode::BAD_REQUEST, &why),
        Err(Refusal::Redirect(way_back, error)) => see_other(&way_back.with_error(&error)),
    }
}

/// Reads and checks the query of an authorization request.
pub(crate) async fn read(
    request: &HttpRequest,
    state: &State,
) -> Result<AuthorizationRequest, Refusal> {
    let query = request.query_string();
    if query.len() > LONGEST_QUERY {
        return Err(Refusal::Page("the request is too long".to_owned()));
    }
    let params = Params::parse(query.as_bytes());
    let id = authorize::client_id(&params).map_err(Refusal::Page)?;
    let client = client_document::find(request, state, id).await;
    let client = client.map_err(Refusal::Page)?;
    authorize::read(
        &params,
        client,
        &state.issuer,
        &state.resources,
        &state.scopes,
    )
}

/// `POST /oauth/authorize`: an answer from one of the two pages.
pub(crate) async fn go_on(request: HttpRequest, body: Body, state: web::Data<State>) -> Reply {
    let form = Params::parse(&answer::whole(body)?);
    Ok(match take_page(&request, &state, &form) {
        Some(Step::SignIn(asked)) => signed_in(&request, &state, *asked, &form),
        Some(Step::Consent(asked, user)) => decided(&request, &state, *asked, user, &form),
        Some(Step::Admin) | None => pages::error(
            StatusCode::BAD_REQUEST,
            "this page was used before, is more than 15 minutes old, or was opened in another browser",
        ),
    })
}

/// What the page that sent this form was for, if it is a page of ours in the browser that it was made
/// for, and was not used before.
pub(crate) fn take_page(request: &HttpRequest, state: &State, form: &Params) -> Option<Step> {
    let is_form = middleware::has_type(request, "application/x-www-form-urlencoded");
    if !is_form || !middleware::is_same_origin(request, state) {
        return None;
    }
    let browser = middleware::cookie(request.headers(), cookie_name(state))?;
    let (mut store, now) = state.store();
    store.take_page(form.get("page")?, browser, now)
}

/// The handle of a new page, and the `Set-Cookie` that ties it to the browser.
pub(crate) fn open_page(request: &HttpRequest, state: &State, step: Step) -> pages::Handle {
    let name = cookie_name(state);
    let browser: SecretString = middleware::cookie(request.headers(), name)
        .filter(|value| value.len() == 43)
        .map_or_else(|| secret::random(""), SecretString::from);
    let secure = if state.is_https() { "; Secure" } else { "" };
    let value = browser.expose_secret();
    let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}");
    let (mut store, now) = state.store();
    pages::Handle {
        page: store.open_page(&browser, step, now),
        cookie,
    }
}

/// Cookies know no ports, so the name has to tell this server from others on the machine.
fn cookie_name(state: &State) -> &'static str {
    if state.is_https() {
        "__Host-mock_auth_browser"
    } else {
        "mock_auth_browser"
    }
}

fn sign_in(request: &HttpRequest, state: &State, asked: AuthorizationRequest) -> HttpResponse {
    let handle = open_page(request, state, Step::SignIn(Box::new(asked.clone())));
    pages::sign_in(&handle, &asked, &state.users)
}

fn signed_in(
    request: &HttpRequest,
    state: &State,
    asked: AuthorizationRequest,
    form: &Params,
) -> HttpResponse {
    if form.get("decision") == Some("deny") {
        return deny(&asked);
    }
    match form.get("user").and_then(|subject| state.user(subject)) {
        Some(user) => ask_consent(request, state, asked, user.clone(), None),
        None => sign_in(request, state, asked),
    }
}

fn ask_consent(
    request: &HttpRequest,
    state: &State,
    asked: AuthorizationRequest,
    user: User,
    reminder: Option<&str>,
) -> HttpResponse {
    let step = Step::Consent(Box::new(asked.clone()), user.clone());
    let handle = open_page(request, state, step);
    pages::consent(&handle, &asked, &state.scopes, &user, reminder)
}

fn decided(
    request: &HttpRequest,
    state: &State,
    asked: AuthorizationRequest,
    user: User,
    form: &Params,
) -> HttpResponse {
    if form.get("decision") != Some("allow") {
        return deny(&asked);
    }
    let offered = asked.scopes.clone().unwrap_or_else(|| state.scopes.all());
    let granted = state.scopes.pick(form.all("scope")).and(&offered);
    if granted.is_empty() {
        let reminder = "Tick at least one permission, or choose Deny.";
        return ask_consent(request, state, asked, user, Some(reminder));
    }
    let (mut store, now) = state.store();
    let code = store.issue_code(asked.granted(&user, granted), now);
    see_other(&asked.way_back.with_code(code.expose_secret()))
}

fn deny(asked: &AuthorizationRequest) -> HttpResponse {
    let denied = OAuthError::new(ErrorCode::AccessDenied, "the user said no");
    see_other(&asked.way_back.with_error(&denied))
}

/// 303, after which every browser sends a GET: a 307 would post the form on to the client.
fn see_other(location: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, location))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .finish()
}
