//! Where people answer: choose who you are, tick what the client may do, and go back.
//!
//! Each page carries a handle for what it is posted for: random, expiring, and good only in the browser that was given the page. A
//! post is answered by a redirect to the next page, so that going back, reloading and answering again do what a person expects; the
//! handle is good for that until it is too old. The browser is known by a cookie. That cookie is `SameSite=Lax`: `Strict` would keep
//! it back when a client opens the authorization request from another site, and the new cookie set then would break what is open in
//! other tabs. A forged post is stopped by either, by the handle that the forger does not know, and by `Sec-Fetch-Site`.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    answer::{self, Body, ErrorCode, OAuthError, Reply},
    authorize::{self, AuthorizationRequest, Refusal},
    client_document,
    device_codes::Answer,
    middleware,
    pages::{self, Handle},
    params::Params,
    paths,
    question::{Question, Step},
    questions::{self, Consent},
    redirect, secret,
    state::State,
    store::Opened,
    user::User,
};

/// The longest query of an authorization request. It is kept while the page is open.
const LONGEST_QUERY: usize = 8 * 1024;

const TOO_OLD: &str = "this page is more than 15 minutes old, or was opened in another browser";

/// What a person can do about a page that is too old.
pub(crate) const CONNECT_AGAIN: &str = "Go back to the app and connect again.";

/// `GET /oauth/authorize`: the request is checked, and the page asks who is there.
pub(crate) async fn begin(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    match read(&request, &state).await {
        Ok(asked) => match &state.auto_consent {
            Some(user) if redirect::is_on_this_computer(&asked.way_back.redirect_uri) => {
                consent_at_once(&state, &asked, user)
            }
            _ => ask(&request, &state, asked),
        },
        Err(Refusal::Page(why, what_to_do)) => {
            pages::error(&state, StatusCode::BAD_REQUEST, &why, what_to_do)
        }
        Err(Refusal::Redirect(way_back, error)) => pages::see_other(&way_back.with_error(&error)),
    }
}

/// The page that asks who is there.
fn ask(request: &HttpRequest, state: &State, asked: AuthorizationRequest) -> HttpResponse {
    let question = Question::Authorization(asked.into());
    let handle = open_page(request, state, Step::SignIn(question.clone()));
    questions::sign_in(&handle, &question, &state.users, &state.title)
}

/// The redirect with a code for all that was asked for: the settings have consented for this user.
fn consent_at_once(state: &State, asked: &AuthorizationRequest, user: &User) -> HttpResponse {
    let scopes = asked.scopes.clone();
    let scopes = scopes.unwrap_or_else(|| state.scopes.all());
    let (mut store, now) = state.store();
    let code = store.issue_code(asked.granted(user, scopes), now);
    pages::see_other(&asked.way_back.with_code(code.expose_secret()))
}

/// Reads and checks the query of an authorization request.
pub(crate) async fn read(
    request: &HttpRequest,
    state: &State,
) -> Result<AuthorizationRequest, Refusal> {
    let query = request.query_string();
    if query.len() > LONGEST_QUERY {
        return Err(Refusal::page("the request is too long"));
    }
    let params = Params::parse(query.as_bytes());
    let id = authorize::client_id(&params).map_err(Refusal::page)?;
    let client = client_document::find(request, state, id).await;
    let client = client.map_err(|none| Refusal::Page(none.to_string(), none.what_to_do()))?;
    authorize::read(
        &params,
        client,
        &state.issuer,
        &state.resources,
        &state.scopes,
        &state.authorization_details,
    )
}

/// `GET /oauth/sign-in`: who is there, once more.
pub(crate) async fn sign_in(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    match visited(&request, &state) {
        Some((handle, opened)) => match opened.step {
            Step::SignIn(question) | Step::Consent(question, _) => {
                questions::sign_in(&handle, &question, &state.users, &state.title)
            }
            Step::Device | Step::Admin => too_old(&state),
        },
        None => too_old(&state),
    }
}

/// `GET /oauth/consent`: what may the client do?
pub(crate) async fn consent(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let Some((handle, opened)) = visited(&request, &state) else {
        return too_old(&state);
    };
    let Step::Consent(question, user) = opened.step else {
        return too_old(&state);
    };
    let is_reminded = Params::parse(request.query_string().as_bytes())
        .get("reminder")
        .is_some();
    let unticked = opened
        .unticked
        .unwrap_or_else(|| unticked_before(&state, &question, &user));
    let page = Consent {
        handle: &handle,
        asked: &question,
        grantable: &state.scopes,
        user: &user,
        unticked: &unticked,
        reminder: is_reminded.then_some("Tick at least one permission, or choose Deny."),
    };
    page.answer(&state.title)
}

/// The scopes that this person unticked for this client before. Where that is all that the client asks for, it asks for what it
/// found missing, and a page without a tick would be a riddle.
fn unticked_before(state: &State, question: &Question, user: &User) -> Vec<String> {
    let offered = question.scopes().cloned();
    let offered = offered.unwrap_or_else(|| state.scopes.all());
    let (store, now) = state.store();
    let unticked = store.unticked(&user.subject, &question.client().id, now);
    if offered.iter().all(|scope| unticked.contains(scope)) {
        return Vec::new();
    }
    unticked.to_vec()
}

