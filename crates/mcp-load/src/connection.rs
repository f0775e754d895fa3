//! One connection to a server, and what comes back over it, within bounds.

use std::{io, time::Duration};

use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1::{self, SendRequest},
    header,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};

use crate::{
    events::Events,
    failure::{Failure, Kind},
    scan,
    target::Target,
};

/// The longest that a server can make a client wait before it asks again.
const LONGEST_WAIT: u64 = 60;

/// How much is read at once, per connection. There are thousands.
const READ_BUFFER: usize = 16 * 1_024;

/// A connection that carries one request at a time.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
}

/// The head of an answer, and when all of it was there.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) whole: Instant,
}

/// What to read of an answer.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    /// The id of the response that is waited for, which may come as an event of a stream, after others.
    pub(crate) id: Option<u64>,
    /// How many bytes it may have.
    pub(crate) most: usize,
}

impl Connection {
    /// Opens one, to one of the server's addresses after the other.
    pub(crate) async fn open(target: &Target, turn: usize) -> Result<Self, Failure> {
        let address = target.addresses[turn % target.addresses.len()];
        let no = |error: &dyn std::fmt::Display| {
            Failure::new(Kind::Connect, format!("{}: {error}", target.name))
        };
        let stream = TcpStream::connect(address)
            .await
            .map_err(|error| no(&error))?;
        // A request is one packet, and waits for no other.
        stream.set_nodelay(true).map_err(|error| no(&error))?;
        let sender = match &target.tls {
            None => handshake(stream).await,
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await;
                handshake(stream.map_err(|error| no(&error))?).await
            }
        };
        Ok(Self {
            sender: sender.map_err(|error| no(&error))?,
        })
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Sends a request; the answer's body has not been read. A request that the connection did not even begin to send, because the
    /// server had closed it meanwhile, is given back.
    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, (Failure, Option<Box<Request<Full<Bytes>>>>)> {
        if let Err(error) = self.sender.ready().await {
            return Err((closed(&error), Some(Box::new(request))));
        }
        self.sender
            .try_send_request(request)
            .await
            .map_err(|mut error| {
                let unsent = error.take_message();
                (closed(error.error()), unsent.map(Box::new))
            })
    }
}

async fn handshake<I>(stream: I) -> hyper::Result<SendRequest<Full<Bytes>>>
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .read_buf_exact_size(Some(READ_BUFFER))
        .handshake(TokioIo::new(stream))
        .await?;
    // Its errors are those of the request that is under way, or of nobody.
    tokio::spawn(async { drop(connection.await) });
    Ok(sender)
}

fn closed(error: &hyper::Error) -> Failure {
    let cause = std::error::Error::source(error);
    let refused = cause.and_then(|cause| cause.downcast_ref::<io::Error>());
    Failure::new(
        Kind::Closed,
        refused.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}")),
    )
}

/// Reads the answer to a request into `body`: all of it, or of an event stream the event with the response. Whether the connection
/// can carry another request is said by `Connection::is_closed`, later.
pub(crate) async fn read(
    response: Response<Incoming>,
    wanted: Wanted,
    body: &mut Vec<u8>,
) -> Result<Reply, Failure> {
    body.clear();
    let is_stream = is_event_stream(response.headers());
    let (head, mut incoming) = response.into_parts();
    let mut events = Events::up_to(wanted.most);
    let mut found = None;
    while let Some(frame) = incoming.frame().await {
        let frame = match frame {
            Ok(frame) => frame,
            // The response was there; how its stream ends is of no matter.
            Err(_) if found.is_some() => break,
            Err(error) => return Err(closed(&error)),
        };
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        if found.is_some() {
            continue;
        }
        if !is_stream {
            if body.len() + piece.len() > wanted.most {
                return Err(too_large(wanted.most));
            }
            body.extend_from_slice(&piece);
            continue;
        }
        let taken = events.take(&piece, |event| {
            if found.is_none() && is_response(event, wanted.id) {
                body.extend_from_slice(event);
                found = Some(Instant::now());
            }
        });
        taken.map_err(|_| too_large(wanted.most))?;
    }
    Ok(Reply {
        status: head.status,
        headers: head.headers,
        whole: found.unwrap_or_else(Instant::now),
    })
}

pub(crate) fn too_large(most: usize) -> Failure {
    Failure::new(Kind::TooLarge, format!("more than {} KiB", most / 1_024))
}

/// Whether an event is a response, and not a notification or a question on the way to it.
fn is_response(event: &[u8], id: Option<u64>) -> bool {
    let members = scan::members(event, [b"id", b"method"]);
    id.is_some() && matches!(members, Ok([_, None]))
}

pub(crate) fn is_event_stream(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| {
        let media_type = value.as_bytes().split(|byte| *byte == b';').next();
        media_type.is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(b"text/event-stream"))
    })
}

/// What a status that is no success means.
pub(crate) fn refused(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
    let mut failure = Failure::said(Kind::Status(status.as_u16()), body);
    let wait = headers.get(header::RETRY_AFTER);
    let seconds = wait.and_then(|wait| wait.to_str().ok()?.trim().parse::<u64>().ok());
    failure.retry_after = seconds.map(|seconds| Duration::from_secs(seconds.min(LONGEST_WAIT)));
    failure
}

/// Gives up after a while.
pub(crate) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    timeout(limit, work).await.unwrap_or_else(|_| {
        let words = format!("no answer within {}", crate::duration::shown(limit));
        Err(Failure::new(Kind::Timeout, words))
    })
}
