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
    sync::{mpsc, watch},
    time::{Instant, Sleep, sleep},
};

use crate::{
    actors::session::{Frames, Listening},
    features::{
        conversation::{AnswerFuture, Client, NoAnswer},
        dispatch::{Failure, Work},
    },
    mcp::{
        answer::Answer,
        logging::Level,
        outgoing::Question,
        sse::{self, KEEP_ALIVE},
    },
};

/// How many messages may wait for a client that reads slowly. Progress that finds no place is lost.
const OUTLET: usize = 32;

/// How long a stream is silent at most. Proxies close connections that are silent for longer.
const SILENCE: Duration = Duration::from_secs(15);

/// Tells a proxy in front not to gather what should be passed on (T-24).
static ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Makes the last message of a stream out of what became of its call.
type Finish = Box<dyn FnOnce(Result<Answer, Failure>) -> String>;

/// What became of a call.
pub(super) enum Outcome {
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

    fn ask(&self, _: &Question) -> AnswerFuture {
        Box::pin(std::future::ready(Err(NoAnswer)))
    }
}

/// The client's end of a call on whose stream there may be notifications.
struct Outlet {
    messages: mpsc::Sender<String>,
    log_level: Option<Level>,
}

impl Client for Outlet {
    fn notify(&self, message: String) {
        // A client that does not read gets less to read.
        let _ = self.messages.try_send(message);
    }

    fn admits(&self, level: Level) -> bool {
        self.log_level.is_some_and(|least| level >= least)
    }

    fn ask(&self, _: &Question) -> AnswerFuture {
        Box::pin(std::future::ready(Err(NoAnswer)))
    }
}

/// What a call has said that has not been sent.
pub(super) struct Inbox(Option<mpsc::Receiver<String>>);

/// Both ends of a call's stream. There is nothing to it where the client asked for neither progress
/// nor log messages.
pub(super) fn channel(wants_progress: bool, log_level: Option<Level>) -> (Rc<dyn Client>, Inbox) {
    if wants_progress || log_level.is_some() {
        let (messages, receiver) = mpsc::channel(OUTLET);
        let outlet = Outlet {
            messages,
            log_level,
        };
        (Rc::new(outlet), Inbox(Some(receiver)))
    } else {
        (Rc::new(Silent), Inbox(None))
    }
}

/// Runs a call until it has something to say. `finish` makes the last message of a stream out of
/// what became of the call.
pub(super) async fn run(
    mut work: Work,
    mut inbox: Inbox,
    finish: impl FnOnce(Result<Answer, Failure>) -> String + 'static,
) -> Outcome {
    let first = poll_fn(|context| {
        if let Poll::Ready(Some(message)) = inbox.poll(context) {
            return Poll::Ready(Err(message));
        }
        work.as_mut().poll(context).map(Ok)
    })
    .await;
    let mut stream = CallStream {
        first: None,
        work: None,
        inbox,
        finish: None,
        last: None,
        silence: Box::pin(sleep(SILENCE)),
    };
    match first {
        Err(message) => {
            stream.first = Some(message);
            stream.work = Some(work);
            stream.finish = Some(Box::new(finish));
        }
        // It may have spoken on the last stretch to its answer. A failure keeps its status instead.
        Ok(Ok(answer)) => match stream.inbox.take() {
            None => return Outcome::Whole(Ok(answer)),
            Some(message) => {
                stream.first = Some(message);
                stream.last = Some(finish(Ok(answer)));
            }
        },
        Ok(Err(failure)) => return Outcome::Whole(Err(failure)),
    }
    Outcome::Streamed(event_stream(stream))
}

/// A response that passes on the frames of a legacy session, to the end of the stream or of the time
/// that it has. Dropping it cancels nothing: the client can resume (L-19).
pub(super) fn of_frames(
    frames: Frames,
    ends_in: Option<Duration>,
    closing: watch::Receiver<bool>,
) -> HttpResponse {
    event_stream(FrameStream {
        frames,
        closing: closed(closing),
        silence: Box::pin(sleep(SILENCE)),
        end: ends_in.map(|ends_in| Box::pin(sleep(ends_in))),
    })
}

