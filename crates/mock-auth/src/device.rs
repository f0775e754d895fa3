//! Devices without a browser (RFC 8628): where they ask for their codes, and the page on which a person enters one.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::{
    answer::{self, Body, ErrorCode, OAuthError, Reply},
    client::GrantType,
    consent,
    device_codes::{self, NotFound},
    html::Escaped,
    pages::{self, Page},
    params::Params,
    paths,
    question::{Question, Step},
    state::State,
    token,
};

/// `POST /oauth/device_authorization` (§3.1, §3.2).
pub(crate) async fn authorize(request: HttpRequest, body: Body, state: web::Data<State>) -> Reply {
    let form = token::form(&request, body)?;
    let client = token::authenticate(&request, &state, &form).await?;
    if !client.may(GrantType::DeviceCode) {
        let other = "the client did not register for the grant_type of devices";
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, other));
    }
    if form.get("authorization_details").is_some() {
        let why = "authorization_details are not supported for devices";
        return Err(OAuthError::invalid_request(why));
    }
    let scopes = form.get("scope");
    let scopes = scopes.map(|list| token::scopes(&state, list)).transpose()?;
    let resources = state.resources.read(form.all("resource"))?;
    let (mut store, now) = state.store();
    let begun = store.devices.begin(client, scopes, resources, now);
    let lifetime = store.device_lifetime().num_seconds();
    drop(store);
    let page = format!("{}{}", state.issuer, paths::DEVICE);
    Ok(answer::json(
        StatusCode::OK,
        &json!({
            "device_code": begun.device_code.expose_secret(),
            "user_code": begun.user_code,
            "verification_uri": page,
            "verification_uri_complete": format!("{page}?user_code={}", begun.user_code),
            "expires_in": lifetime,
            "interval": device_codes::INTERVAL,
        }),
    ))
}

/// `GET /device`: which device? The code of `verification_uri_complete` is filled in and not taken: the person has to compare it
/// with the device's (§3.3.1).
pub(crate) async fn page(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let params = Params::parse(request.query_string().as_bytes());
    let handle = consent::open_page(&request, &state, Step::Device);
    let code = params.get("user_code").unwrap_or_default();
    let reminder = params.get("unknown").map_or("", |_| {
        "<p class=\"reminder\" role=\"alert\">No device waits with this code. Look at the device again: the code may have \
         expired.</p>\n"
    });
    let main = format!(
        "<h1>Connect a device</h1>\n\
         <p>Enter the code that the device or program shows. Go on only if you started it yourself: whoever sent you a code \
         would get at your data.</p>\n\
         <form method=\"post\" action=\"{}\">\n{}\n{reminder}\
         <p><label for=\"user_code\">Code</label>\
         <input class=\"code\" type=\"text\" id=\"user_code\" name=\"user_code\" value=\"{}\" placeholder=\"XXXX-XXXX\" \
         maxlength=\"32\" autocomplete=\"off\" autocapitalize=\"characters\" spellcheck=\"false\" required></p>\n\
         <div class=\"actions\"><button class=\"first\">Continue</button></div>\n</form>\n",
        paths::DEVICE,
        handle.field(),
        Escaped(code),
    );
    let page = Page {
        cookie: Some(&handle.cookie),
        ..Page::plain(StatusCode::OK, "Connect a device", &main)
    };
    page.answer(&state.title)
}

/// `POST /device`: the code that was entered.
pub(crate) async fn enter(request: HttpRequest, body: Body, state: web::Data<State>) -> Reply {
    let form = Params::parse(&answer::whole(body)?);
    let opened = consent::posted(&request, &state, &form);
    if !opened.is_some_and(|opened| matches!(opened.step, Step::Device)) {
        let why = "this page is more than 15 minutes old, or was opened in another browser";
        let open = "Open the page again and enter the code.";
        return Ok(pages::error(&state, StatusCode::BAD_REQUEST, why, open));
    }
    let code = form.get("user_code").unwrap_or_default();
    let found = {
        let (mut store, now) = state.store();
        store.devices.find(code, now)
    };
    Ok(match found {
        Ok(device) => {
            let step = Step::SignIn(Question::Device(device));
            let handle = consent::open_page(&request, &state, step);
            pages::see_other(&handle.address(paths::SIGN_IN))
        }
        Err(NotFound::Unknown) => pages::see_other(&format!("{}?unknown=1", paths::DEVICE)),
        Err(NotFound::TooManyTries) => {
            let why = "too many codes were entered that no device shows";
            let wait = "Wait a minute, and enter the code that the device shows.";
            let mut response = pages::error(&state, StatusCode::TOO_MANY_REQUESTS, why, wait);
            let minute = header::HeaderValue::from_static("60");
            response.headers_mut().insert(header::RETRY_AFTER, minute);
            response
        }
    })
}

/// `GET /device/allowed`.
pub(crate) async fn allowed(state: web::Data<State>) -> HttpResponse {
    let main =
        "<h1>Allowed</h1>\n<p>Go back to the device: it goes on by itself within seconds.</p>\n";
    Page::plain(StatusCode::OK, "Allowed", main).answer(&state.title)
}

/// `GET /device/denied`.
pub(crate) async fn denied(state: web::Data<State>) -> HttpResponse {
    let main = "<h1>Denied</h1>\n<p>The device gets no access. You may close this page.</p>\n";
    Page::plain(StatusCode::OK, "Denied", main).answer(&state.title)
}
