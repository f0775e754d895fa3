//! Gives each message to an actor that is idle, or queues it for the first actor that becomes idle.
//!
//! A message never waits in the mailbox of a busy actor, where it could be stuck behind a slow query while
//! another actor is idle: only an idle actor is sent one. A busy actor takes the next message from the
//! queue when it has finished, which costs no wake-up.
//!
//! A user's messages occupy at most so many actors. Those beyond wait, and others pass them in the queue.

use std::panic::{AssertUnwindSafe, catch_unwind};

use actix::{
    Actor, Addr, AsyncContext, Context, Handler, Message,
    dev::{Envelope, EnvelopeProxy},
};
use parking_lot::Mutex;

use super::queue::{Queue, Ticket};
use resource_server::principal::UserId;

/// The idle actors of one kind, and the messages that wait for one.
pub(super) struct Scheduler<A: Actor>(Mutex<State<A>>);

struct State<A: Actor> {
    queue: Queue<Work<A>>,
    /// The users whose messages are being handled, each as often as messages. No longer than there are actors.
    served: Vec<UserId>,
    /// The most actors that one user's messages occupy.
    share: usize,
    /// The last to become idle is at the end and is used first: the processor's caches still hold most of
    /// what it needs.
    idle: Vec<Addr<A>>,
    is_closed: bool,
}

/// A message of any type, and whose it is.
struct Work<A: Actor> {
    envelope: Envelope<A>,
    user: Option<UserId>,
}

/// Handle a message, and then those that wait. The one message that is sent to a mailbox.
pub(super) struct Run<A: Actor>(Work<A>);

/// A message that was withdrawn from the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Withdrawn {
    /// It waited because every actor was busy.
    NoActor,
    /// It waited because its user's messages occupied as many actors as they may.
    NoShare,
}

impl<A: Actor> Message for Run<A> {
    type Result = ();
}

