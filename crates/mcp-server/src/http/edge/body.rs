//! Reading the body, within bounds, and what has to be true of it before.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    HttpRequest,
    body::{BodySize, BoxBody, MessageBody},
    error::PayloadError,
    http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue},
    web::{Bytes, BytesMut, Payload},
};
use futures_util::{Stream, StreamExt};
use tokio::time::timeout;

use super::error::HttpError;

/// The longest body that is read: a text of 100,000 characters, each written as a pair of
/// escaped surrogates (`\ud83d\ude00`, 12 bytes), with room for the rest.
pub(crate) const LONGEST_BODY: usize = 2 * 1024 * 1024;

/// How much of a body that nobody wants is read for the sake of the answer.
const LONGEST_DRAIN: usize = 4 * 1024 * 1024;

/// How long it may take.
const SLOWEST_DRAIN: Duration = Duration::from_secs(2);

/// A request's body, by whichever of actix's two names.
pub(crate) trait Body: Stream<Item = Result<Bytes, PayloadError>> + Unpin {}

impl<S: Stream<Item = Result<Bytes, PayloadError>> + Unpin> Body for S {}

/// An answer that keeps what is left of the request's body until it has been sent.
pub(crate) struct Keeping<R> {
    pub(crate) answer: BoxBody,
    #[expect(dead_code, reason = "kept, not read")]
    pub(crate) rest: R,
}

impl<R: Unpin> MessageBody for Keeping<R> {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.answer.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.answer).poll_next(context)
    }
}

/// Reads what is left of a body that nobody wants, within bounds.
pub(crate) async fn drain(body: &mut impl Body) {
    let drained = async {
        let mut length = 0;
        while let Some(Ok(chunk)) = body.next().await {
            length += chunk.len();
            if length > LONGEST_DRAIN {
                return;
            }
        }
    };
    // What did not come in time is not waited for.
    let _ = timeout(SLOWEST_DRAIN, drained).await;
}

/// Checks what the client says of the body and of the answer it wants.
pub(crate) fn check_media_types(request: &HttpRequest) -> Result<(), HttpError> {
    check_content_type(request, "application/json")?;
    let accepted = accepted(request);
    if accepted.json && accepted.stream {
        Ok(())
    } else {
        Err(HttpError::NotAcceptable)
    }
}

/// Checks what the body is said to be.
pub(crate) fn check_content_type(
    request: &HttpRequest,
    expected: &'static str,
) -> Result<(), HttpError> {
    let is_expected = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case(expected));
    if is_expected && !request.headers().contains_key(CONTENT_ENCODING) {
        Ok(())
    } else {
        Err(HttpError::UnsupportedMediaType { expected })
    }
}

/// Checks that the client wants a stream.
pub(crate) fn check_accepts_stream(request: &HttpRequest) -> Result<(), HttpError> {
    if accepted(request).stream {
        Ok(())
    } else {
        Err(HttpError::NotAcceptable)
    }
}

/// Which kinds of answer are welcome (T-07, D-26).
struct Accepted {
    json: bool,
    stream: bool,
}

/// What most clients say, to the letter.
const USUAL_ACCEPT: &str = "application/json, text/event-stream";

/// Reads `Accept`. Without one, anything is welcome (RFC 9110 §12.5.1).
fn accepted(request: &HttpRequest) -> Accepted {
    let fields = || request.headers().get_all(ACCEPT);
    let is_usual = |field: Option<&HeaderValue>| field.is_none_or(|field| field == USUAL_ACCEPT);
    let (first, second) = (fields().next(), fields().nth(1));
    if second.is_none() && is_usual(first) {
        return Accepted {
            json: true,
            stream: true,
        };
    }
    let mut accepted = Accepted {
        json: false,
        stream: false,
    };
    let ranges = fields().flat_map(|value| value.to_str().unwrap_or_default().split(','));
    for range in ranges {
        let mut parts = range.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default();
        let is = |names: [&str; 3]| names.iter().any(|name| essence.eq_ignore_ascii_case(name));
        // A weight of zero means "not this" (RFC 9110 §12.4.2).
        let refused = parts.any(|parameter| {
            parameter
                .strip_prefix("q=")
                .and_then(|weight| weight.parse::<f32>().ok())
                .is_some_and(|weight| weight <= 0.0)
        });
        if !refused {
            accepted.json |= is(["application/json", "*/*", "application/*"]);
            accepted.stream |= is(["text/event-stream", "*/*", "text/*"]);
        }
    }
    accepted
}

/// Reads the whole body, which may be so long, and take so long.
pub(crate) async fn read(
    request: &HttpRequest,
    payload: &mut Payload,
    longest: usize,
    slowest: Duration,
) -> Result<Bytes, HttpError> {
    let announced = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<usize>().ok());
    if announced.is_some_and(|length| length > longest) {
        return Err(HttpError::TooLarge { longest });
    }
    let mut body = pin!(collect(payload, longest));
    // Most bodies come with their head, but are handed over only after the first look: until the second, no
    // timer is set.
    if let Some(body) = look_twice(body.as_mut()).await {
        return body;
    }
    timeout(slowest, body)
        .await
        .unwrap_or(Err(HttpError::TooSlow))
}

/// What a future comes to at once, or when everything else that is ready has had its turn.
async fn look_twice<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    let mut looked = false;
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if looked => Poll::Ready(None),
        Poll::Pending => {
            looked = true;
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

async fn collect(payload: &mut Payload, longest: usize) -> Result<Bytes, HttpError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| HttpError::BrokenOff)?;
        // Most bodies come in one piece, which then needs no copy.
        if body.is_empty() && chunk.len() <= longest {
            body = BytesMut::from(chunk);
            continue;
        }
        if body.len() + chunk.len() > longest {
            return Err(HttpError::TooLarge { longest });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
