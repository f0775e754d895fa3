//! The answer to a request whose body was not read to its end.

use actix_web::{HttpRequest, HttpResponse, body::BoxBody};

use super::{
    body::{self, Body},
    error::HttpError,
};

impl HttpError {
    /// The response to a request whose body was not read to its end. What is left of it is read and
    /// thrown away, so that the client gets to read the answer; if that is too much, the body is kept
    /// until the answer is on its way, which has the connection closed. (A body that is dropped
    /// would be read on for as long as it comes.)
    pub(crate) async fn respond_unread(
        self,
        request: &HttpRequest,
        mut rest: impl Body + 'static,
    ) -> HttpResponse {
        body::drain(&mut rest).await;
        self.respond(request)
            .map_body(|_, answer| BoxBody::new(body::Keeping { answer, rest }))
    }
}
