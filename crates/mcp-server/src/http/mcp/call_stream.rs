//! The event stream of a call of MCP 2026-07-28. It is opened by the first notification, because before that
//! any HTTP status is possible.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, HeaderName},
    web::Bytes,
};
use futures_util::Stream;
use tokio::{
    sync::mpsc,
    time::{Instant, Sleep, sleep},
};

use crate::{
    dispatch::{Failure, PendingAnswer},
    features::conversation::{Peer, PeerError, ResponseFuture},
};
use mcp_protocol::{
    answer::Answer,
    logging::Level,
    outgoing::ServerRequest,
    sse::{self, KEEP_ALIVE},
};

/// Notifications that may be queued for a client that reads slowly; further ones are dropped.
const QUEUE: usize = 32;

/// Tells a proxy not to buffer the stream (nginx, `X-Accel-Buffering`).
static ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Turns the outcome of a call into the last message of its stream.
type Finish = Box<dyn FnOnce(Result<Answer, Failure>) -> String>;

/// The response to a call.
pub(crate) enum CallOutcome {
    /// The answer; nothing was sent before it.
    Complete(Result<Answer, Failure>),
    /// A stream, which ends with the answer.
    Streaming(HttpResponse),
}

/// The peer of a call that asked for no notifications.
struct SilentPeer;

impl Peer for SilentPeer {
    fn notify(&self, _: String) {}

    fn admits(&self, _: Level) -> bool {
        false
    }

    fn ask(&self, _: &ServerRequest) -> ResponseFuture {
        Box::pin(std::future::ready(Err(PeerError::Unanswered)))
    }
}

/// The peer of a call that asked for notifications.
struct NotificationSender {
    messages: mpsc::Sender<String>,
}

impl Peer for NotificationSender {
    fn notify(&self, message: String) {
        // Dropped if the client reads too slowly.
        let _ = self.messages.try_send(message);
    }

    /// Not even if the request names a level: 2026-07-28 deprecates log messages, so they are not declared, and what is not
    /// declared is not sent.
    fn admits(&self, _: Level) -> bool {
        false
    }

    fn ask(&self, _: &ServerRequest) -> ResponseFuture {
        Box::pin(std::future::ready(Err(PeerError::Unanswered)))
    }
}

/// Notifications that have not been sent yet.
pub(crate) struct NotificationReceiver(Option<mpsc::Receiver<String>>);

/// The peer of a call and the receiver of its notifications. They are dropped if the client asked for neither
/// progress nor log messages.
pub(crate) fn channel(wants_progress: bool) -> (Rc<dyn Peer>, NotificationReceiver) {
    if wants_progress {
        let (messages, receiver) = mpsc::channel(QUEUE);
        let sender = NotificationSender { messages };
        (Rc::new(sender), NotificationReceiver(Some(receiver)))
    } else {
        (Rc::new(SilentPeer), NotificationReceiver(None))
    }
}

/// Runs a call until its answer or its first notification. `finish` turns the outcome into the last message
/// of a stream.
pub(crate) async fn run(
    mut pending: PendingAnswer,
    mut notifications: NotificationReceiver,
    heartbeat_interval: Duration,
    finish: impl FnOnce(Result<Answer, Failure>) -> String + 'static,
) -> CallOutcome {
    let first = poll_fn(|context| {
        if let Poll::Ready(Some(message)) = notifications.poll(context) {
            return Poll::Ready(Err(message));
        }
        pending.as_mut().poll(context).map(Ok)
    })
    .await;
    let (first_message, pending, finish, last) = match first {
        Err(message) => {
            let finish: Finish = Box::new(finish);
            (message, Some(pending), Some(finish), None)
        }
        // It may have sent a notification just before its answer. A failure keeps its status instead.
        Ok(Ok(answer)) => match notifications.take() {
            None => return CallOutcome::Complete(Ok(answer)),
            Some(message) => (message, None, None, Some(finish(Ok(answer)))),
        },
        Ok(Err(failure)) => return CallOutcome::Complete(Err(failure)),
    };
    CallOutcome::Streaming(event_stream(CallStream {
        first: Some(first_message),
        pending,
        notifications,
        finish,
        last,
        heartbeat: Heartbeat::new(heartbeat_interval),
    }))
}

/// A timer for comments on a stream without messages, because proxies close silent connections.
pub(crate) struct Heartbeat {
    longest: Duration,
    rest: Pin<Box<Sleep>>,
}

impl Heartbeat {
    pub(crate) fn new(longest: Duration) -> Self {
        Self {
            longest,
            rest: Box::pin(sleep(longest)),
        }
    }

    /// A message was sent.
    pub(crate) fn restart(&mut self) {
        self.rest.as_mut().reset(Instant::now() + self.longest);
    }

    /// Ready when nothing was sent for too long.
    pub(crate) fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.rest.as_mut().poll(context)
    }

    /// A comment, if nothing was sent for too long.
    fn poll_comment(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        if self.poll_end(context).is_pending() {
            return Poll::Pending;
        }
        self.restart();
        // Polled again at once, so that the timer wakes this task the next time.
        context.waker().wake_by_ref();
        Poll::Ready(Some(Ok(Bytes::from_static(KEEP_ALIVE.as_bytes()))))
    }
}

/// A response with an event stream.
pub(crate) fn event_stream(
    events: impl Stream<Item = Result<Bytes, Infallible>> + 'static,
) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-cache, no-store"))
        .insert_header((ACCEL_BUFFERING.clone(), "no"))
        .content_type("text/event-stream")
        .streaming(events)
}

