//! Streams that stay open: those of legacy sessions, and the subscriptions of modern clients. Nothing
//! is sent on one whose token is no longer good.

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
    stream_authorization::Authority,
};
use crate::session::{Frames, Listening};
use mcp_protocol::sse::{self, KEEP_ALIVE};

/// What happens next on a stream.
enum Next {
    /// It has to end.
    Over,
    /// There is something to say; `None` if there is nobody left to say anything.
    Said(Option<String>),
    /// Nothing was said for too long (T-25).
    Heartbeat,
}

/// A response that passes on the frames of a legacy session, to the end of the stream or of its
/// authority. Dropping it cancels nothing: the client can resume (L-19). `in_use` is called now and
/// then while somebody listens.
pub(crate) fn of_frames(
    frames: Frames,
    silence: Duration,
    authority: impl Authority + 'static,
    in_use: impl Fn() + 'static,
) -> HttpResponse {
    event_stream(events(
        FrameStream {
            frames,
            in_use: Box::new(in_use),
            silence: Heartbeat::new(silence),
            authority,
        },
        FrameStream::next,
    ))
}

struct FrameStream<A> {
    frames: Frames,
    in_use: Box<dyn Fn()>,
    silence: Heartbeat,
    authority: A,
}

impl<A: Authority> FrameStream<A> {
    async fn next(&mut self) -> Option<Bytes> {
        let next = poll_fn(|context| {
            if self.authority.poll_over(context).is_ready() {
                return Poll::Ready(Next::Over);
            }
            match self.frames.poll_recv(context) {
                Poll::Ready(frame) => Poll::Ready(Next::Said(frame)),
                Poll::Pending => self.silence.poll_end(context).map(|()| Next::Heartbeat),
            }
        });
        let bytes = match next.await {
            Next::Over | Next::Said(None) => return None,
            Next::Said(Some(frame)) => frame.into(),
            Next::Heartbeat => {
                (self.in_use)();
                Bytes::from_static(KEEP_ALIVE.as_bytes())
            }
        };
        // What is not sent is kept, and can be resumed with another token.
        let good = self.authority.still_good().await;
        self.silence.restart();
        good.then_some(bytes)
    }
}

/// Comes when the server stops.
fn closed(mut closing: watch::Receiver<bool>) -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async move {
        // Whoever could say so has gone: that is the end as well.
        let _ = closing.wait_for(|closing| *closing).await;
    })
}

/// A response on which a modern client is told of changes. It ends in order, by `last`, when the
/// server stops or its authority ends (P-15, D-22).
pub(crate) fn of_listening(
    listening: Listening,
    first: String,
    last: String,
    silence: Duration,
    authority: impl Authority + 'static,
) -> HttpResponse {
    event_stream(events(
        ListenStream {
            closing: closed(listening.closing.clone()),
            listening,
            first: Some(first),
            last: Some(last),
            silence: Heartbeat::new(silence),
            authority,
        },
        ListenStream::next,
    ))
}

struct ListenStream<A> {
    listening: Listening,
    closing: Pin<Box<dyn Future<Output = ()>>>,
    first: Option<String>,
    last: Option<String>,
    silence: Heartbeat,
    authority: A,
}

impl<A: Authority> ListenStream<A> {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(event(&first));
        }
        self.last.as_ref()?;
        let next = poll_fn(|context| self.poll_next(context)).await;
        let good = !matches!(next, Next::Over) && self.authority.still_good().await;
        self.silence.restart();
        match next {
            Next::Said(Some(message)) if good => Some(event(&message)),
            Next::Heartbeat if good => Some(Bytes::from_static(KEEP_ALIVE.as_bytes())),
            _ => self.last.take().as_deref().map(event),
        }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Next> {
        if self.authority.poll_over(context).is_ready()
            || self.closing.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Next::Over);
        }
        match self.listening.messages.poll_recv(context) {
            Poll::Ready(message) => Poll::Ready(Next::Said(message)),
            Poll::Pending => self.silence.poll_end(context).map(|()| Next::Heartbeat),
        }
    }
}

fn event(json: &str) -> Bytes {
    sse::message(None, json).into()
}

/// What a state brings forth, one after the other, until there is nothing more.
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

    /// Longer than any of these tests.
    const SILENCE: Duration = Duration::from_secs(60);

    /// Good as long as it says so, and never over.
    struct Word(Rc<Cell<bool>>);

    impl Authority for Word {
        fn poll_over(&mut self, _: &mut Context<'_>) -> Poll<()> {
            Poll::Pending
        }

        async fn still_good(&mut self) -> bool {
            self.0.get()
        }
    }

    /// A stream, and what a test holds of it.
    struct Held {
        sender: mpsc::Sender<String>,
        good: Rc<Cell<bool>>,
        used: Rc<Cell<u32>>,
        stream: FrameStream<Word>,
    }

    fn hold(silence: Duration) -> Held {
        let (sender, frames) = mpsc::channel(2);
        let (good, used) = (Rc::new(Cell::new(true)), Rc::new(Cell::new(0)));
        let counted = Rc::clone(&used);
        let stream = FrameStream {
            frames,
            in_use: Box::new(move || counted.set(counted.get() + 1)),
            silence: Heartbeat::new(silence),
            authority: Word(Rc::clone(&good)),
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
        held.stream.silence = Heartbeat::new(SILENCE);
        assert!(poll!(std::pin::pin!(held.stream.next())).is_pending());
        drop(held.sender);
        assert_eq!(held.stream.next().await, None);
    }

    #[actix_rt::test]
    async fn nothing_is_sent_under_a_token_that_is_no_longer_good() {
        let mut held = hold(SILENCE);
        held.sender.try_send("1".to_owned()).unwrap();
        assert_eq!(held.stream.next().await.unwrap(), "1");
        held.sender.try_send("2".to_owned()).unwrap();
        held.good.set(false);
        assert_eq!(held.stream.next().await, None);
        let mut silent = hold(Duration::ZERO);
        silent.good.set(false);
        assert_eq!(silent.stream.next().await, None, "a comment neither");
    }
}
