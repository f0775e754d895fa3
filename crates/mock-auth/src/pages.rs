//! The pages that people see: plain HTML, no script, one style sheet.

use std::fmt::Write as _;

use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
    web,
};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    authorize::AuthorizationRequest, html::Escaped, paths, redirect, scopes::Grantable,
    settings::User, state::State, style,
};

/// What a page with a form needs: the handle for its post, and the cookie that the handle is tied to.
pub(crate) struct Handle {
    pub(crate) page: SecretString,
    pub(crate) cookie: String,
}

impl Handle {
    /// The hidden field.
    pub(crate) fn field(&self) -> String {
        let page = self.page.expose_secret();
        format!("<input type=\"hidden\" name=\"page\" value=\"{page}\">")
    }
}

/// A page on its way.
pub(crate) struct Page<'a> {
    pub(crate) status: StatusCode,
    pub(crate) title: &'a str,
    /// HTML.
    pub(crate) main: &'a str,
    pub(crate) wide: bool,
    /// Where its forms may end, other than here.
    pub(crate) way_back: Option<&'a str>,
    pub(crate) handle: Option<&'a Handle>,
}

impl Page<'_> {
    pub(crate) fn answer(&self) -> HttpResponse {
        let (title, main) = (Escaped(self.title), self.main);
        let class = if self.wide { " class=\"wide\"" } else { "" };
        let html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title} · mock-auth</title>\n<style>{}</style>\n</head>\n<body{class}>\n\
             <header><span class=\"name\">mock-auth</span>\
             <span class=\"badge\">Development server, no passwords</span></header>\n\
             <main>\n{main}</main>\n\
             <footer>Anybody who reaches this server can be anybody here. \
             Keep real secrets out.</footer>\n</body>\n</html>\n",
            style::SHEET
        );
        let mut response = HttpResponse::build(self.status);
        response
            .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::REFERRER_POLICY, "no-referrer"))
            .insert_header((header::CONTENT_SECURITY_POLICY, self.policy()));
        if let Some(handle) = self.handle {
            response.insert_header((header::SET_COOKIE, handle.cookie.as_str()));
        }
        response.body(html)
    }

    fn policy(&self) -> String {
        let way_back = self
            .way_back
            .map(|uri| format!(" {}", redirect::source(uri)))
            .unwrap_or_default();
        format!(
            "default-src 'none'; style-src {}; form-action 'self'{way_back}; \
             frame-ancestors 'none'; base-uri 'none'",
            *style::SOURCE
        )
    }
}

/// A page that says why the browser's way ends here.
pub(crate) fn error(status: StatusCode, why: &str) -> HttpResponse {
    let main = format!(
        "<h1>This request cannot be answered</h1>\n\
         <p class=\"reminder\">Because {}.</p>\n\
         <p>Nothing was granted, and you were not sent back to the app.</p>\n\
         <h2>What to do</h2>\n\
         <p>Go back to the app and connect again. If it says that the client is not registered, this \
         server was probably restarted since: it keeps everything in memory. Remove the connection \
         in the app, so that it registers anew.</p>\n",
        Escaped(why)
    );
    let page = Page {
        status,
        title: "Cannot be answered",
        main: &main,
        wide: false,
        way_back: None,
        handle: None,
    };
    page.answer()
}

/// Page 1: who is there?
pub(crate) fn sign_in(
    handle: &Handle,
    asked: &AuthorizationRequest,
    users: &[User],
) -> HttpResponse {
    let mut buttons = String::new();
    for user in users {
        let (subject, name) = (Escaped(&user.subject), Escaped(&user.name));
        let initial = user.name.chars().next().unwrap_or('?').to_string();
        let (initial, username) = (Escaped(&initial), Escaped(&user.username));
        writeln!(
            buttons,
            "<button class=\"person\" name=\"user\" value=\"{subject}\">\
             <span class=\"face\" aria-hidden=\"true\">{initial}</span>\
             <span>{name} <span class=\"soft\">{username}</span></span></button>"
        )
        .expect("a String takes whatever is written");
    }
    let main = format!(
        "<h1>Who are you?</h1>\n\
         <p><strong><bdi>{}</bdi></strong> asks for access. Pick a demo user; no password is \
         needed.</p>\n\
         <form method=\"post\" action=\"/oauth/authorize\">\n{}\n\
         <fieldset><legend>Go on as</legend>\n{buttons}</fieldset>\n\
         <div class=\"actions\"><button name=\"decision\" value=\"deny\">Cancel</button></div>\n\
         </form>\n",
        Escaped(name_of(asked)),
        handle.field()
    );
    let page = Page {
        status: StatusCode::OK,
        title: "Who are you?",
        main: &main,
        wide: false,
        way_back: Some(&asked.way_back.redirect_uri),
        handle: Some(handle),
    };
    page.answer()
}

