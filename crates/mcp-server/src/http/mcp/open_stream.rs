//! Streams that stay open: those of sessions, and `subscriptions/listen`. Nothing is sent after the token has
//! become invalid.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{HttpResponse, web::Bytes};
use futures_util::{Stream, stream::unfold};
use tokio::sync::watch;

use super::{
    call_stream::{Heartbeat, event_stream},
    stream_authorization::Authorization,
};
use crate::{
    budgets::Taken,
    session::{EventReceiver, Listening},
};
use mcp_protocol::sse::{self, KEEP_ALIVE};

/// The next step of a stream.
enum Next<M> {
    /// The stream has to end.
    End,
    /// A message; `None` if the sender is gone.
    Message(Option<M>),
    /// Nothing was sent for too long.
    Heartbeat,
}

/// A response with the events of a session's stream, until the stream or its authorization ends. Dropping it
/// cancels nothing, because the client can resume. `in_use` is called at each heartbeat.
pub(crate) fn of_frames(
    frames: EventReceiver,
    heartbeat_interval: Duration,
    authorization: impl Authorization + 'static,
    in_use: impl Fn() + 'static,
) -> HttpResponse {
    event_stream(events(
        FrameStream {
            frames,
            sending: None,
            in_use: Box::new(in_use),
            heartbeat: Heartbeat::new(heartbeat_interval),
            authorization,
        },
        FrameStream::next,
    ))
}

struct FrameStream<A> {
    frames: EventReceiver,
    /// What the frame that is being sent takes of the memory: actix asks for another when it has been sent.
    sending: Option<Taken>,
    in_use: Box<dyn Fn()>,
    heartbeat: Heartbeat,
    authorization: A,
}

impl<A: Authorization> FrameStream<A> {
    async fn next(&mut self) -> Option<Bytes> {
        self.sending = None;
        let next = poll_fn(|context| {
            if self.authorization.poll_ended(context).is_ready() {
                return Poll::Ready(Next::End);
            }
            match self.frames.poll_recv(context) {
                Poll::Ready(frame) => Poll::Ready(Next::Message(frame)),
                Poll::Pending => self.heartbeat.poll_end(context).map(|()| Next::Heartbeat),
            }
        });
        let bytes = match next.await {
            Next::End | Next::Message(None) => return None,
            Next::Message(Some(frame)) => {
                self.sending = frame.taken;
                frame.text.into()
            }
            Next::Heartbeat => {
                (self.in_use)();
                Bytes::from_static(KEEP_ALIVE.as_bytes())
            }
        };
        // Events that are not sent stay stored and can be resumed with another token.
        let good = self.authorization.is_valid().await;
        self.heartbeat.restart();
        good.then_some(bytes)
    }
}

/// Resolves when the server shuts down.
fn closed(mut closing: watch::Receiver<bool>) -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async move {
        // An error means that the sender is gone, which is the end as well.
        let _ = closing.wait_for(|closing| *closing).await;
    })
}

/// A `subscriptions/listen` response. It ends with `last` when the server shuts down or its authorization
/// ends (MCP 2026-07-28, Subscriptions).
pub(crate) fn of_listening(
    listening: Listening,
    first: String,
    last: String,
    heartbeat_interval: Duration,
    authorization: impl Authorization + 'static,
) -> HttpResponse {
    event_stream(events(
        ListenStream {
            closing: closed(listening.closing.clone()),
            listening,
            first: Some(first),
            last: Some(last),
            heartbeat: Heartbeat::new(heartbeat_interval),
            authorization,
        },
        ListenStream::next,
    ))
}

struct ListenStream<A> {
    listening: Listening,
    closing: Pin<Box<dyn Future<Output = ()>>>,
    first: Option<String>,
    last: Option<String>,
    heartbeat: Heartbeat,
    authorization: A,
}

impl<A: Authorization> ListenStream<A> {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(event(&first));
        }
        self.last.as_ref()?;
        let next = poll_fn(|context| self.poll_next(context)).await;
        let good = !matches!(next, Next::End) && self.authorization.is_valid().await;
        self.heartbeat.restart();
        match next {
            Next::Message(Some(message)) if good => Some(event(&message)),
            Next::Heartbeat if good => Some(Bytes::from_static(KEEP_ALIVE.as_bytes())),
            _ => self.last.take().as_deref().map(event),
        }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Next<String>> {
        if self.authorization.poll_ended(context).is_ready()
            || self.closing.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Next::End);
        }
        match self.listening.messages.poll_recv(context) {
            Poll::Ready(message) => Poll::Ready(Next::Message(message)),
            Poll::Pending => self.heartbeat.poll_end(context).map(|()| Next::Heartbeat),
        }
    }
}

fn event(json: &str) -> Bytes {
    sse::message(None, json).into()
}

/// The outputs of `next` until `None`.
fn events<S: 'static>(
    state: S,
    next: impl AsyncFn(&mut S) -> Option<Bytes> + 'static,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    unfold((state, next), async |(mut state, next)| {
        let bytes = next(&mut state).await?;
        Some((Ok(bytes), (state, next)))
    })
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

    use futures_util::poll;
    use tokio::sync::mpsc;

    use super::*;
    use crate::session::Frame;

    /// Longer than any of these tests.
    const SILENCE: Duration = Duration::from_secs(60);

    /// Good as long as it says so, and never over.
    struct Word(Rc<Cell<bool>>);

    impl Authorization for Word {
        fn poll_ended(&mut self, _: &mut Context<'_>) -> Poll<()> {
            Poll::Pending
        }

        async fn is_valid(&mut self) -> bool {
            self.0.get()
        }
    }

    /// A stream, and what a test holds of it.
    struct Held {
        sender: mpsc::Sender<Frame>,
        good: Rc<Cell<bool>>,
        used: Rc<Cell<u32>>,
        stream: FrameStream<Word>,
    }

    fn hold(heartbeat_interval: Duration) -> Held {
        let (sender, frames) = mpsc::channel(2);
        let (good, used) = (Rc::new(Cell::new(true)), Rc::new(Cell::new(0)));
        let counted = Rc::clone(&used);
        let stream = FrameStream {
            frames,
            sending: None,
            in_use: Box::new(move || counted.set(counted.get() + 1)),
            heartbeat: Heartbeat::new(heartbeat_interval),
            authorization: Word(Rc::clone(&good)),
        };
        Held {
            sender,
            good,
            used,
            stream,
        }
    }

    /// T-25.
    #[actix_rt::test]
    async fn a_silence_is_broken_by_a_comment_and_counts_as_use_of_the_session() {
        let mut held = hold(Duration::ZERO);
        assert_eq!(held.stream.next().await.unwrap(), ": keep-alive\n\n");
        assert_eq!(held.used.get(), 1);
        held.stream.heartbeat = Heartbeat::new(SILENCE);
        assert!(poll!(std::pin::pin!(held.stream.next())).is_pending());
        drop(held.sender);
        assert_eq!(held.stream.next().await, None);
    }

    #[actix_rt::test]
    async fn nothing_is_sent_under_a_token_that_is_no_longer_good() {
        let mut held = hold(SILENCE);
        held.sender.try_send(Frame::short("1".to_owned())).unwrap();
        assert_eq!(held.stream.next().await.unwrap(), "1");
        held.sender.try_send(Frame::short("2".to_owned())).unwrap();
        held.good.set(false);
        assert_eq!(held.stream.next().await, None);
        let mut silent = hold(Duration::ZERO);
        silent.good.set(false);
        assert_eq!(silent.stream.next().await, None, "a comment neither");
    }
}
