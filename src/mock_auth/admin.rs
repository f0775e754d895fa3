//! What whoever runs the server sees and does: tokens, revocations, faults, counts.

use std::fmt::Write as _;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use serde::Deserialize;

use super::{
    answer::{self, Body, OAuthError, Reply},
    authorize::Step,
    consent,
    faults::{Endpoint, Fault, FaultMode, Plan},
    html::Escaped,
    pages::{self, Handle, Page},
    params::Params,
    server::State,
    shortcuts,
    store::Kind,
};

/// How many tokens the page lists.
const LISTED: usize = 50;

/// `GET /admin`.
pub(super) async fn page(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let handle = consent::open_page(&request, &state, Step::Admin);
    let main = format!(
        "<h1>Admin</h1>\n<p class=\"soft\">Issuer <code>{}</code>. The same as JSON: \
         <a href=\"/admin/stats\">calls</a>, <a href=\"/admin/faults\">faults</a>.</p>\n{}{}{}",
        Escaped(&state.issuer),
        tokens(&state, &handle),
        people(&state, &handle),
        switches(&state, &handle),
    );
    let page = Page {
        status: StatusCode::OK,
        title: "Admin",
        main: &main,
        wide: true,
        way_back: None,
        handle: Some(&handle),
    };
    page.answer()
}

fn tokens(state: &State, handle: &Handle) -> String {
    let (store, now) = state.store();
    let mut rows = String::new();
    for (digest, token) in store.live_tokens(now).take(LISTED) {
        let kind = match token.kind {
            Kind::Access => "access",
            Kind::Refresh | Kind::SpentRefresh => "refresh",
        };
        let grant = &token.grant;
        let who = state
            .user(&grant.subject)
            .map_or(grant.subject.as_str(), |user| user.username.as_str());
        let client = store.client(&grant.client_id, now);
        let client = client.as_ref().and_then(|client| client.name.as_deref());
        writeln!(
            rows,
            "<tr><td><code>{0}</code></td><td>{kind}</td><td>{1}</td><td><bdi>{2}</bdi></td>\
             <td><code>{3}</code></td><td>{4}</td><td>{5}</td></tr>",
            digest.fingerprint(),
            Escaped(who),
            Escaped(client.unwrap_or(&grant.client_id)),
            Escaped(&grant.scope),
            left((token.expires - now).num_seconds()),
            button(handle, "revoke", &digest.id(), "Revoke"),
        )
        .expect("a String takes whatever is written");
    }
    let clients = store.clients(now);
    if rows.is_empty() {
        return format!(
            "<h2>Tokens</h2>\n<p>There are none yet. {clients} clients are registered.</p>\n"
        );
    }
    format!(
        "<h2>Tokens</h2>\n<p>The youngest {LISTED} at most, by the first 8 hex digits of their SHA-256. \
         {clients} clients are registered.</p>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" \
         aria-label=\"Tokens\"><table><thead><tr><th scope=\"col\">Token</th>\
         <th scope=\"col\">Kind</th><th scope=\"col\">For</th><th scope=\"col\">Client</th>\
         <th scope=\"col\">Scope</th><th scope=\"col\">Left</th><th scope=\"col\">Action</th></tr></thead>\n\
         <tbody>{rows}</tbody></table></div>\n"
    )
}

