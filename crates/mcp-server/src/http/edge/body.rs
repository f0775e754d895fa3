//! Checks of the media types, and reading of the body within limits.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    HttpMessage, HttpRequest,
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

/// The beginning of a body that was refused while it came, kept with its request.
pub(crate) struct Begun(pub(crate) Bytes);

/// Reads the rest of an unwanted body, within limits, and shows it.
pub(crate) async fn drain(request: &HttpRequest, body: &mut impl Body, mut see: impl FnMut(&[u8])) {
    let connection = request.conn_data::<Arc<Connection>>();
    let drained = async {
        let mut length = 0;
        while let Some(Ok(chunk)) = body.next().await {
            if let Some(connection) = connection {
                connection.claim();
            }
            see(&chunk);
            length += chunk.len();
            if length > LONGEST_DRAIN {
                return;
            }
        }
    };
    // After the timeout, the rest is not read.
    let _ = timeout(SLOWEST_DRAIN, drained).await;
}

/// Checks `Content-Type` of a POST, and tells what its `Accept` allows. MCP wants clients to accept both JSON and a
/// stream (Transports, Sending Messages); where one of them suffices, the other is not asked for.
pub(crate) fn check_media_types(request: &HttpRequest) -> Result<Accepted, HttpError> {
    check_content_type(request, "application/json")?;
    let accepted = accepted(request);
    if accepted.json || accepted.stream {
        Ok(accepted)
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
    accepted(request).need_stream()
}

/// The accepted kinds of response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Accepted {
    /// `application/json`, for an answer.
    pub(crate) json: bool,
    /// `text/event-stream`, for an answer with notifications before it, and for what is no answer.
    pub(crate) stream: bool,
}

impl Accepted {
    /// What a client accepts that does not say.
    pub(crate) const ANYTHING: Self = Self {
        json: true,
        stream: true,
    };

    /// For a response that is JSON.
    pub(crate) fn need_json(self) -> Result<(), HttpError> {
        self.json.then_some(()).ok_or(HttpError::NotAcceptable)
    }

    /// For a response that is a stream.
    pub(crate) fn need_stream(self) -> Result<(), HttpError> {
        self.stream.then_some(()).ok_or(HttpError::NotAcceptable)
    }
}

/// What most clients send.
const USUAL_ACCEPT: &str = "application/json, text/event-stream";

/// Parses `Accept`. Without it, everything is accepted (RFC 9110 §12.5.1).
fn accepted(request: &HttpRequest) -> Accepted {
    let fields = || request.headers().get_all(ACCEPT);
    let is_usual = |field: Option<&HeaderValue>| field.is_none_or(|field| field == USUAL_ACCEPT);
    let (first, second) = (fields().next(), fields().nth(1));
    if second.is_none() && is_usual(first) {
        return Accepted::ANYTHING;
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

/// Reads the body, up to `longest` bytes, in time, and counts it against the budget of its sender. What came of a
/// body that is refused is [`Begun`].
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
    let begun = RefCell::new(BytesMut::new());
    let counting = Counting {
        longest,
        taken,
        account: announced.is_none().then_some(account),
        received: &received,
        connection: request
            .conn_data::<Arc<Connection>>()
            .map(|connection| &**connection),
    };
    let body = in_time(collect(payload, counting, &begun), times, &received).await;
    if body.is_err() {
        let begun = Begun(begun.take().freeze());
        request.extensions_mut().insert(begun);
    }
    body
}

async fn in_time(
    body: impl Future<Output = Result<ReceivedBody, HttpError>>,
    times: BodyTimes,
    received: &Cell<usize>,
) -> Result<ReceivedBody, HttpError> {
    let mut body = pin!(body);
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
    begun: &RefCell<BytesMut>,
) -> Result<ReceivedBody, HttpError> {
    let longest = counting.longest;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| HttpError::BrokenOff)?;
        let mut body = begun.borrow_mut();
        let length = body.len() + chunk.len();
        if length > longest {
            // Not kept for longer than the response takes, and no more than one read from the socket.
            body.extend_from_slice(&chunk);
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
            *body = BytesMut::from(chunk);
            continue;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(ReceivedBody {
        bytes: begun.take().freeze(),
        taken: counting.taken,
    })
}
