//! The response to a request whose body was not read completely.

use actix_web::{HttpRequest, HttpResponse, body::BoxBody};

use super::{
    body::{self, Body},
    error::HttpError,
};

impl HttpError {
    /// The response to a request whose body was not read completely. The rest is read and discarded within
    /// limits, so that the client can receive the response. If there is more, the body is kept until the
    /// response has been sent, which makes actix close the connection; it would go on reading if the body
    /// were dropped.
    pub(crate) async fn respond_unread(
        self,
        request: &HttpRequest,
        mut payload: impl Body + 'static,
    ) -> HttpResponse {
        body::drain(request, &mut payload).await;
        self.respond(request).map_body(|_, body| {
            BoxBody::new(body::BodyWithGuard {
                body,
                guard: payload,
            })
        })
    }
}
