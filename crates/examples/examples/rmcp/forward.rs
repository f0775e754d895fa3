//! The way from an actix-web route to rmcp and back. rmcp takes the requests of the crate `http`, of which actix-web has
//! an older version.

use actix_web::{HttpRequest, HttpResponse, error, http::StatusCode, http::header, web};
use http_body_util::{BodyExt, Full};
use mcp_server::resource_server::Authorized;
use rmcp::{
    ServerHandler,
    transport::{
        StreamableHttpService, streamable_http_server::session::never::NeverSessionManager,
    },
};

/// rmcp's service without sessions, which it would not bind to the user who opened them.
pub(crate) type Stateless<S> = StreamableHttpService<S, NeverSessionManager>;

/// Gives rmcp a request, and gives back its response, which may be a stream. A tool finds who asks in the extensions of
/// the request, as `Arc<Principal>`. It does not see the token.
pub(crate) async fn forward<S: ServerHandler>(
    caller: Authorized,
    service: web::Data<Stateless<S>>,
    request: HttpRequest,
    body: web::Bytes,
) -> actix_web::Result<HttpResponse> {
    let mut asked = http::Request::builder()
        .method(request.method().as_str())
        .uri(request.uri().to_string())
        .extension(caller.principal);
    for (name, value) in request.headers() {
        if name != header::AUTHORIZATION {
            asked = asked.header(name.as_str(), value.as_bytes());
        }
    }
    let asked = asked.body(Full::new(body));
    let answer = service.handle(asked.map_err(error::ErrorBadRequest)?).await;
    let status = StatusCode::from_u16(answer.status().as_u16());
    let mut response = HttpResponse::build(status.map_err(error::ErrorBadGateway)?);
    for (name, value) in answer.headers() {
        response.append_header((name.as_str(), value.as_bytes()));
    }
    Ok(response.streaming(answer.into_body().into_data_stream()))
}
