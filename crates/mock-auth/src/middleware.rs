//! The middleware around all routes: it counts calls, checks `Host` and answers CORS. Also the checks that a form was sent by a page
//! of this server.

use actix_web::{
    Error, HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
    web,
};
use url::Url;

use crate::{answer, paths, redirect, state::State};

/// Paths that clients in browsers call from pages of any origin, and the methods that they use. None
/// of them looks at cookies.
const OPEN_TO_ANY_ORIGIN: [(&str, &str); 7] = [
    (paths::OAUTH_METADATA, "GET, HEAD, OPTIONS"),
    (paths::OPENID_METADATA, "GET, HEAD, OPTIONS"),
    ("/oauth/jwks", "GET, HEAD, OPTIONS"),
    ("/oauth/register", "POST, OPTIONS"),
    ("/oauth/token", "POST, OPTIONS"),
    (paths::DEVICE_AUTHORIZATION, "POST, OPTIONS"),
    ("/oauth/revoke", "POST, OPTIONS"),
];

/// The middleware around all routes.
pub(crate) async fn handle(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let state = request
        .app_data::<web::Data<State>>()
        .expect("the state is part of the application")
        .clone();
    let (method, path) = (request.method().clone(), request.path().to_owned());
    state.calls.count(&path);
    let open = OPEN_TO_ANY_ORIGIN.iter().find(|(open, _)| *open == path);

    let mut response = if !is_for_us(&request, &state) {
        // A page of another site whose name was made to point here (DNS rebinding) must not get at a
        // server that hands out tokens to whoever asks.
        let words = "this server does not go by that name; see MOCK_AUTH_ALLOWED_HOSTS";
        let refused = answer::problem(
            StatusCode::MISDIRECTED_REQUEST,
            "misdirected_request",
            words,
        );
        request.into_response(refused)
    } else if let (Some((_, methods)), &Method::OPTIONS) = (open, &method) {
        request.into_response(preflight(methods))
    } else {
        next.call(request).await?.map_into_boxed_body()
    };
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    if open.is_some() {
        let any = HeaderValue::from_static("*");
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
        let exposed = HeaderValue::from_static("WWW-Authenticate");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    // The path alone: queries carry codes and state.
    log::info!("{method} {path} {}", response.status().as_u16());
    Ok(response)
}

fn preflight(methods: &'static str) -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, methods))
        .insert_header((
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            // Any, and the one that `*` does not stand for (Fetch §4.9); then those that older browsers need by name.
            "*, authorization, content-type, dpop, mcp-protocol-version, traceparent, tracestate",
        ))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, "600"))
        .finish()
}

/// Whether the request names this server: one `Host`, and in an absolute target none but that.
fn is_for_us(request: &ServiceRequest, state: &State) -> bool {
    let mut hosts = request.headers().get_all(header::HOST);
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let target = request
        .uri()
        .authority()
        .map(|authority| authority.as_str());
    host.to_str().is_ok_and(|host| is_ours(host, &state.hosts))
        && target.is_none_or(|target| is_ours(target, &state.hosts))
}

fn is_ours(authority: &str, hosts: &[String]) -> bool {
    let Ok(url) = Url::parse(&format!("http://{authority}/")) else {
        return false;
    };
    let bare = url.path() == "/" && url.username().is_empty() && url.password().is_none();
    let known = |host: &str| hosts.iter().any(|known| known.eq_ignore_ascii_case(host));
    bare && (redirect::is_loopback(&url) || url.host_str().is_some_and(known))
}

/// Whether a form was sent by a page of this server, as far as the browser tells.
///
/// `Origin: null` is let pass, for that is what browsers send with a form of a page whose referrer
/// policy is `no-referrer`; the page's handle and the cookie decide then.
pub(crate) fn is_same_origin(request: &HttpRequest, state: &State) -> bool {
    let headers = request.headers();
    let value = |name: HeaderName| headers.get(name).map(HeaderValue::as_bytes);
    let site = value(HeaderName::from_static("sec-fetch-site"));
    if site.is_some_and(|site| site != b"same-origin" && site != b"none") {
        return false;
    }
    let Some(origin) = value(header::ORIGIN) else {
        return true;
    };
    // The middleware has checked the host; `localhost` and `127.0.0.1` are both ours.
    let host = headers.get(header::HOST).and_then(|it| it.to_str().ok());
    origin == b"null"
        || origin == state.issuer.as_bytes()
        || host.is_some_and(|host| origin == format!("http://{host}").as_bytes())
}

/// The value of a cookie.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(other, _)| *other == name)
        .map(|(_, value)| value)
}

/// Whether the body is said to be of this type, parameters aside.
pub(crate) fn has_type(request: &HttpRequest, wanted: &str) -> bool {
    request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|found| found.trim().eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_names_are_ours() {
        let hosts = ["auth.example".to_owned()];
        for ours in [
            "auth.example",
            "AUTH.example:80",
            "localhost:7788",
            "127.0.0.1",
            "[::1]:1",
        ] {
            assert!(is_ours(ours, &hosts), "{ours}");
        }
        for foreign in [
            "evil.example",
            "auth.example.evil.example",
            "localhost.evil.example",
            "evil.example@localhost",
            "localhost/x",
            "10.0.0.1",
            "",
        ] {
            assert!(!is_ours(foreign, &hosts), "{foreign}");
        }
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; bc=2"));
        headers.append(header::COOKIE, HeaderValue::from_static("c=3"));
        assert_eq!(cookie(&headers, "bc"), Some("2"));
        assert_eq!(cookie(&headers, "c"), Some("3"));
        assert_eq!(cookie(&headers, "b"), None);
    }
}