impl NotificationReceiver {
    /// A notification, if there is one.
    fn take(&mut self) -> Option<String> {
        self.0.as_mut()?.try_recv().ok()
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<String>> {
        match &mut self.0 {
            Some(receiver) => receiver.poll_recv(context),
            None => Poll::Ready(None),
        }
    }
}

/// The rest of a call. Dropping it, when the client disconnects, cancels the call (MCP 2026-07-28,
/// Transports, Cancellation).
struct CallStream {
    first: Option<String>,
    pending: Option<PendingAnswer>,
    notifications: NotificationReceiver,
    finish: Option<Finish>,
    last: Option<String>,
    heartbeat: Heartbeat,
}

impl CallStream {
    fn event(&mut self, json: &str) -> Poll<Option<Result<Bytes, Infallible>>> {
        self.heartbeat.restart();
        Poll::Ready(Some(Ok(sse::message(None, json).into())))
    }
}

impl Stream for CallStream {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(message) = self.first.take() {
            return self.event(&message);
        }
        // Polled before the notifications, so that those it sends just before its answer are received when the
        // answer is ready.
        if let Some(pending) = &mut self.pending
            && let Poll::Ready(outcome) = pending.as_mut().poll(context)
        {
            self.pending = None;
            self.last = self.finish.take().map(|finish| finish(outcome));
        }
        if let Poll::Ready(Some(message)) = self.notifications.poll(context) {
            return self.event(&message);
        }
        if self.pending.is_none() {
            return match self.last.take() {
                Some(message) => self.event(&message),
                None => Poll::Ready(None),
            };
        }
        self.heartbeat.poll_comment(context)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::{MessageBody, to_bytes};
    use tokio::sync::oneshot;

    use super::*;
    use mcp_protocol::rpc_error::RpcError;

    /// Longer than any of these tests.
    const SILENCE: Duration = Duration::from_secs(60);

    fn last(outcome: Result<Answer, Failure>) -> String {
        match outcome {
            Ok(_) => "done".to_owned(),
            Err(failure) => failure.in_band(&crate::samples::scopes()).message,
        }
    }

    async fn streamed(outcome: CallOutcome) -> String {
        let CallOutcome::Streaming(response) = outcome else {
            panic!("nothing was sent");
        };
        for (name, value) in [
            ("content-type", "text/event-stream"),
            ("cache-control", "no-cache, no-store"),
            ("x-accel-buffering", "no"),
        ] {
            assert_eq!(response.headers().get(name).unwrap(), value);
        }
        let body = to_bytes(response.into_body()).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    /// D-19.
    #[actix_rt::test]
    async fn a_call_that_says_nothing_on_the_way_has_every_status_open() {
        for wants_progress in [false, true] {
            let (client, notifications) = channel(wants_progress);
            let pending: PendingAnswer = Box::pin(async move {
                let _client = client;
                tokio::task::yield_now().await;
                Err(RpcError::invalid_params("x").into())
            });
            let outcome = run(pending, notifications, SILENCE, last).await;
            assert!(matches!(
                outcome,
                CallOutcome::Complete(Err(Failure::Rpc(_)))
            ));
        }
    }

    /// T-23.
    #[actix_rt::test]
    async fn what_a_call_says_comes_before_its_answer_and_the_answer_ends_the_stream() {
        for failed in [false, true] {
            let (client, notifications) = channel(true);
            let pending: PendingAnswer = Box::pin(async move {
                client.notify("1".to_owned());
                tokio::task::yield_now().await;
                client.notify("2".to_owned());
                client.notify("3".to_owned());
                if failed {
                    Err(RpcError::invalid_params("no").into())
                } else {
                    Ok(Answer::Empty)
                }
            });
            let answer = if failed { "no" } else { "done" };
            assert_eq!(
                streamed(run(pending, notifications, SILENCE, last).await).await,
                format!("data: 1\n\ndata: 2\n\ndata: 3\n\ndata: {answer}\n\n")
            );
        }
    }

    /// P-18.
    #[actix_rt::test]
    async fn who_wants_no_progress_gets_none() {
        let (client, notifications) = channel(false);
        let pending: PendingAnswer = Box::pin(async move {
            client.notify("1".to_owned());
            Ok(Answer::Empty)
        });
        let outcome = run(pending, notifications, SILENCE, last).await;
        assert!(matches!(outcome, CallOutcome::Complete(Ok(Answer::Empty))));
    }

    #[actix_rt::test]
    async fn a_client_that_does_not_read_loses_progress_and_never_the_answer() {
        let (client, notifications) = channel(true);
        let pending: PendingAnswer = Box::pin(async move {
            for n in 0..10 * QUEUE {
                client.notify(n.to_string());
            }
            tokio::task::yield_now().await;
            Ok(Answer::Empty)
        });
        let text = streamed(run(pending, notifications, SILENCE, last).await).await;
        assert_eq!(text.matches("data: ").count(), QUEUE + 1);
        assert!(text.ends_with("data: done\n\n"));
    }

    /// T-27.
    #[actix_rt::test]
    async fn a_modern_stream_that_is_dropped_takes_its_call_with_it() {
        let (client, notifications) = channel(true);
        let (held, dropped) = oneshot::channel::<()>();
        let pending: PendingAnswer = Box::pin(async move {
            let _held = held;
            client.notify("1".to_owned());
            std::future::pending().await
        });
        let CallOutcome::Streaming(response) = run(pending, notifications, SILENCE, last).await
        else {
            panic!("it spoke");
        };
        let mut body = response.into_body();
        let first = poll_fn(|context| Pin::new(&mut body).poll_next(context)).await;
        assert_eq!(first.unwrap().unwrap(), "data: 1\n\n");
        drop(body);
        assert!(dropped.await.is_err());
    }
}
