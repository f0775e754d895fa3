//! What this program relies on actix to do, or not to do: a new version that does otherwise is seen
//! here first.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use actix::{
    Actor, ActorContext, ActorFutureExt, Context, Handler, Message, ResponseActFuture,
    ResponseFuture, WrapFuture, dev::SendError,
};
use tokio::sync::Notify;

/// An actor with a mailbox of one place, which counts what it begins and what it ends.
#[derive(Clone, Default)]
struct Counting(Arc<Counts>);

#[derive(Default)]
struct Counts {
    begun: AtomicUsize,
    ended: AtomicUsize,
    go: Notify,
}

impl Counting {
    fn begun(&self) -> usize {
        self.0.begun.load(Ordering::SeqCst)
    }

    fn ended(&self) -> usize {
        self.0.ended.load(Ordering::SeqCst)
    }

    async fn work(self) {
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        self.0.go.notified().await;
        self.0.ended.fetch_add(1, Ordering::SeqCst);
    }
}

impl Actor for Counting {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(1);
    }
}

/// Answered by a future of its own.
#[derive(Message)]
#[rtype(result = "()")]
struct Free;

/// Answered by a future of the actor's.
#[derive(Message)]
#[rtype(result = "()")]
struct Bound;

#[derive(Message)]
#[rtype(result = "()")]
struct Stop;

#[derive(Message)]
#[rtype(result = "()")]
struct Panic;

impl Handler<Free> for Counting {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Free, _: &mut Self::Context) -> Self::Result {
        Box::pin(self.clone().work())
    }
}

impl Handler<Bound> for Counting {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: Bound, _: &mut Self::Context) -> Self::Result {
        Box::pin(self.clone().work().into_actor(self).map(|(), _, _| ()))
    }
}

impl Handler<Stop> for Counting {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        context.stop();
    }
}

impl Handler<Panic> for Counting {
    type Result = ();

    fn handle(&mut self, _: Panic, _: &mut Self::Context) {
        panic!("on purpose")
    }
}

/// Polls a future once.
async fn once<F: Future + ?Sized>(mut future: Pin<&mut F>) {
    poll_fn(|context| {
        let _ = future.as_mut().poll(context);
        Poll::Ready(())
    })
    .await;
}

/// Lets everything that can run do so.
async fn settle() {
    for _ in 0..100 {
        actix_rt::task::yield_now().await;
    }
}

/// Why admission is a semaphore and not a mailbox: `send` enqueues past the capacity, and a handler
/// that returns a future takes the next message at once.
#[actix_rt::test]
async fn a_mailbox_bounds_neither_the_queue_nor_the_work() {
    let actor = Counting::default();
    let address = actor.clone().start();
    settle().await;
    let mut sends: Vec<_> = (0..10).map(|_| Box::pin(address.send(Free))).collect();
    for send in &mut sends {
        once(send.as_mut()).await;
    }
    settle().await;
    assert_eq!((actor.begun(), actor.ended()), (10, 0));
}

#[actix_rt::test]
async fn try_send_alone_says_that_a_mailbox_is_full() {
    let actor = Counting::default();
    let address = actor.clone().start();
    settle().await;
    let full = (0..10).any(|_| matches!(address.try_send(Free), Err(SendError::Full(_))));
    assert!(full);
}

/// Why a message to the journal carries the sender of its answer: `send` drops the message of a caller that
/// leaves, which would be wrong for a write.
#[actix_rt::test]
async fn a_message_whose_sender_has_left_is_not_handled() {
    let actor = Counting::default();
    let address = actor.clone().start();
    settle().await;
    let mut left = Box::pin(address.send(Free));
    once(left.as_mut()).await;
    drop(left);
    settle().await;
    assert_eq!(actor.begun(), 0);
}

/// Why a session's calls end with it, and an introspection does not end with its caller.
#[actix_rt::test]
async fn a_future_of_the_actors_ends_with_it_and_a_free_one_does_not() {
    let actor = Counting::default();
    let address = actor.clone().start();
    settle().await;
    let mut free = Box::pin(address.send(Free));
    let mut bound = Box::pin(address.send(Bound));
    once(free.as_mut()).await;
    once(bound.as_mut()).await;
    settle().await;
    assert_eq!(actor.begun(), 2);
    address.send(Stop).await.unwrap();
    settle().await;
    assert!(!address.connected());
    actor.0.go.notify_waiters();
    settle().await;
    assert_eq!(actor.ended(), 1);
    free.await.unwrap();
    assert!(bound.await.is_err());
}

/// Why the journal's scheduler catches panics: one in a handler ends the actor.
#[actix_rt::test]
async fn a_panic_in_a_handler_ends_the_actor() {
    let address = Counting::default().start();
    assert!(address.send(Panic).await.is_err());
    assert!(!address.connected());
}

/// A future that has begun goes on when its caller leaves.
#[actix_rt::test]
async fn a_call_that_has_begun_goes_on_without_its_caller() {
    let actor = Counting::default();
    let address = actor.clone().start();
    settle().await;
    let mut left = Box::pin(address.send(Free));
    once(left.as_mut()).await;
    settle().await;
    assert_eq!(actor.begun(), 1);
    drop(left);
    actor.0.go.notify_waiters();
    settle().await;
    assert_eq!(actor.ended(), 1);
}

/// Blocking work runs to its end even if its caller leaves, and its panic is only an error.
#[actix_rt::test]
async fn blocking_work_is_done_even_if_nobody_waits() {
    let (done, is_done) = tokio::sync::oneshot::channel();
    let (begin, may_begin) = std::sync::mpsc::channel::<()>();
    let mut work = actix_rt::task::spawn_blocking(move || {
        may_begin.recv().unwrap();
        done.send(()).unwrap();
    });
    once(Pin::new(&mut work)).await;
    drop(work);
    begin.send(()).unwrap();
    is_done.await.unwrap();
    let panicked = actix_rt::task::spawn_blocking(|| panic!("on purpose")).await;
    assert!(panicked.unwrap_err().is_panic());
}
