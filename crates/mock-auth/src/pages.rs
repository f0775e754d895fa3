//! What all pages have in common, and those without a form: plain HTML, no script, one style sheet.

use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
    web,
};
use secrecy::{ExposeSecret, SecretString};

use crate::{html::Escaped, paths, redirect, state::State, style};

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

    /// The address of a page that is opened with this handle.
    pub(crate) fn address(&self, path: &str) -> String {
        format!("{path}?page={}", self.page.expose_secret())
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
    /// The `Set-Cookie` that ties its handle to the browser.
    pub(crate) cookie: Option<&'a str>,
}

impl<'a> Page<'a> {
    /// A narrow page without a form.
    pub(crate) fn plain(status: StatusCode, title: &'a str, main: &'a str) -> Self {
        Self {
            status,
            title,
            main,
            wide: false,
            way_back: None,
            cookie: None,
        }
    }

    /// The answer, under the title of all pages.
    pub(crate) fn answer(&self, site: &str) -> HttpResponse {
        let (site, title, main) = (Escaped(site), Escaped(self.title), self.main);
        let class = if self.wide { " class=\"wide\"" } else { "" };
        let html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title} · {site}</title>\n<style>{}</style>\n</head>\n<body{class}>\n\
             <header><span class=\"name\">{site}</span>\
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
        if let Some(cookie) = self.cookie {
            response.insert_header((header::SET_COOKIE, cookie));
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

/// A page that says why the browser's way ends here, and what to do.
pub(crate) fn error(
    state: &State,
    status: StatusCode,
    why: &str,
    what_to_do: &str,
) -> HttpResponse {
    let main = format!(
        "<h1>This request cannot be answered</h1>\n\
         <p class=\"reminder\">Because {}.</p>\n\
         <p>Nothing was granted, and you were not sent back to the app.</p>\n\
         <h2>What to do</h2>\n\
         <p>{}</p>\n",
        Escaped(why),
        Escaped(what_to_do)
    );
    Page::plain(status, "Cannot be answered", &main).answer(&state.title)
}

/// 303, after which every browser sends a GET: a 307 would post the form on to the client.
pub(crate) fn see_other(location: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, location))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .finish()
}

/// `GET /`: what this is.
pub(crate) async fn index(state: web::Data<State>) -> HttpResponse {
    let main = format!(
        "<h1>A mock authorization server</h1>\n\
         <p>An OAuth 2.1 server for development: discovery, registration, sign-in and consent pages, devices without a \
         browser, tokens, introspection and revocation. Its issuer is <code>{}</code>.</p>\n\
         <ul>\n\
         <li><a href=\"{}\">Metadata</a> (RFC 8414), and the <a href=\"{}\">OpenID form</a> of it</li>\n\
         <li><a href=\"{}\">Connect a device</a> that shows a code</li>\n\
         <li><a href=\"/admin\">Admin</a>: tokens, revocation, faults</li>\n\
         <li><a href=\"/admin/stats\">Calls</a> of each endpoint, as JSON</li>\n</ul>\n\
         <h2>A token without a browser</h2>\n\
         <pre><code>curl -s {}/dev/token \\\n  -H 'content-type: application/json' -d '{{}}'</code></pre>\n\
         <p class=\"soft\">The body may name <code>user</code>, <code>scope</code>, \
         <code>resource</code> and <code>expires_in</code>.</p>\n",
        Escaped(&state.issuer),
        paths::OAUTH_METADATA,
        paths::OPENID_METADATA,
        paths::DEVICE,
        Escaped(&state.issuer),
    );
    Page::plain(StatusCode::OK, "Start", &main).answer(&state.title)
}

pub(crate) async fn healthcheck() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body("ok")
}