struct FrameStream {
    frames: Frames,
    closing: Closing,
    silence: Pin<Box<Sleep>>,
    end: Option<Pin<Box<Sleep>>>,
}

impl Stream for FrameStream {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if is_over(&mut self.end, context) || self.closing.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = self.frames.poll_recv(context) {
            restart(&mut self.silence);
            return Poll::Ready(frame.map(|frame| Ok(frame.into())));
        }
        keep_alive(&mut self.silence, context)
    }
}

/// Comes to its end when the server stops.
type Closing = Pin<Box<dyn Future<Output = ()>>>;

fn closed(mut closing: watch::Receiver<bool>) -> Closing {
    Box::pin(async move {
        // Whoever could say so has gone: that is the end as well.
        let _ = closing.wait_for(|closing| *closing).await;
    })
}

fn is_over(end: &mut Option<Pin<Box<Sleep>>>, context: &mut Context<'_>) -> bool {
    end.as_mut()
        .is_some_and(|end| end.as_mut().poll(context).is_ready())
}

/// A response on which a modern client is told of changes. It ends in order, by `last`, when the
/// server stops or the time that it has is over (P-15, D-22).
pub(super) fn of_listening(
    listening: Listening,
    first: String,
    last: String,
    ends_in: Option<Duration>,
) -> HttpResponse {
    event_stream(ListenStream {
        closing: closed(listening.closing.clone()),
        listening,
        first: Some(first),
        last: Some(last),
        silence: Box::pin(sleep(SILENCE)),
        end: ends_in.map(|ends_in| Box::pin(sleep(ends_in))),
    })
}

struct ListenStream {
    listening: Listening,
    closing: Closing,
    first: Option<String>,
    last: Option<String>,
    silence: Pin<Box<Sleep>>,
    end: Option<Pin<Box<Sleep>>>,
}

impl Stream for ListenStream {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(sse::message(None, &first).into())));
        }
        if this.last.is_none() {
            return Poll::Ready(None);
        }
        let over =
            is_over(&mut this.end, context) || this.closing.as_mut().poll(context).is_ready();
        let message = if over {
            this.last.take()
        } else {
            match this.listening.messages.poll_recv(context) {
                Poll::Ready(Some(message)) => Some(message),
                // Whoever told us has gone.
                Poll::Ready(None) => this.last.take(),
                Poll::Pending => return keep_alive(&mut this.silence, context),
            }
        };
        restart(&mut this.silence);
        Poll::Ready(message.map(|message| Ok(sse::message(None, &message).into())))
    }
}

/// A comment if there was silence for too long.
fn keep_alive(
    silence: &mut Pin<Box<Sleep>>,
    context: &mut Context<'_>,
) -> Poll<Option<Result<Bytes, Infallible>>> {
    if silence.as_mut().poll(context).is_pending() {
        return Poll::Pending;
    }
    restart(silence);
    // Polled again at once, so that the timer wakes this task the next time.
    context.waker().wake_by_ref();
    Poll::Ready(Some(Ok(Bytes::from_static(KEEP_ALIVE.as_bytes()))))
}

fn restart(silence: &mut Pin<Box<Sleep>>) {
    silence.as_mut().reset(Instant::now() + SILENCE);
}

/// A response that is an event stream.
fn event_stream(events: impl Stream<Item = Result<Bytes, Infallible>> + 'static) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-cache, no-store"))
        .insert_header((ACCEL_BUFFERING.clone(), "no"))
        .content_type("text/event-stream")
        .streaming(events)
}

impl Inbox {
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
    inbox: Inbox,
    finish: Option<Finish>,
    last: Option<String>,
    silence: Pin<Box<Sleep>>,
}

impl CallStream {
    fn event(&mut self, json: &str) -> Poll<Option<Result<Bytes, Infallible>>> {
        restart(&mut self.silence);
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
        keep_alive(&mut self.silence, context)
    }
}
