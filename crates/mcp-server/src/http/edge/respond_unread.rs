//! The response to a request whose body was not read completely.

use actix_web::{HttpMessage, HttpRequest, HttpResponse, body::BoxBody, http::Method, web::Bytes};
use mcp_protocol::id_scanner::IdScanner;

use super::{
    body::{self, Begun, Body},
    error::{HttpError, state},
    route_path::path_of,
};

impl HttpError {
    /// The response to a request whose body was not read completely. The rest is read and discarded within
    /// limits, so that the client can receive the response. If there is more, the body is kept until the
    /// response has been sent, which makes actix close the connection; it would go on reading if the body
    /// were dropped.
    pub(crate) async fn respond_unread(
        self,
        request: &HttpRequest,
        payload: impl Body + 'static,
    ) -> HttpResponse {
        self.respond_after(request, payload, &Bytes::new()).await
    }

    /// Like [`respond_unread`](Self::respond_unread), after so much of the body was read.
    ///
    /// A message to the MCP endpoint that is refused has its id in the error: a client that waits for the answer to its
    /// request finds it by no other means.
    pub(crate) async fn respond_after(
        self,
        request: &HttpRequest,
        mut payload: impl Body + 'static,
        read: &[u8],
    ) -> HttpResponse {
        let has_message = request.method() == Method::POST
            && self.id().is_none()
            && state(request).is_endpoint(path_of(request));
        let id = if has_message {
            let begun = request.extensions_mut().remove::<Begun>();
            let mut scanner = IdScanner::default();
            scanner.push(begun.as_ref().map_or(read, |Begun(begun)| begun));
            body::drain(request, &mut payload, |chunk| scanner.push(chunk)).await;
            scanner.finish()
        } else {
            body::drain(request, &mut payload, |_| ()).await;
            None
        };
        self.respond_to(request, id.as_ref()).map_body(|_, body| {
            BoxBody::new(body::BodyWithGuard {
                body,
                guard: payload,
            })
        })
    }
}
