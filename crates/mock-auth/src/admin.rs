//! The pages and endpoints under `/admin`: tokens, revocations, faults, counts.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Deserialize;

use crate::{
    answer::{self, Body, OAuthError, Reply},
    consent, dev_endpoints,
    faults::{Endpoint, Fault, FaultMode, Plan},
    grants::Kind,
    html::Escaped,
    pages::{self, Handle, Page},
    params::Params,
    question::Step,
    state::State,
};

/// How many tokens the page lists.
const LISTED: usize = 50;

/// `GET /admin`.
pub(crate) async fn page(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let handle = consent::open_page(&request, &state, Step::Admin);
    let main = format!(
        "<h1>Admin</h1>\n<p class=\"soft\">Issuer <code>{}</code>. The same as JSON: \
         <a href=\"/admin/stats\">calls</a>, <a href=\"/admin/faults\">faults</a>.</p>\n{}{}{}",
        Escaped(&state.issuer),
        tokens(&state, &handle),
        users(&state, &handle),
        switches(&state, &handle),
    );
    let page = Page {
        wide: true,
        cookie: Some(&handle.cookie),
        ..Page::plain(StatusCode::OK, "Admin", &main)
    };
    page.answer(&state.title)
}

/// A table, as HTML cells under these columns. On a phone each row becomes a block whose cells repeat
/// their column's name; the roles say that it is a table all the same.
fn table(columns: &[&str], rows: &[Vec<String>]) -> String {
    let mut html = String::from("<table role=\"table\"><thead role=\"rowgroup\"><tr role=\"row\">");
    for column in columns {
        html += &format!("<th role=\"columnheader\" scope=\"col\">{column}</th>");
    }
    html += "</tr></thead>\n<tbody role=\"rowgroup\">";
    for row in rows {
        html += "<tr role=\"row\">";
        for (column, cell) in columns.iter().zip(row) {
            html += &format!("<td role=\"cell\" data-column=\"{column}\">{cell}</td>");
        }
        html += "</tr>\n";
    }
    html + "</tbody></table>\n"
}

fn tokens(state: &State, handle: &Handle) -> String {
    let (store, now) = state.store();
    let rows: Vec<_> = store
        .live_tokens(now)
        .take(LISTED)
        .map(|(digest, token)| {
            let grant = &token.grant;
            let kind = match token.kind {
                Kind::Access => "access",
                Kind::Refresh | Kind::SpentRefresh { .. } => "refresh",
            };
            let user = state.user(&grant.subject).map(|user| &user.username);
            let client = store.client(&grant.client_id, now);
            let client = client.as_ref().and_then(|client| client.name.as_deref());
            let fingerprint = digest.fingerprint();
            vec![
                format!("<code>{fingerprint}</code>"),
                kind.to_owned(),
                Escaped(user.unwrap_or(&grant.subject)).to_string(),
                format!("<bdi>{}</bdi>", Escaped(client.unwrap_or(&grant.client_id))),
                scopes(&grant.scope),
                left((token.expires - now).num_seconds()),
                button(handle, "revoke", &digest.id(), "Revoke", &fingerprint),
            ]
        })
        .collect();
    let clients = store.clients(now);
    if rows.is_empty() {
        return format!("<h2>Tokens</h2>\n<p>None yet. Registered clients: {clients}.</p>\n");
    }
    let columns = ["Token", "Kind", "For", "Client", "Scope", "Left", "Action"];
    format!(
        "<h2 id=\"tokens\">Tokens</h2>\n<p>The youngest {LISTED} at most, by the first 8 hex digits of \
         their SHA-256. Registered clients: {clients}.</p>\n\
         <section aria-labelledby=\"tokens\">{}</section>\n",
        table(&columns, &rows)
    )
}

/// Scope tokens, of which none breaks at a line's end.
fn scopes(list: &str) -> String {
    let scopes = list.split_ascii_whitespace();
    let scopes: Vec<_> = scopes
        .map(|scope| format!("<code>{}</code>", Escaped(scope)))
        .collect();
    scopes.join(" ")
}

