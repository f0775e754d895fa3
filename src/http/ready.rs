//! The response to a request whose result is the same every time, such as a list of tools: tens of
//! kilobytes, which are sent from where they stand, and not copied into a text around them first.

use std::{
    array,
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use actix_web::{
    HttpResponse,
    body::{BodySize, MessageBody},
    http::header::CACHE_CONTROL,
    web::Bytes,
};

use crate::mcp::jsonrpc::{Id, around_result};

pub(super) fn response(result: Arc<str>, id: &Id) -> HttpResponse {
    let (before, after) = around_result(id);
    let length = before.len() + result.len() + after.len();
    let pieces = [
        Bytes::from(before),
        Bytes::from_owner(Shared(result)),
        Bytes::from_static(after.as_bytes()),
    ];
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .content_type("application/json")
        .body(Ready {
            length: length as u64,
            pieces: pieces.into_iter(),
        })
}

struct Shared(Arc<str>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

struct Ready {
    length: u64,
    pieces: array::IntoIter<Bytes, 3>,
}

impl MessageBody for Ready {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.length)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(self.pieces.next().map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use serde_json::value::to_raw_value;

    use super::*;

    #[actix_rt::test]
    async fn it_is_as_long_as_it_says_and_has_the_result_under_the_id() {
        let id = Id::parse(&to_raw_value("a").unwrap()).unwrap();
        let body = response("{\"tools\":[]}".into(), &id).into_body();
        let BodySize::Sized(length) = body.size() else {
            panic!("its length is known");
        };
        let text = to_bytes(body).await.unwrap();
        assert_eq!(text.len() as u64, length);
        assert_eq!(text, r#"{"jsonrpc":"2.0","id":"a","result":{"tools":[]}}"#);
    }
}