impl<A> Scheduler<A>
where
    A: Actor<Context = Context<A>> + Handler<Run<A>>,
{
    /// A scheduler without actors: messages wait until [`Self::add`] adds one.
    /// One user's messages occupy at most `share` actors.
    pub(super) fn new(share: usize) -> Self {
        Self(Mutex::new(State {
            queue: Queue::default(),
            served: Vec::new(),
            share,
            idle: Vec::new(),
            is_closed: false,
        }))
    }

    /// Adds an actor in the place of another, which hangs in a message of this user, and takes no other message.
    #[expect(
        clippy::disallowed_methods,
        reason = "the actor is new, so its mailbox is empty; the message carries the sender of its answer"
    )]
    pub(super) fn replace(&self, hangs_for: Option<UserId>, actor: Addr<A>) {
        let mut state = self.0.lock();
        let next = state.next(hangs_for);
        match next {
            Some(next) => {
                drop(state);
                actor.do_send(Run(next));
            }
            None if !state.is_closed => state.idle.push(actor),
            // It stops with its last address.
            None => drop(state),
        }
    }

    /// Adds an idle actor. Its handler of [`Run`] must call [`Self::work`].
    pub(super) fn add(&self, actor: Addr<A>) {
        self.0.lock().idle.push(actor);
    }

    /// Sends a message to an idle actor. If none is idle, or the user has no share left, queues the message and
    /// returns its ticket.
    #[expect(
        clippy::disallowed_methods,
        reason = "the actor is idle, so its mailbox is empty; the message carries the sender of its answer"
    )]
    pub(super) fn start<M>(&self, message: M, user: Option<UserId>) -> Option<Ticket>
    where
        A: Handler<M>,
        M: Message<Result = ()> + Send + 'static,
    {
        let work = Work {
            envelope: Envelope::new(message, None),
            user,
        };
        let mut state = self.0.lock();
        if !state.has_room(user) {
            return Some(state.queue.push(work));
        }
        let Some(actor) = state.idle.pop() else {
            return Some(state.queue.push(work));
        };
        state.served.extend(user);
        drop(state);
        actor.do_send(Run(work));
        None
    }

    /// Queues a message without waking an idle actor. For the actors themselves: the one that calls this
    /// takes the message after those that wait already, unless another becomes idle first.
    pub(super) fn queue<M>(&self, message: M)
    where
        A: Handler<M>,
        M: Message<Result = ()> + Send + 'static,
    {
        self.0.lock().queue.push(Work {
            envelope: Envelope::new(message, None),
            user: None,
        });
    }

    /// Drops a message that still waits; returns whether it did, and for what it waited.
    pub(super) fn withdraw(&self, ticket: Ticket) -> Option<Withdrawn> {
        let mut state = self.0.lock();
        let withdrawn = state.queue.withdraw(ticket)?;
        let has_room = state.has_room(withdrawn.user);
        drop(state);
        // Dropped after the lock: it may notify its caller.
        drop(withdrawn);
        Some(if has_room {
            Withdrawn::NoActor
        } else {
            Withdrawn::NoShare
        })
    }

    /// Has an actor handle the message that it was sent and then those that wait, until none does. A panic
    /// in a handler ends that message and not the actor: actix would drop the actor and its mailbox. An actor that
    /// [`Self::replace`] has replaced meanwhile takes no further message.
    pub(super) fn work(
        &self,
        actor: &mut A,
        Run(mut work): Run<A>,
        context: &mut Context<A>,
        is_replaced: impl Fn(&A) -> bool,
    ) {
        loop {
            // The panic hook has logged it, and the caller sees its answer's sender dropped.
            let _ = catch_unwind(AssertUnwindSafe(|| work.envelope.handle(actor, context)));
            if is_replaced(actor) {
                return;
            }
            match self.next(work.user, context) {
                Some(next) => work = next,
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

    /// The next message for an actor that has finished one.
    fn next(&self, finished: Option<UserId>, context: &Context<A>) -> Option<Work<A>> {
        let mut state = self.0.lock();
        let next = state.next(finished);
        if next.is_none() && !state.is_closed {
            state.idle.push(context.address());
        }
        next
    }
}

impl<A: Actor> State<A> {
    /// The next message for an actor that no longer serves this user.
    fn next(&mut self, finished: Option<UserId>) -> Option<Work<A>> {
        let served = finished.and_then(|user| self.served.iter().position(|one| *one == user));
        if let Some(served) = served {
            self.served.swap_remove(served);
        }
        let Self {
            queue,
            served,
            share,
            ..
        } = self;
        let next = queue.pop_first(|work| has_room(served, *share, work.user))?;
        served.extend(next.user);
        Some(next)
    }

    fn has_room(&self, user: Option<UserId>) -> bool {
        has_room(&self.served, self.share, user)
    }
}

/// Whether another message of the user may be handled. The list is as short as there are connections.
fn has_room(served: &[UserId], share: usize, user: Option<UserId>) -> bool {
    user.is_none_or(|user| served.iter().filter(|one| **one == user).count() < share)
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
            Arc::clone(&self.0).work(self, run, context, |_| false);
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
        let scheduler = Arc::new(Scheduler::new(1));
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
            scheduler.start(
                call(move || {
                    assert!(number % 3 != 0, "on purpose");
                    done.send(number).unwrap();
                }),
                None,
            );
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
            assert_eq!(scheduler.start(hold, None), None, "an actor is idle");
        }
        is_begun.iter().take(2).for_each(drop);
        let [kept, withdrawn] = ["kept", "withdrawn"].map(|name| {
            let begun = begun.clone();
            let waits = scheduler.start(call(move || begun.send(name).unwrap()), None);
            waits.expect("both actors are busy")
        });
        assert_eq!(scheduler.withdraw(withdrawn), Some(Withdrawn::NoActor));
        assert_eq!(scheduler.withdraw(withdrawn), None, "it is gone");
        drop(releases);
        assert_eq!(is_begun.recv().unwrap(), "kept");
        assert_eq!(scheduler.withdraw(kept), None, "it was handled");
        drop(begun);
        assert!(
            is_begun.recv().is_err(),
            "the withdrawn message was dropped"
        );
        scheduler.close();
    }

    #[actix_rt::test]
    async fn a_user_beyond_the_share_waits_and_is_passed_by_others() {
        let (scheduler, _arbiters) = workers(3);
        let [ann, bob] = ["ann", "bob"].map(|name| Some(UserId::derive("i", name)));
        let (handled, is_handled) = mpsc::channel();
        let (release, held) = mpsc::channel::<()>();
        let told = handled.clone();
        let hold = call(move || {
            told.send("held").unwrap();
            let _ = held.recv();
        });
        assert_eq!(scheduler.start(hold, ann), None);
        assert_eq!(is_handled.recv().unwrap(), "held");
        let [waits, withdrawn] = ["ann's second", "ann's third"].map(|name| {
            let told = handled.clone();
            let waits = scheduler.start(call(move || told.send(name).unwrap()), ann);
            waits.expect("two actors are idle, but ann has her share")
        });
        let told = handled.clone();
        let passes = call(move || told.send("bob's").unwrap());
        assert_eq!(scheduler.start(passes, bob), None);
        assert_eq!(is_handled.recv().unwrap(), "bob's");
        assert_eq!(scheduler.withdraw(withdrawn), Some(Withdrawn::NoShare));
        drop(release);
        assert_eq!(is_handled.recv().unwrap(), "ann's second");
        assert_eq!(scheduler.withdraw(waits), None, "it was handled");
        scheduler.close();
    }
}
