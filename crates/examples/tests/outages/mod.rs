//! What a protected server answers while its authorization server fails or lies, which it does as the test says.

use mock_auth::{Endpoint, Fault, FaultMode};
use reqwest::{Response, StatusCode, header};

use crate::support::Example;

async fn guard() -> Example {
    Example::start("resource-server", "guard", "guard.rs").await
}

/// Reads the reports with a token that the server has not seen before, so that it has to ask.
async fn read(example: &Example) -> Response {
    let token = example.token("1", "reports:read");
    let request = example.http.get(&example.url).bearer_auth(token);
    request.send().await.unwrap()
}

#[actix_rt::test]
async fn an_outage_is_503_and_not_the_clients_fault() {
    let example = guard().await;
    assert_eq!(read(&example).await.status(), StatusCode::OK);
    for fault in [
        Fault::new(FaultMode::Down),
        Fault::error(500),
        Fault::new(FaultMode::Garbage),
        Fault::new(FaultMode::Cut),
        Fault::new(FaultMode::Oversized),
        Fault::new(FaultMode::Unauthorized),
    ] {
        // A server for each: one that has failed for a while is not asked at once.
        let example = guard().await;
        example.auth.faults().set(Endpoint::Introspection, fault);
        let response = read(&example).await;
        assert_eq!(
            response.status(),
            StatusCode::SERVICE_UNAVAILABLE,
            "{fault:?}"
        );
        assert!(!response.headers().contains_key(header::WWW_AUTHENTICATE));
    }
}

#[actix_rt::test]
async fn a_token_that_is_not_for_this_server_is_401_whoever_says_that_it_is_active() {
    let example = guard().await;
    for mode in [
        FaultMode::Inactive,
        FaultMode::WrongAudience,
        FaultMode::WrongIssuer,
        FaultMode::Expired,
    ] {
        let fault = Fault::new(mode);
        example.auth.faults().set(Endpoint::Introspection, fault);
        let response = read(&example).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{mode:?}");
    }
    example.auth.faults().clear();
    assert_eq!(read(&example).await.status(), StatusCode::OK);
}
