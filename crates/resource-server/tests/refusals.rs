//! Why a guard refuses a request is in the log and not in the response.

use std::sync::LazyLock;

use actix_web::{App, HttpResponse, http::StatusCode, test, web};
use log::kv::Key;
use parking_lot::Mutex;
use resource_server::{Guard, Issuer, fingerprint::fingerprint, jose::keys::Algorithm};

struct Log(Mutex<Vec<String>>);

static LOG: LazyLock<Log> = LazyLock::new(|| Log(Mutex::new(Vec::new())));

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let token = record.key_values().get(Key::from_str("token"));
        let token = token.map(|token| token.to_string());
        self.0.lock().push(format!(
            "{} token={}",
            record.args(),
            token.unwrap_or_default()
        ));
    }

    fn flush(&self) {}
}

#[actix_rt::test]
async fn the_log_says_why_a_request_was_refused() {
    log::set_logger(&*LOG).expect("the first logger");
    log::set_max_level(log::LevelFilter::Info);
    let guard = Guard::builder("https://api.example/api")
        .issuer(Issuer::verifying_jwts(
            "https://a.example",
            [Algorithm::Es256],
        ))
        .issuer(Issuer::verifying_jwts(
            "https://b.example",
            [Algorithm::Es256],
        ))
        .build()
        .expect("a guard");
    let app = test::init_service(
        App::new().configure(guard.configure()).service(
            web::resource("/api")
                .wrap(guard.protect(&[]).expect("no scope"))
                .get(HttpResponse::Ok),
        ),
    )
    .await;

    let token = "a-token-of-nobody";
    let request = test::TestRequest::get()
        .uri("/api")
        .insert_header(("authorization", format!("Bearer {token}")));
    let response = test::call_service(&app, request.to_request()).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let response =
        test::call_service(&app, test::TestRequest::get().uri("/api").to_request()).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);

    let lines = LOG.0.lock().join("\n");
    assert!(!lines.contains(token), "{lines}");
    let fingerprint = fingerprint(token);
    for line in [
        format!("a request is refused: token of an unknown issuer token={fingerprint}"),
        "a request is refused: no bearer token token=".to_owned(),
    ] {
        assert!(lines.contains(&line), "{line} is missing in\n{lines}");
    }
}
