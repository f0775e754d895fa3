//! Checks of the media types, and reading of the body within limits.

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

/// The longest body that is read: a text of 100,000 characters, each written as a pair of escaped surrogates
/// (`\ud83d\ude00`, 12 bytes), and 800 KiB for the rest.
pub(crate) const LONGEST_BODY: usize = 2 * 1024 * 1024;

/// How much of an unwanted body is read so that the client can receive the response.
const LONGEST_DRAIN: usize = 4 * 1024 * 1024;

/// The timeout for that.
const SLOWEST_DRAIN: Duration = Duration::from_secs(2);

/// The body of a request, by either of actix-web's types.
pub(crate) trait Body: Stream<Item = Result<Bytes, PayloadError>> + Unpin {}

impl<S: Stream<Item = Result<Bytes, PayloadError>> + Unpin> Body for S {}

/// A response body that keeps a guard until it has been sent.
pub(crate) struct BodyWithGuard<R> {
    pub(crate) body: BoxBody,
    #[expect(dead_code, reason = "held for its drop")]
    pub(crate) guard: R,
}

impl<R: Unpin> MessageBody for BodyWithGuard<R> {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}

/// Reads the rest of an unwanted body, within limits.
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
    // After the timeout, the rest is not read.
    let _ = timeout(SLOWEST_DRAIN, drained).await;
}

/// Checks `Content-Type` and `Accept` of a POST (MCP, Transports, Sending Messages).
pub(crate) fn check_media_types(request: &HttpRequest) -> Result<(), HttpError> {
    check_content_type(request, "application/json")?;
    let accepted = accepted(request);
    if accepted.json && accepted.stream {
        Ok(())
    } else {
        Err(HttpError::NotAcceptable)
    }
}

/// Checks `Content-Type`. A content coding is not accepted.
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

/// Checks that the client accepts an event stream.
pub(crate) fn check_accepts_stream(request: &HttpRequest) -> Result<(), HttpError> {
    if accepted(request).stream {
        Ok(())
    } else {
        Err(HttpError::NotAcceptable)
    }
}

/// The accepted kinds of response.
struct Accepted {
    json: bool,
    stream: bool,
}

/// What most clients send.
const USUAL_ACCEPT: &str = "application/json, text/event-stream";

/// Parses `Accept`. Without it, everything is accepted (RFC 9110 §12.5.1).
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

/// Reads the body, up to `longest` bytes, within `slowest`.
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
    // Most bodies arrive with the head, but actix hands them over after the first poll: a timer is needed
    // only after the second.
    if let Some(body) = look_twice(body.as_mut()).await {
        return body;
    }
    timeout(slowest, body)
        .await
        .unwrap_or(Err(HttpError::TooSlow))
}

/// The output of a future that is ready at its first or second poll.
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
        // Most bodies are one chunk, which needs no copy.
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