/// Page 2: what may the client do?
pub(crate) fn consent(
    handle: &Handle,
    asked: &AuthorizationRequest,
    grantable: &Grantable,
    user: &User,
    reminder: Option<&str>,
) -> HttpResponse {
    let reminder = reminder.map_or_else(String::new, |text| {
        format!(
            "<p class=\"reminder\" role=\"alert\">{}</p>\n",
            Escaped(text)
        )
    });
    let main = format!(
        "<h1>Allow <bdi>{}</bdi> to act for you?</h1>\n\
         <p class=\"soft\">The app gave itself this name; nobody has checked it.</p>\n\
         <dl>\n{}</dl>\n\
         <form method=\"post\" action=\"/oauth/authorize\">\n{}\n{reminder}\
         <fieldset><legend>It wants to</legend>\n{}</fieldset>\n\
         <div class=\"actions\"><button class=\"first\" name=\"decision\" value=\"allow\">Allow</button>\
         <button name=\"decision\" value=\"deny\">Deny</button></div>\n</form>\n",
        Escaped(name_of(asked)),
        facts(asked, user),
        handle.field(),
        ticks(asked, grantable),
    );
    let page = Page {
        status: StatusCode::OK,
        title: "Allow access?",
        main: &main,
        wide: false,
        way_back: Some(&asked.way_back.redirect_uri),
        handle: Some(handle),
    };
    page.answer()
}

fn facts(asked: &AuthorizationRequest, user: &User) -> String {
    let place = redirect::place(&asked.way_back.redirect_uri);
    let mut facts = String::new();
    let mut fact = |term: &str, detail: &str| {
        writeln!(
            facts,
            "<div><dt>{term}</dt><dd>{}</dd></div>",
            Escaped(detail)
        )
        .expect("a String takes whatever is written");
    };
    fact("You are", &format!("{} ({})", user.name, user.username));
    fact("Sends you to", &place);
    if let Some(host) = &asked.client.document_host {
        fact("Vouched for by", host);
    }
    for resource in &asked.resources {
        fact("For use at", resource);
    }
    facts
}

fn ticks(asked: &AuthorizationRequest, grantable: &Grantable) -> String {
    let offered = asked.scopes.clone().unwrap_or_else(|| grantable.all());
    let mut ticks = String::new();
    for scope in grantable
        .iter()
        .filter(|scope| offered.contains(&scope.name))
    {
        let (scope, words) = (Escaped(&scope.name), Escaped(&scope.description));
        writeln!(
            ticks,
            "<label class=\"tick\"><input type=\"checkbox\" name=\"scope\" value=\"{scope}\" checked>\
             <span>{words} <code>{scope}</code></span></label>"
        )
        .expect("a String takes whatever is written");
    }
    ticks
}

fn name_of(asked: &AuthorizationRequest) -> &str {
    let name = asked.client.name.as_deref().map(str::trim);
    name.filter(|name| !name.is_empty())
        .unwrap_or("An app without a name")
}

/// `GET /`: what this is.
pub(crate) async fn index(state: web::Data<State>) -> HttpResponse {
    let main = format!(
        "<h1>A mock authorization server</h1>\n\
         <p>An OAuth 2.1 server for development: discovery, registration, sign-in and consent pages, \
         tokens, introspection and revocation, all in memory. Its issuer is <code>{}</code>.</p>\n\
         <ul>\n\
         <li><a href=\"{}\">Metadata</a> (RFC 8414), and the <a href=\"{}\">OpenID form</a> of it</li>\n\
         <li><a href=\"/admin\">Admin</a>: tokens, revocation, faults</li>\n\
         <li><a href=\"/admin/stats\">Calls</a> of each endpoint, as JSON</li>\n</ul>\n\
         <h2>A token without a browser</h2>\n\
         <pre><code>curl -s {}/dev/token \\\n  -H 'content-type: application/json' -d '{{}}'</code></pre>\n\
         <p class=\"soft\">The body may name <code>user</code>, <code>scope</code>, \
         <code>resource</code> and <code>expires_in</code>.</p>\n",
        Escaped(&state.issuer),
        paths::OAUTH_METADATA,
        paths::OPENID_METADATA,
        Escaped(&state.issuer),
    );
    let page = Page {
        status: StatusCode::OK,
        title: "Start",
        main: &main,
        wide: false,
        way_back: None,
        handle: None,
    };
    page.answer()
}

pub(crate) async fn healthcheck() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body("ok")
}
