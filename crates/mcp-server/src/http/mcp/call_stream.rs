//! The event stream of a modern call, opened when the call has something to say before its answer,
//! and not before: until then every status is still possible (D-19).

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
    dispatch::{Failure, Work},
    features::conversation::{AnswerFuture, Client, NoAnswer},
};
use mcp_protocol::{
    answer::Answer,
    logging::Level,
    outgoing::ServerRequest,
    sse::{self, KEEP_ALIVE},
};

/// How many messages may wait for a client that reads slowly. Progress that finds no place is lost.
const QUEUE: usize = 32;

/// Tells a proxy in front not to gather what should be passed on (T-24).
static ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Makes the last message of a stream out of what became of its call.
type Finish = Box<dyn FnOnce(Result<Answer, Failure>) -> String>;

/// What became of a call.
pub(crate) enum Outcome {
    /// It answered before it had anything else to say.
    Whole(Result<Answer, Failure>),
    /// It spoke first; this is the rest of it.
    Streamed(HttpResponse),
}

/// The client's end of a call that can only be answered.
struct Silent;

impl Client for Silent {
    fn notify(&self, _: String) {}

    fn admits(&self, _: Level) -> bool {
        false
    }

    fn ask(&self, _: &ServerRequest) -> AnswerFuture {
        Box::pin(std::future::ready(Err(NoAnswer::Unanswered)))
    }
}

/// The client's end of a call on whose stream there may be notifications.
struct EventSender {
    messages: mpsc::Sender<String>,
    log_level: Option<Level>,
}

impl Client for EventSender {
    fn notify(&self, message: String) {
        // A client that does not read gets less to read.
        let _ = self.messages.try_send(message);
    }

    fn admits(&self, level: Level) -> bool {
        self.log_level.is_some_and(|least| level >= least)
    }

    fn ask(&self, _: &ServerRequest) -> AnswerFuture {
        Box::pin(std::future::ready(Err(NoAnswer::Unanswered)))
    }
}

/// What a call has said that has not been sent.
pub(crate) struct EventReceiver(Option<mpsc::Receiver<String>>);

/// Both ends of a call's stream. There is nothing to it where the client asked for neither progress
/// nor log messages.
pub(crate) fn channel(
    wants_progress: bool,
    log_level: Option<Level>,
) -> (Rc<dyn Client>, EventReceiver) {
    if wants_progress || log_level.is_some() {
        let (messages, receiver) = mpsc::channel(QUEUE);
        let outlet = EventSender {
            messages,
            log_level,
        };
        (Rc::new(outlet), EventReceiver(Some(receiver)))
    } else {
        (Rc::new(Silent), EventReceiver(None))
    }
}

/// Runs a call until it has something to say. `finish` makes the last message of a stream out of
/// what became of the call; `silence` is how long that stream is silent at most.
pub(crate) async fn run(
    mut work: Work,
    mut inbox: EventReceiver,
    silence: Duration,
    finish: impl FnOnce(Result<Answer, Failure>) -> String + 'static,
) -> Outcome {
    let first = poll_fn(|context| {
        if let Poll::Ready(Some(message)) = inbox.poll(context) {
            return Poll::Ready(Err(message));
        }
        work.as_mut().poll(context).map(Ok)
    })
    .await;
    let (said, work, finish, last) = match first {
        Err(message) => {
            let finish: Finish = Box::new(finish);
            (message, Some(work), Some(finish), None)
        }
        // It may have spoken on the last stretch to its answer. A failure keeps its status instead.
        Ok(Ok(answer)) => match inbox.take() {
            None => return Outcome::Whole(Ok(answer)),
            Some(message) => (message, None, None, Some(finish(Ok(answer)))),
        },
        Ok(Err(failure)) => return Outcome::Whole(Err(failure)),
    };
    Outcome::Streamed(event_stream(CallStream {
        first: Some(said),
        work,
        inbox,
        finish,
        last,
        silence: Heartbeat::new(silence),
    }))
}

/// Watches over a stream on which nothing is said. Proxies close connections that are silent for long.
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

    /// Something was said.
    pub(crate) fn restart(&mut self) {
        self.rest.as_mut().reset(Instant::now() + self.longest);
    }

    /// Comes when there was silence for too long (T-25).
    pub(crate) fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.rest.as_mut().poll(context)
    }

    /// A comment if there was silence for too long (T-25).
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

/// A response that is an event stream.
pub(crate) fn event_stream(
    events: impl Stream<Item = Result<Bytes, Infallible>> + 'static,
) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-cache, no-store"))
        .insert_header((ACCEL_BUFFERING.clone(), "no"))
        .content_type("text/event-stream")
        .streaming(events)
}

