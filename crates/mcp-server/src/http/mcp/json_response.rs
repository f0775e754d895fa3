//! Responses with a complete JSON body, handed over in chunks.

use std::{
    array,
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use actix_web::{
    HttpResponse,
    body::{BodySize, BoxBody, MessageBody},
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
    },
    web::Bytes,
};

use crate::budgets::{Account, OverBudget, Taken};
use mcp_protocol::jsonrpc::{Id, around_result};

/// The longest chunk. Each is copied into the buffer of the connection, and the C library copies more than 2
/// KiB at once by an instruction that is up to seventeen times slower on some processors
/// (docs/PERFORMANCE_LOG.md).
const CHUNK: usize = 2 * 1_024;

/// A response with a short JSON document.
pub(crate) fn json(body: impl Into<Bytes>) -> HttpResponse {
    respond([body.into(), Bytes::new(), Bytes::new()], None)
}

/// A response with a JSON document, which counts against the budget of its user until it has been sent.
///
/// # Errors
/// The budget is used up.
pub(crate) fn json_of(
    account: &Account,
    document: impl Into<Bytes>,
) -> Result<HttpResponse, OverBudget> {
    let document = document.into();
    let taken = if document.len() > CHUNK {
        Some(account.take_for_answer(document.len())?)
    } else {
        None
    };
    let parts = [document, Bytes::new(), Bytes::new()];
    Ok(respond(parts, taken))
}

/// A response with a result that is shared between requests, such as a list of tools. It is not copied.
pub(crate) fn ready(result: Arc<str>, id: &Id) -> HttpResponse {
    let (before, after) = around_result(id);
    let parts = [
        Bytes::from(before),
        Bytes::from_owner(Shared(result)),
        Bytes::from_static(after.as_bytes()),
    ];
    respond(parts, None)
}

fn respond(parts: [Bytes; 3], taken: Option<Taken>) -> HttpResponse {
    let mut response = HttpResponse::with_body(StatusCode::OK, body(parts, taken));
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn body(parts: [Bytes; 3], taken: Option<Taken>) -> BoxBody {
    let length: usize = parts.iter().map(Bytes::len).sum();
    let mut parts = parts.into_iter();
    let part = parts.next().unwrap_or_default();
    if part.len() == length && length <= CHUNK {
        return BoxBody::new(part);
    }
    BoxBody::new(ChunkedBody {
        length: length as u64,
        part,
        parts,
        taken,
    })
}

struct Shared(Arc<str>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

struct ChunkedBody {
    length: u64,
    /// What is left of the part that is being handed over.
    part: Bytes,
    parts: array::IntoIter<Bytes, 3>,
    #[expect(dead_code, reason = "held for its drop")]
    taken: Option<Taken>,
}

impl MessageBody for ChunkedBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.length)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        while self.part.is_empty() {
            match self.parts.next() {
                Some(part) => self.part = part,
                None => return Poll::Ready(None),
            }
        }
        let length = self.part.len().min(CHUNK);
        Poll::Ready(Some(Ok(self.part.split_to(length))))
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, pin::pin};

    use actix_web::body::to_bytes;
    use proptest::prelude::*;
    use serde_json::value::to_raw_value;

    use super::*;

    #[actix_rt::test]
    async fn it_is_as_long_as_it_says_and_has_the_result_under_the_id() {
        let id = Id::parse(&to_raw_value("a").unwrap()).unwrap();
        let body = ready("{\"tools\":[]}".into(), &id).into_body();
        let BodySize::Sized(length) = body.size() else {
            panic!("its length is known");
        };
        let text = to_bytes(body).await.unwrap();
        assert_eq!(text.len() as u64, length);
        assert_eq!(text, r#"{"jsonrpc":"2.0","id":"a","result":{"tools":[]}}"#);
    }

    proptest! {
        #[test]
        fn whatever_its_parts_it_comes_whole_and_in_short_pieces(
            parts in proptest::array::uniform3(proptest::collection::vec(any::<u8>(), 0..3 * CHUNK)),
        ) {
            let whole = parts.concat();
            let mut body = pin!(body(parts.map(Bytes::from), None));
            prop_assert_eq!(body.size(), BodySize::Sized(whole.len() as u64));
            let mut came = Vec::new();
            let pieces = async {
                while let Some(piece) = poll_fn(|context| body.as_mut().poll_next(context)).await {
                    let piece = piece.unwrap();
                    assert!((1..=CHUNK).contains(&piece.len()), "{}", piece.len());
                    came.extend(piece);
                }
            };
            actix_rt::System::new().block_on(pieces);
            prop_assert_eq!(came, whole);
        }
    }
}