/// The page that the address names, if this browser opened it.
fn visited(request: &HttpRequest, state: &State) -> Option<(Handle, Opened)> {
    let params = Params::parse(request.query_string().as_bytes());
    let page = params.get("page")?;
    let browser = middleware::cookie(request.headers(), cookie_name(state))?;
    let (store, now) = state.store();
    let opened = store.page(page, browser, now)?;
    let handle = Handle {
        page: page.into(),
        cookie: cookie(state, browser),
    };
    Some((handle, opened))
}

fn too_old(state: &State) -> HttpResponse {
    pages::error(state, StatusCode::BAD_REQUEST, TOO_OLD, CONNECT_AGAIN)
}

/// `POST /oauth/authorize`: an answer from one of the two pages.
pub(crate) async fn go_on(request: HttpRequest, body: Body, state: web::Data<State>) -> Reply {
    let form = Params::parse(&answer::whole(body)?);
    let step = posted(&request, &state, &form).map(|opened| opened.step);
    let (question, user) = match step {
        Some(Step::SignIn(question)) => (question, None),
        Some(Step::Consent(question, user)) => (question, Some(user)),
        Some(Step::Device | Step::Admin) | None => return Ok(too_old(&state)),
    };
    // The page that asks who is there may be that of somebody who was signed in already.
    if let Some(subject) = form.get("user") {
        return Ok(match state.user(subject) {
            Some(user) => {
                let step = Step::Consent(question, user.clone());
                let handle = open_page(&request, &state, step);
                pages::see_other(&handle.address(paths::CONSENT))
            }
            None => pages::error(
                &state,
                StatusCode::BAD_REQUEST,
                "there is no such user",
                CONNECT_AGAIN,
            ),
        });
    }
    Ok(match (user, form.get("decision")) {
        (Some(user), Some("allow")) => allow(&state, &question, &user, &form),
        (Some(_), _) | (None, Some("deny")) => deny(&state, &question),
        (None, _) => {
            let page = form.get("page").unwrap_or_default();
            pages::see_other(&format!("{}?page={page}", paths::SIGN_IN))
        }
    })
}

/// The page that sent this form, if it is a page of ours in the browser that it was made for.
pub(crate) fn posted(request: &HttpRequest, state: &State, form: &Params) -> Option<Opened> {
    let is_form = middleware::has_type(request, "application/x-www-form-urlencoded");
    if !is_form || !middleware::is_same_origin(request, state) {
        return None;
    }
    let browser = middleware::cookie(request.headers(), cookie_name(state))?;
    let (store, now) = state.store();
    store.page(form.get("page")?, browser, now)
}

/// The handle of a new page, and the `Set-Cookie` that ties it to the browser.
pub(crate) fn open_page(request: &HttpRequest, state: &State, step: Step) -> Handle {
    let name = cookie_name(state);
    let browser: SecretString = middleware::cookie(request.headers(), name)
        .filter(|value| value.len() == 43)
        .map_or_else(|| secret::random(""), SecretString::from);
    let (mut store, now) = state.store();
    Handle {
        page: store.open_page(&browser, step, now),
        cookie: cookie(state, browser.expose_secret()),
    }
}

fn cookie(state: &State, value: &str) -> String {
    let name = cookie_name(state);
    let secure = if state.is_https() { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}")
}

/// Cookies know no ports, so the name has to tell this server from others on the machine.
fn cookie_name(state: &State) -> &'static str {
    if state.is_https() {
        "__Host-mock_auth_browser"
    } else {
        "mock_auth_browser"
    }
}

fn allow(state: &State, question: &Question, user: &User, form: &Params) -> HttpResponse {
    let offered = question.scopes().cloned();
    let offered = offered.unwrap_or_else(|| state.scopes.all());
    let granted = state.scopes.pick(form.all("scope")).and(&offered);
    let (mut store, now) = state.store();
    let page = form.get("page").unwrap_or_default();
    let left_out = offered.iter().filter(|scope| !granted.contains(scope));
    store.note_unticked(page, left_out.cloned().collect(), now);
    if granted.is_empty() {
        let consent = paths::CONSENT;
        return pages::see_other(&format!("{consent}?page={page}&reminder=1"));
    }
    store.remember_choice(
        &user.subject,
        &question.client().id,
        &offered,
        &granted,
        now,
    );
    match question {
        Question::Authorization(asked) => {
            let code = store.issue_code(asked.granted(user, granted), now);
            pages::see_other(&asked.way_back.with_code(code.expose_secret()))
        }
        Question::Device(asked) => {
            let answer = Answer::Allowed {
                subject: user.subject.clone(),
                scopes: granted,
            };
            told(
                state,
                store.devices.answer(asked, answer, now),
                paths::DEVICE_ALLOWED,
            )
        }
    }
}

fn deny(state: &State, question: &Question) -> HttpResponse {
    match question {
        Question::Authorization(asked) => {
            let denied = OAuthError::new(ErrorCode::AccessDenied, "the user said no");
            pages::see_other(&asked.way_back.with_error(&denied))
        }
        Question::Device(asked) => {
            let (mut store, now) = state.store();
            told(
                state,
                store.devices.answer(asked, Answer::Denied, now),
                paths::DEVICE_DENIED,
            )
        }
    }
}

/// Where the browser goes once a device was answered.
fn told(state: &State, is_waiting: bool, page: &str) -> HttpResponse {
    if is_waiting {
        return pages::see_other(page);
    }
    pages::error(
        state,
        StatusCode::BAD_REQUEST,
        "the device does not wait any more",
        "Start the sign-in on the device again, and enter the new code.",
    )
}