impl EventReceiver {
    /// What is there already.
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

/// The rest of a call. Dropping it, as when the client goes away, cancels the call (T-27).
struct CallStream {
    first: Option<String>,
    work: Option<Work>,
    inbox: EventReceiver,
    finish: Option<Finish>,
    last: Option<String>,
    silence: Heartbeat,
}

impl CallStream {
    fn event(&mut self, json: &str) -> Poll<Option<Result<Bytes, Infallible>>> {
        self.silence.restart();
        Poll::Ready(Some(Ok(sse::message(None, json).into())))
    }
}

impl Stream for CallStream {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(message) = self.first.take() {
            return self.event(&message);
        }
        // Polled before the inbox, so that what it says on the way to its answer is in the inbox
        // when the answer is there.
        if let Some(work) = &mut self.work
            && let Poll::Ready(outcome) = work.as_mut().poll(context)
        {
            self.work = None;
            self.last = self.finish.take().map(|finish| finish(outcome));
        }
        if let Poll::Ready(Some(message)) = self.inbox.poll(context) {
            return self.event(&message);
        }
        if self.work.is_none() {
            return match self.last.take() {
                Some(message) => self.event(&message),
                None => Poll::Ready(None),
            };
        }
        self.silence.poll_comment(context)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::{MessageBody, to_bytes};
    use tokio::sync::oneshot;

    use super::*;
    use mcp_protocol::jsonrpc::RpcError;

    /// Longer than any of these tests.
    const SILENCE: Duration = Duration::from_secs(60);

    fn last(outcome: Result<Answer, Failure>) -> String {
        match outcome {
            Ok(_) => "done".to_owned(),
            Err(failure) => failure.in_band(&crate::samples::scopes()).message,
        }
    }

    async fn streamed(outcome: Outcome) -> String {
        let Outcome::Streamed(response) = outcome else {
            panic!("nothing was said");
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
            let (client, inbox) = channel(wants_progress, None);
            let work: Work = Box::pin(async move {
                let _client = client;
                tokio::task::yield_now().await;
                Err(RpcError::invalid_params("x").into())
            });
            let outcome = run(work, inbox, SILENCE, last).await;
            assert!(matches!(outcome, Outcome::Whole(Err(Failure::Rpc(_)))));
        }
    }

    /// T-23.
    #[actix_rt::test]
    async fn what_a_call_says_comes_before_its_answer_and_the_answer_ends_the_stream() {
        for failed in [false, true] {
            let (client, inbox) = channel(true, None);
            let work: Work = Box::pin(async move {
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
                streamed(run(work, inbox, SILENCE, last).await).await,
                format!("data: 1\n\ndata: 2\n\ndata: 3\n\ndata: {answer}\n\n")
            );
        }
    }

    /// P-18.
    #[actix_rt::test]
    async fn who_wants_no_progress_gets_none() {
        let (client, inbox) = channel(false, None);
        let work: Work = Box::pin(async move {
            client.notify("1".to_owned());
            Ok(Answer::Empty)
        });
        let outcome = run(work, inbox, SILENCE, last).await;
        assert!(matches!(outcome, Outcome::Whole(Ok(Answer::Empty))));
    }

    #[actix_rt::test]
    async fn a_client_that_does_not_read_loses_progress_and_never_the_answer() {
        let (client, inbox) = channel(true, None);
        let work: Work = Box::pin(async move {
            for n in 0..10 * QUEUE {
                client.notify(n.to_string());
            }
            tokio::task::yield_now().await;
            Ok(Answer::Empty)
        });
        let text = streamed(run(work, inbox, SILENCE, last).await).await;
        assert_eq!(text.matches("data: ").count(), QUEUE + 1);
        assert!(text.ends_with("data: done\n\n"));
    }

    /// T-27.
    #[actix_rt::test]
    async fn a_modern_stream_that_is_dropped_takes_its_call_with_it() {
        let (client, inbox) = channel(true, None);
        let (held, dropped) = oneshot::channel::<()>();
        let work: Work = Box::pin(async move {
            let _held = held;
            client.notify("1".to_owned());
            std::future::pending().await
        });
        let Outcome::Streamed(response) = run(work, inbox, SILENCE, last).await else {
            panic!("it spoke");
        };
        let mut body = response.into_body();
        let first = poll_fn(|context| Pin::new(&mut body).poll_next(context)).await;
        assert_eq!(first.unwrap().unwrap(), "data: 1\n\n");
        drop(body);
        assert!(dropped.await.is_err());
    }
}
