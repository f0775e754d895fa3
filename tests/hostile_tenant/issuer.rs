//! An authorization server that introspects any token by its name, and that some tokens upset.

use std::net::TcpListener;

use actix_web::{
    App, HttpResponse, HttpServer,
    web::{self, Data},
};
use serde::Deserialize;
use serde_json::json;

/// Its URL, and the resource whose tokens it knows.
#[derive(Clone)]
pub(crate) struct Issuer {
    pub(crate) url: String,
}

/// A token that this issuer says is active, and belongs to a user.
pub(crate) fn good(user: &str, number: usize) -> String {
    format!("good.{user}.{number}")
}

/// A token that makes this issuer answer in a way of its own; the number makes it another token.
pub(crate) fn odd(number: usize) -> String {
    let kind = ["500", "400", "403", "429", "long", "text", "type"][number % 7];
    format!("odd.{kind}.{number}")
}

#[derive(Deserialize)]
struct Form {
    token: String,
}

impl Issuer {
    /// Serves on a thread of its own.
    pub(crate) fn start(resource: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
        };
        let served = issuer.clone();
        std::thread::spawn(move || {
            let server = HttpServer::new(move || {
                App::new()
                    .app_data(Data::new((served.clone(), resource.clone())))
                    .route("/introspect", web::post().to(introspect))
                    .default_service(web::to(metadata))
            });
            let server = server.workers(1).disable_signals().listen(listener);
            actix_rt::System::new()
                .block_on(server.unwrap().run())
                .unwrap();
        });
        issuer
    }
}

type State = Data<(Issuer, String)>;

async fn metadata(state: State) -> HttpResponse {
    let url = &state.0.url;
    HttpResponse::Ok().json(json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "introspection_endpoint": format!("{url}/introspect"),
    }))
}

async fn introspect(form: web::Form<Form>, state: State) -> HttpResponse {
    let (issuer, resource) = &**state;
    let parts: Vec<&str> = form.token.split('.').collect();
    match parts[..] {
        ["good", user, _] => HttpResponse::Ok().json(json!({
            "active": true,
            "iss": issuer.url,
            "sub": user,
            "aud": resource,
            "client_id": "test",
            "token_type": "Bearer",
            "scope": epicme_scopes(),
        })),
        ["odd", "500", _] => HttpResponse::InternalServerError().body("a stack trace"),
        ["odd", "400", _] => HttpResponse::BadRequest().json(json!({ "error": "invalid_request" })),
        ["odd", "403", _] => HttpResponse::Forbidden().body("<h1>Blocked by the firewall</h1>"),
        ["odd", "429", _] => HttpResponse::TooManyRequests()
            .insert_header(("retry-after", "30"))
            .finish(),
        ["odd", "long", _] => HttpResponse::Ok().json(json!({
            "active": true,
            "sub": "mallory",
            "groups": vec!["a group with a long name"; 7_000],
        })),
        ["odd", "text", _] => HttpResponse::Ok().body("not JSON"),
        ["odd", "type", _] => HttpResponse::Ok().json(json!({ "active": "yes", "exp": "soon" })),
        _ => HttpResponse::Ok().json(json!({ "active": false })),
    }
}

fn epicme_scopes() -> &'static str {
    "entries:read entries:write tags:read tags:write user:read"
}
