//! The questions of a session that wait for the client's answer: so many at once, each for so long.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, hash_map::Entry},
    rc::Rc,
};

use chrono::TimeDelta;
use serde_json::value::RawValue;
use tokio::{select, sync::oneshot};

use crate::features::conversation::{AnswerFuture, NoAnswer};
use mcp_protocol::{
    jsonrpc::Id,
    outgoing::{self, ServerRequest},
};
use resource_server::{clock::Clock, scope::ScopeSet};

/// How many questions of one session may be unanswered at once.
const UNANSWERED: usize = 16;

/// The questions of one session. All on one thread.
pub(crate) struct Questions {
    open: RefCell<HashMap<u64, Waiting>>,
    next: Cell<u64>,
    retired: Cell<bool>,
    clock: Clock,
}

/// Who waits for the answer to a question.
struct Waiting {
    /// What a token has to reach for its answer to count.
    needed: ScopeSet,
    asked: oneshot::Sender<Box<RawValue>>,
}

impl Questions {
    pub(crate) fn new(clock: Clock) -> Rc<Self> {
        Rc::new(Self {
            open: RefCell::default(),
            next: Cell::new(1),
            retired: Cell::new(false),
            clock,
        })
    }

    /// Has a question said, and waits so long for an answer under a token that reaches this far.
    pub(crate) fn ask(
        self: &Rc<Self>,
        question: &ServerRequest,
        lifetime: TimeDelta,
        needed: ScopeSet,
        say: impl FnOnce(&str),
    ) -> AnswerFuture {
        let refused = |why| -> AnswerFuture { Box::pin(std::future::ready(Err(why))) };
        if self.retired.get() {
            return refused(NoAnswer::Unanswered);
        }
        if self.open.borrow().len() >= UNANSWERED {
            return refused(NoAnswer::TooManyOpen);
        }
        let number = self.next.get();
        self.next.set(number + 1);
        let (asked, answer) = oneshot::channel();
        self.open
            .borrow_mut()
            .insert(number, Waiting { needed, asked });
        let open = OpenQuestion {
            questions: Rc::clone(self),
            number,
        };
        let too_late = self.clock.reaches(self.clock.now() + lifetime);
        say(&outgoing::request(&question_id(number), question));
        Box::pin(async move {
            let _open = open;
            select! {
                biased;
                answer = answer => answer.map_err(|_| NoAnswer::Unanswered),
                () = too_late => Err(NoAnswer::Unanswered),
            }
        })
    }

    /// Takes the client's answer. One to what was not asked, or not asked any more, is dropped
    /// (D-15); one without a result is a refusal.
    ///
    /// # Errors
    /// What a token needs whose answer counts here, if this one lacks some of it (SEC-13): whoever may
    /// not do what is asked about does not confirm it either. The question stays open.
    pub(crate) fn settle(
        &self,
        id: &Id,
        result: Option<Box<RawValue>>,
        granted: ScopeSet,
    ) -> Result<(), ScopeSet> {
        let number = id.as_text().and_then(|id| {
            let number: u64 = id.strip_prefix("s-")?.parse().ok()?;
            // Only what is written back the same: no `+1`, no leading zero.
            (question_id(number) == id).then_some(number)
        });
        let Some(number) = number else { return Ok(()) };
        let mut open = self.open.borrow_mut();
        let Entry::Occupied(waiting) = open.entry(number) else {
            return Ok(());
        };
        if !granted.contains(waiting.get().needed) {
            return Err(waiting.get().needed);
        }
        let Waiting { asked, .. } = waiting.remove();
        if let Some(result) = result {
            // Whoever asked may have gone.
            let _ = asked.send(result);
        }
        Ok(())
    }

    /// The server stops: whoever waits for an answer has none, which is no yes, and nobody is asked
    /// any more.
    pub(crate) fn retire(&self) {
        self.retired.set(true);
        self.open.borrow_mut().clear();
    }

    pub(crate) fn are_retired(&self) -> bool {
        self.retired.get()
    }
}

/// The id under which a question is asked. Ids of ours are texts, and so none of the client's.
fn question_id(number: u64) -> String {
    format!("s-{number}")
}

/// A question that somebody waits for; nobody does any more when it is dropped.
struct OpenQuestion {
    questions: Rc<Questions>,
    number: u64,
}

impl Drop for OpenQuestion {
    fn drop(&mut self) {
        self.questions.open.borrow_mut().remove(&self.number);
    }
}
