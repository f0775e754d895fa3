//! Gives each message to an actor that is idle, or queues it for the first actor that becomes idle.
//!
//! A message never waits in the mailbox of a busy actor, where it could be stuck behind a slow query while
//! another actor is idle: only an idle actor is sent one. A busy actor takes the next message from the
//! queue when it has finished, which costs no wake-up.

use std::panic::{AssertUnwindSafe, catch_unwind};

use actix::{
    Actor, Addr, AsyncContext, Context, Handler, Message,
    dev::{Envelope, EnvelopeProxy},
};
use parking_lot::Mutex;

use super::queue::{Queue, Ticket};

/// The idle actors of one kind, and the messages that wait for one.
pub(super) struct Scheduler<A: Actor>(Mutex<State<A>>);

struct State<A: Actor> {
    queue: Queue<Envelope<A>>,
    /// The last to become idle is at the end and is used first: the processor's caches still hold most of
    /// what it needs.
    idle: Vec<Addr<A>>,
    is_closed: bool,
}

/// Handle a message of any type, and then those that wait. The one message that is sent to a mailbox.
pub(super) struct Run<A: Actor>(Envelope<A>);

impl<A: Actor> Message for Run<A> {
    type Result = ();
}

impl<A> Scheduler<A>
where
    A: Actor<Context = Context<A>> + Handler<Run<A>>,
{
    /// A scheduler without actors: messages wait until [`Self::add`] adds one.
    pub(super) fn new() -> Self {
        Self(Mutex::new(State {
            queue: Queue::default(),
            idle: Vec::new(),
            is_closed: false,
        }))
    }

    /// Adds an idle actor. Its handler of [`Run`] must call [`Self::work`].
    pub(super) fn add(&self, actor: Addr<A>) {
        self.0.lock().idle.push(actor);
    }

    /// Sends a message to an idle actor. If none is idle, queues the message and returns its ticket.
    #[expect(
        clippy::disallowed_methods,
        reason = "the actor is idle, so its mailbox is empty; the message carries the sender of its answer"
    )]
    pub(super) fn start<M>(&self, message: M) -> Option<Ticket>
    where
        A: Handler<M>,
        M: Message<Result = ()> + Send + 'static,
    {
        let envelope = Envelope::new(message, None);
        let mut state = self.0.lock();
        let Some(actor) = state.idle.pop() else {
            return Some(state.queue.push(envelope));
        };
        drop(state);
        actor.do_send(Run(envelope));
        None
    }

    /// Queues a message without waking an idle actor. For the actors themselves: the one that calls this
    /// takes the message after those that wait already, unless another becomes idle first.
    pub(super) fn queue<M>(&self, message: M)
    where
        A: Handler<M>,
        M: Message<Result = ()> + Send + 'static,
    {
        self.0.lock().queue.push(Envelope::new(message, None));
    }

    /// Drops a message that still waits; returns whether it did.
    pub(super) fn withdraw(&self, ticket: Ticket) -> bool {
        // Dropped after the lock: it may notify its caller.
        let withdrawn = self.0.lock().queue.withdraw(ticket);
        withdrawn.is_some()
    }

    /// Has an actor handle the message that it was sent and then those that wait, until none does. A panic
    /// in a handler ends that message and not the actor: actix would drop the actor and its mailbox.
    pub(super) fn work(&self, actor: &mut A, Run(mut envelope): Run<A>, context: &mut Context<A>) {
        loop {
            // The panic hook has logged it, and the caller sees its answer's sender dropped.
            let _ = catch_unwind(AssertUnwindSafe(|| envelope.handle(actor, context)));
            match self.next(context) {
                Some(next) => envelope = next,
                None => return,
            }
        }
    }

    /// Stops the idle actors, and each busy one when no message waits any more.
    pub(super) fn close(&self) {
        let mut state = self.0.lock();
        state.is_closed = true;
        // An actor stops when its last address is dropped.
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        drop(idle);
    }

    fn next(&self, context: &Context<A>) -> Option<Envelope<A>> {
        let mut state = self.0.lock();
        let next = state.queue.pop();
        if next.is_none() && !state.is_closed {
            state.idle.push(context.address());
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use actix::Arbiter;

    use super::*;

    /// Executes closures in an arbiter of its own.
    struct Worker(Arc<Scheduler<Self>>);

    impl Actor for Worker {
        type Context = Context<Self>;

        fn stopped(&mut self, _: &mut Self::Context) {
            Arbiter::current().stop();
        }
    }

    impl Handler<Run<Self>> for Worker {
        type Result = ();

        fn handle(&mut self, run: Run<Self>, context: &mut Self::Context) {
            Arc::clone(&self.0).work(self, run, context);
        }
    }

    #[derive(Message)]
    #[rtype(result = "()")]
    struct Call(Box<dyn FnOnce() + Send>);

    impl Handler<Call> for Worker {
        type Result = ();

        fn handle(&mut self, Call(call): Call, _: &mut Self::Context) {
            call();
        }
    }

    fn workers(count: usize) -> (Arc<Scheduler<Worker>>, Vec<Arbiter>) {
        let scheduler = Arc::new(Scheduler::new());
        let arbiters = (0..count).map(|_| {
            let arbiter = Arbiter::new();
            let own = Arc::clone(&scheduler);
            let start = move |_: &mut Context<Worker>| Worker(own);
            scheduler.add(Worker::start_in_arbiter(&arbiter.handle(), start));
            arbiter
        });
        let arbiters = arbiters.collect();
        (scheduler, arbiters)
    }

    fn call(call: impl FnOnce() + Send + 'static) -> Call {
        Call(Box::new(call))
    }

    #[actix_rt::test]
    async fn every_message_is_handled_and_a_panic_takes_no_actor_away() {
        let (scheduler, arbiters) = workers(2);
        let (done, is_done) = mpsc::channel();
        for number in 0..100 {
            let done = done.clone();
            scheduler.start(call(move || {
                assert!(number % 3 != 0, "on purpose");
                done.send(number).unwrap();
            }));
        }
        // Closing stops nothing that was handed in before.
        scheduler.close();
        drop((scheduler, done));
        let mut all: Vec<i32> = is_done.iter().collect();
        all.sort_unstable();
        assert_eq!(
            all,
            Vec::from_iter((0..100).filter(|number| number % 3 != 0))
        );
        for arbiter in arbiters {
            arbiter.join().unwrap();
        }
    }

    #[actix_rt::test]
    async fn a_message_waits_only_while_every_actor_is_busy() {
        let (scheduler, _arbiters) = workers(2);
        let (begun, is_begun) = mpsc::channel();
        let (releases, held): (Vec<_>, Vec<_>) = (0..2).map(|_| mpsc::channel::<()>()).unzip();
        for release in held {
            let begun = begun.clone();
            let hold = call(move || {
                begun.send("held").unwrap();
                let _ = release.recv();
            });
            assert_eq!(scheduler.start(hold), None, "an actor is idle");
        }
        is_begun.iter().take(2).for_each(drop);
        let [kept, withdrawn] = ["kept", "withdrawn"].map(|name| {
            let begun = begun.clone();
            let waits = scheduler.start(call(move || begun.send(name).unwrap()));
            waits.expect("both actors are busy")
        });
        assert!(scheduler.withdraw(withdrawn));
        assert!(!scheduler.withdraw(withdrawn), "it is gone");
        drop(releases);
        assert_eq!(is_begun.recv().unwrap(), "kept");
        assert!(!scheduler.withdraw(kept), "it was handled");
        drop(begun);
        assert!(
            is_begun.recv().is_err(),
            "the withdrawn message was dropped"
        );
        scheduler.close();
    }
}
