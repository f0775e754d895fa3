//! Checks of the media types, and reading of the body within limits.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
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
use tokio::time::{Instant, sleep_until, timeout};

use super::error::HttpError;
use crate::{
    budgets::{Account, Taken, Use},
    connections::Connection,
};

/// The longest body that is read: a text of 100,000 characters, each written as a pair of escaped surrogates
/// (`\ud83d\ude00`, 12 bytes), and 800 KiB for the rest.
pub(crate) const LONGEST_BODY: usize = 2 * 1024 * 1024;

/// A body up to this size, in bytes, fits into the buffer of its connection and is counted with that.
const SMALL_BODY: usize = 4 * 1024;

/// How fast a body must come after its beginning, in bytes per second. Otherwise a body that trickles would hold
/// its memory for as long as one that is long.
const LEAST_RATE: f64 = 4.0 * 1024.0;

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
pub(crate) async fn drain(request: &HttpRequest, body: &mut impl Body) {
    let connection = request.conn_data::<Arc<Connection>>();
    let drained = async {
        let mut length = 0;
        while let Some(Ok(chunk)) = body.next().await {
            if let Some(connection) = connection {
                connection.claim();
            }
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
    let is_expected = request.headers().get(CONTENT_TYPE).is_some_and(|value| {
        // As most clients write it: compared before it is taken apart.
        value == expected || is_essence(value, expected)
    });
    if is_expected && !request.headers().contains_key(CONTENT_ENCODING) {
        Ok(())
    } else {
        Err(HttpError::UnsupportedMediaType { expected })
    }
}

/// Whether a media type without its parameters is the expected one.
fn is_essence(value: &HeaderValue, expected: &str) -> bool {
    let value = value.to_str().unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(expected)
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

/// How long a body may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyTimes {
    /// All of it.
    pub(crate) whole: Duration,
    /// Its beginning, before [`LEAST_RATE`] applies.
    pub(crate) begin: Duration,
}

impl BodyTimes {
    /// When the next byte must have come after so many.
    fn deadline(self, began: Instant, received: usize) -> Instant {
        let paid = Duration::from_secs_f64(received as f64 / LEAST_RATE);
        began + self.whole.min(self.begin + paid)
    }
}

/// A body, and what it takes of the budget until it is dropped.
pub(crate) struct ReceivedBody {
    pub(crate) bytes: Bytes,
    pub(crate) taken: Option<Taken>,
}

/// Reads the body, up to `longest` bytes, in time, and counts it against the budget of its sender.
pub(crate) async fn read(
    request: &HttpRequest,
    payload: &mut Payload,
    longest: usize,
    times: BodyTimes,
    account: &Account,
) -> Result<ReceivedBody, HttpError> {
    let announced = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<usize>().ok());
    if announced.is_some_and(|length| length > longest) {
        return Err(HttpError::TooLarge { longest });
    }
    let mut taken = None;
    if let Some(length) = announced
        && length > SMALL_BODY
    {
        taken = Some(account.take(Use::Bodies, length)?);
    }
    let received = Cell::new(0);
    let counting = Counting {
        longest,
        taken,
        account: announced.is_none().then_some(account),
        received: &received,
        connection: request
            .conn_data::<Arc<Connection>>()
            .map(|connection| &**connection),
    };
    let mut body = pin!(collect(payload, counting));
    // Most bodies arrive with the head, but actix hands them over after the first poll: a timer is needed
    // only after the second.
    if let Some(body) = look_twice(body.as_mut()).await {
        return body;
    }
    let began = Instant::now();
    let mut timer = pin!(sleep_until(times.deadline(began, received.get())));
    poll_fn(|context| {
        if let Poll::Ready(body) = body.as_mut().poll(context) {
            return Poll::Ready(body);
        }
        let deadline = times.deadline(began, received.get());
        if deadline != timer.deadline() {
            timer.as_mut().reset(deadline);
        }
        timer
            .as_mut()
            .poll(context)
            .map(|()| Err(HttpError::TooSlow))
    })
    .await
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

/// How a body is counted.
struct Counting<'a> {
    longest: usize,
    taken: Option<Taken>,
    /// Of whom it takes as it comes, if its length was not announced.
    account: Option<&'a Account>,
    /// How much has come.
    received: &'a Cell<usize>,
    connection: Option<&'a Connection>,
}

async fn collect(
    payload: &mut Payload,
    mut counting: Counting<'_>,
) -> Result<ReceivedBody, HttpError> {
    let longest = counting.longest;
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| HttpError::BrokenOff)?;
        let length = body.len() + chunk.len();
        if length > longest {
            return Err(HttpError::TooLarge { longest });
        }
        if let Some(account) = counting.account
            && length > SMALL_BODY
        {
            let taken = &mut counting.taken;
            let taken = taken.get_or_insert_with(|| account.nothing(Use::Bodies));
            taken.grow(chunk.len())?;
        }
        counting.received.set(length);
        if let Some(connection) = counting.connection {
            connection.claim();
        }
        // Most bodies are one chunk, which needs no copy.
        if body.is_empty() {
            body = BytesMut::from(chunk);
            continue;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(ReceivedBody {
        bytes: body.freeze(),
        taken: counting.taken,
    })
}