fn left(seconds: i64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn users(state: &State, handle: &Handle) -> String {
    let rows: Vec<_> = state
        .users
        .iter()
        .map(|user| {
            vec![
                Escaped(&user.name).to_string(),
                Escaped(&user.username).to_string(),
                format!("<code>{}</code>", Escaped(&user.subject)),
                button(
                    handle,
                    "revoke_subject",
                    &user.subject,
                    "Revoke all",
                    &user.name,
                ),
            ]
        })
        .collect();
    let columns = ["Name", "User name", "Subject", "Action"];
    format!("<h2>People</h2>\n{}", table(&columns, &rows))
}

/// A form that is a button. `whose` tells it from its neighbours for those who do not see the row.
fn button(handle: &Handle, name: &str, value: &str, words: &str, whose: &str) -> String {
    format!(
        "<form method=\"post\" action=\"/admin\">{}<button name=\"{name}\" value=\"{}\" \
         aria-label=\"{words}: {}\">{words}</button></form>",
        handle.field(),
        Escaped(value),
        Escaped(whose),
    )
}

fn switches(state: &State, handle: &Handle) -> String {
    let mut plan = *state.faults.plan();
    let rows: Vec<_> = Endpoint::ALL
        .into_iter()
        .map(|endpoint| {
            let (fault, name) = (*plan.at(endpoint), endpoint.as_str());
            let options: String = FaultMode::ALL
                .into_iter()
                .filter(|(mode, _)| mode.fits(endpoint))
                .map(|(mode, word)| {
                    let selected = if mode == fault.mode { " selected" } else { "" };
                    format!("<option{selected}>{word}</option>")
                })
                .collect();
            vec![
                format!("<strong>{name}</strong>"),
                format!(
                    "<select name=\"{name}_mode\" aria-label=\"{name}: fault\">{options}</select>"
                ),
                number(name, "delay_ms", fault.delay_ms, "0", 600_000),
                number(name, "status", fault.status.into(), "500", 599),
            ]
        })
        .collect();
    let columns = ["Endpoint", "Fault", "Delay, ms", "Status"];
    format!(
        "<h2>Faults</h2>\n<p>What goes wrong, until it is set back to <code>none</code>. The delay comes \
         first, whatever the fault; the status counts for <code>error</code> only.</p>\n\
         <form method=\"post\" action=\"/admin\">\n{}\n{}\
         <div class=\"actions\"><button class=\"first\" name=\"faults\" value=\"set\">Set</button>\
         <button name=\"faults\" value=\"clear\">Back to normal</button></div>\n</form>\n",
        handle.field(),
        table(&columns, &rows),
    )
}

fn number(endpoint: &str, what: &str, value: u64, unset: &str, most: u64) -> String {
    let value = match value {
        0 => String::new(),
        value => value.to_string(),
    };
    format!(
        "<input type=\"number\" name=\"{endpoint}_{what}\" value=\"{value}\" placeholder=\"{unset}\" \
         min=\"0\" max=\"{most}\" aria-label=\"{endpoint}: {what}\">"
    )
}

/// `POST /admin`: a button of the page.
pub(crate) async fn press(request: HttpRequest, body: Body, state: web::Data<State>) -> Reply {
    let form = Params::parse(&answer::whole(body)?);
    let opened = consent::posted(&request, &state, &form);
    if !opened.is_some_and(|opened| matches!(opened.step, Step::Admin)) {
        let why = "the page is too old, or was opened in another browser";
        let open = "Open /admin again.";
        return Ok(pages::error(&state, StatusCode::BAD_REQUEST, why, open));
    }
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
                let range = "The fields say how far the numbers may go.";
                return Ok(pages::error(&state, StatusCode::BAD_REQUEST, why, range));
            }
        }
    }
    Ok(pages::see_other("/admin"))
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
        *plan.at(endpoint) = fault;
    }
    plan.is_sound().then_some(plan)
}

/// `GET /admin/faults`.
pub(crate) async fn faults(state: web::Data<State>) -> HttpResponse {
    answer::json(StatusCode::OK, &*state.faults.plan())
}

/// `PUT /admin/faults`: the faults from now on. An endpoint that is left out is normal again.
pub(crate) async fn set_faults(request: HttpRequest, body: Body, state: web::Data<State>) -> Reply {
    let plan: Plan = dev_endpoints::json(&request, body)?;
    if !plan.is_sound() {
        let range = "delay_ms is at most 600000, status between 400 and 599, and inactive, wrong_audience and expired \
             are for introspection, wrong_issuer for that and metadata";
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
pub(crate) async fn revoke(request: HttpRequest, body: Body, state: web::Data<State>) -> Reply {
    let what: Revoke = dev_endpoints::json(&request, body)?;
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
pub(crate) async fn stats(state: web::Data<State>) -> HttpResponse {
    let calls = state.calls.counts();
    let (store, now) = state.store();
    let (clients, tokens) = (store.clients(now), store.live_tokens(now).count());
    drop(store);
    answer::json(
        StatusCode::OK,
        &serde_json::json!({"calls": calls, "clients": clients, "live_tokens": tokens}),
    )
}