fn left(seconds: i64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn people(state: &State, handle: &Handle) -> String {
    let mut rows = String::new();
    for user in &state.users {
        writeln!(
            rows,
            "<tr><td>{}</td><td>{}</td><td><code>{}</code></td><td>{}</td></tr>",
            Escaped(&user.name),
            Escaped(&user.username),
            Escaped(&user.subject),
            button(handle, "revoke_subject", &user.subject, "Revoke all"),
        )
        .expect("a String takes whatever is written");
    }
    format!(
        "<h2>People</h2>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"People\">\
         <table><thead><tr><th scope=\"col\">Name</th><th scope=\"col\">User name</th>\
         <th scope=\"col\">Subject</th><th scope=\"col\">Action</th></tr></thead>\n\
         <tbody>{rows}</tbody></table></div>\n"
    )
}

fn button(handle: &Handle, name: &str, value: &str, words: &str) -> String {
    format!(
        "<form method=\"post\" action=\"/admin\">{}<button name=\"{name}\" value=\"{}\">{words}</button></form>",
        handle.field(),
        Escaped(value),
    )
}

fn switches(state: &State, handle: &Handle) -> String {
    let mut plan = *state.faults.plan();
    let mut rows = String::new();
    for endpoint in Endpoint::ALL {
        let (fault, name) = (*plan.at(endpoint), endpoint.as_str());
        let mut options = String::new();
        for (mode, word) in FaultMode::ALL {
            let selected = if mode == fault.mode { " selected" } else { "" };
            write!(options, "<option{selected}>{word}</option>")
                .expect("a String takes whatever is written");
        }
        writeln!(
            rows,
            "<tr><th scope=\"row\">{name}</th>\
             <td><select name=\"{name}_mode\" aria-label=\"{name}: fault\">{options}</select></td>\
             <td><input type=\"number\" name=\"{name}_delay_ms\" value=\"{}\" min=\"0\" max=\"600000\" \
             aria-label=\"{name}: delay in milliseconds\"></td>\
             <td><input type=\"number\" name=\"{name}_status\" value=\"{}\" min=\"0\" max=\"599\" \
             aria-label=\"{name}: status, 0 for 500\"></td></tr>",
            fault.delay_ms, fault.status,
        )
        .expect("a String takes whatever is written");
    }
    format!(
        "<h2>Faults</h2>\n<p>What goes wrong, until it is set back to <code>none</code>. The status counts for \
         <code>error</code> only, and 0 means 500.</p>\n\
         <form method=\"post\" action=\"/admin\">\n{}\n<div class=\"scroll\"><table><thead><tr>\
         <th scope=\"col\">Endpoint</th><th scope=\"col\">Fault</th><th scope=\"col\">Delay, ms</th>\
         <th scope=\"col\">Status</th></tr></thead>\n<tbody>{rows}</tbody></table></div>\n\
         <div class=\"actions\"><button class=\"first\" name=\"faults\" value=\"set\">Set</button>\
         <button name=\"faults\" value=\"clear\">Back to normal</button></div>\n</form>\n",
        handle.field()
    )
}

/// `POST /admin`: a button of the page.
pub(super) async fn press(request: HttpRequest, body: Body, state: web::Data<State>) -> Reply {
    let form = Params::parse(&answer::whole(body)?);
    let Some(Step::Admin) = consent::take_page(&request, &state, &form) else {
        let why = "the page was used before or is too old; open /admin again";
        return Ok(pages::error(StatusCode::BAD_REQUEST, why));
    };
    if let Some(id) = form.get("revoke") {
        let (mut store, now) = state.store();
        store.revoke_id(id, now);
    } else if let Some(subject) = form.get("revoke_subject") {
        let (mut store, _) = state.store();
        store.revoke_where(|grant| grant.subject == subject);
    } else if form.get("faults") == Some("clear") {
        state.faults.clear();
    } else if form.get("faults") == Some("set") {
        match plan(&form) {
            Some(plan) => *state.faults.plan() = plan,
            None => {
                let why = "a number is out of its range";
                return Ok(pages::error(StatusCode::BAD_REQUEST, why));
            }
        }
    }
    Ok(HttpResponse::SeeOther()
        .insert_header((header::LOCATION, "/admin"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish())
}

/// The faults that the page's form asks for.
fn plan(form: &Params) -> Option<Plan> {
    let mut plan = Plan::default();
    for endpoint in Endpoint::ALL {
        let field = |name: &str| form.get(&format!("{}_{name}", endpoint.as_str()));
        let mode = field("mode")?;
        let (mode, _) = FaultMode::ALL.into_iter().find(|(_, word)| *word == mode)?;
        let fault = Fault {
            mode,
            delay_ms: field("delay_ms").map_or(Some(0), |it| it.parse().ok())?,
            status: field("status").map_or(Some(0), |it| it.parse().ok())?,
        };
        *plan.at(endpoint) = Some(fault).filter(Fault::is_sound)?;
    }
    Some(plan)
}

/// `GET /admin/faults`.
pub(super) async fn faults(state: web::Data<State>) -> HttpResponse {
    answer::json(StatusCode::OK, &*state.faults.plan())
}

/// `PUT /admin/faults`: the faults from now on. An endpoint that is left out is normal again.
pub(super) async fn set_faults(request: HttpRequest, body: Body, state: web::Data<State>) -> Reply {
    let mut plan: Plan = shortcuts::json(&request, body)?;
    if Endpoint::ALL
        .iter()
        .any(|endpoint| !plan.at(*endpoint).is_sound())
    {
        let range = "delay_ms is at most 600000, and status between 400 and 599";
        return Err(OAuthError::invalid_request(range));
    }
    *state.faults.plan() = plan;
    Ok(answer::json(StatusCode::OK, &plan))
}

/// What `POST /admin/revoke` takes: one of these.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Revoke {
    Token(String),
    Subject(String),
    ClientId(String),
}

/// `POST /admin/revoke`: answers how many tokens or grants were ended.
pub(super) async fn revoke(request: HttpRequest, body: Body, state: web::Data<State>) -> Reply {
    let what: Revoke = shortcuts::json(&request, body)?;
    let (mut store, _) = state.store();
    let revoked = match what {
        Revoke::Token(token) => usize::from(store.revoke(&token)),
        Revoke::Subject(subject) => store.revoke_where(|grant| grant.subject == subject),
        Revoke::ClientId(id) => store.revoke_where(|grant| grant.client_id == id),
    };
    Ok(answer::json(
        StatusCode::OK,
        &serde_json::json!({"revoked": revoked}),
    ))
}

/// `GET /admin/stats`: how often each endpoint was called, and what is in memory.
pub(super) async fn stats(state: web::Data<State>) -> HttpResponse {
    let calls = state.calls.counts();
    let (store, now) = state.store();
    let (clients, tokens) = (store.clients(now), store.live_tokens(now).count());
    drop(store);
    answer::json(
        StatusCode::OK,
        &serde_json::json!({"calls": calls, "clients": clients, "live_tokens": tokens}),
    )
}
