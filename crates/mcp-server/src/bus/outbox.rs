//! What waits to be sent to the other processes. It is bounded: changes of a user that do not fit become a request
//! to look again for that user, and if that does not fit either, one for everybody.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

use super::message::{Message, SessionMessage};
use crate::features::change::Change;
use resource_server::principal::UserId;

/// Changes that wait, in bytes.
const MOST_BYTES: usize = 256 * 1_024;

/// Users of whom anything waits.
const MOST_USERS: usize = 4_096;

/// Messages for sessions that wait.
const MOST_FOR_SESSIONS: usize = 1_024;

/// The longest message for a session, in bytes of JSON: one fits into the smallest text.
pub(crate) const LONGEST_FOR_SESSIONS: usize = 2_048;

/// A user and the JSON around its changes, in bytes.
const USER: usize = 56;

/// The JSON of a change without its URI, in bytes.
const CHANGE: usize = 10;

/// What waits to be sent, and who waits for it.
#[derive(Default)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    has_news: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Waiting,
    is_stopping: bool,
}

/// Why [`Outbox::wait`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    Nothing,
    Something,
    Stopping,
}

/// What is sent together.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) messages: Vec<Message>,
    /// When the first of it began to wait.
    pub(super) since: Instant,
}

/// What waits. No I/O; the time is a parameter.
#[derive(Default)]
struct Waiting {
    since: Option<Instant>,
    revocations: bool,
    everybody: bool,
    for_sessions: VecDeque<SessionMessage>,
    /// There were too many of them.
    sessions_missed: bool,
    users: HashMap<UserId, OfUser>,
    /// In the order in which their first change came.
    order: VecDeque<UserId>,
    bytes: usize,
}

enum OfUser {
    Changes(VecDeque<Change>),
    LookAgain,
}

impl Outbox {
    /// Tells the others of changes.
    pub(crate) fn changes(&self, user: UserId, changes: &[Change]) {
        self.add(|waiting| waiting.changes(user, changes));
    }

    /// Tells the others that the stored revocations have changed.
    pub(crate) fn revocations_changed(&self) {
        self.add(|waiting| waiting.revocations = true);
    }

    /// Sends a message for a session. `false` if it is too long, or if too many wait; in the latter case the others
    /// are told that they miss some.
    #[must_use]
    pub(crate) fn for_session(&self, message: SessionMessage) -> bool {
        let mut fits = json_size(&message) <= LONGEST_FOR_SESSIONS;
        if fits {
            self.add(|waiting| fits = waiting.for_session(message));
        }
        fits
    }

    fn add(&self, add: impl FnOnce(&mut Waiting)) {
        let mut state = self.state.lock();
        let was_empty = state.waiting.since.is_none();
        if was_empty {
            state.waiting.since = Some(Instant::now());
        }
        add(&mut state.waiting);
        drop(state);
        // The bus is awake until nothing waits.
        if was_empty {
            self.has_news.notify_one();
        }
    }

    /// Waits on this thread until there is something to send, the server stops, or the time is up.
    pub(super) fn wait(&self, limit: Duration) -> Awaited {
        let mut state = self.state.lock();
        let is_idle = |state: &mut State| state.waiting.since.is_none() && !state.is_stopping;
        self.has_news.wait_while_for(&mut state, is_idle, limit);
        match (state.waiting.since, state.is_stopping) {
            (Some(_), _) => Awaited::Something,
            (None, true) => Awaited::Stopping,
            (None, false) => Awaited::Nothing,
        }
    }

    /// Waits on this thread until the server stops, or the time is up. Returns whether it stops.
    pub(super) fn wait_for_stop(&self, limit: Duration) -> bool {
        let mut state = self.state.lock();
        let runs = |state: &mut State| !state.is_stopping;
        self.has_news.wait_while_for(&mut state, runs, limit);
        state.is_stopping
    }

    /// Takes what fits into so many bytes.
    pub(super) fn take(&self, room: usize) -> Option<Batch> {
        self.state.lock().waiting.take(room)
    }

    /// The server stops: what waits is sent, and nothing more will come.
    pub(crate) fn stop(&self) {
        self.state.lock().is_stopping = true;
        self.has_news.notify_all();
    }
}

impl Waiting {
    fn changes(&mut self, user: UserId, changes: &[Change]) {
        if self.everybody {
            return;
        }
        let of_user = self.users.entry(user).or_insert_with(|| {
            self.order.push_back(user);
            self.bytes += USER;
            OfUser::Changes(VecDeque::new())
        });
        if let OfUser::Changes(waiting) = of_user {
            self.bytes += changes.iter().map(size).sum::<usize>();
            waiting.extend(changes.iter().cloned());
            if self.bytes > MOST_BYTES {
                self.bytes -= waiting.iter().map(size).sum::<usize>();
                *of_user = OfUser::LookAgain;
            }
        }
        if self.users.len() > MOST_USERS {
            self.look_again();
        }
    }

    fn look_again(&mut self) {
        self.everybody = true;
        self.users.clear();
        self.order.clear();
        self.bytes = 0;
    }

    fn for_session(&mut self, message: SessionMessage) -> bool {
        let fits = self.for_sessions.len() < MOST_FOR_SESSIONS;
        if fits {
            self.for_sessions.push_back(message);
        } else {
            self.sessions_missed = true;
        }
        fits
    }

    fn take(&mut self, room: usize) -> Option<Batch> {
        let since = self.since?;
        let mut batch = Filling {
            messages: Vec::new(),
            room,
            left: room,
        };
        if std::mem::take(&mut self.revocations) {
            batch.add(Message::RevocationsChanged, 32);
        }
        if std::mem::take(&mut self.everybody) {
            batch.add(Message::LookAgain(None), 16);
        }
        if std::mem::take(&mut self.sessions_missed) {
            batch.add(Message::SessionsMissed, 8);
        }
        // One at least, and then half of the room while there are changes, so that neither waits for all of the
        // other.
        let mut reserved = 0;
        while let Some(message) = self.for_sessions.front() {
            let size = json_size(message) + 8;
            if size + reserved > batch.left {
                break;
            }
            reserved = if self.users.is_empty() { 0 } else { room / 2 };
            if let Some(message) = self.for_sessions.pop_front() {
                batch.add(Message::Session(message), size);
            }
        }
        self.take_changes(&mut batch);
        if self.users.is_empty() && self.for_sessions.is_empty() {
            self.since = None;
        }
        let messages = batch.messages;
        (!messages.is_empty()).then_some(Batch { messages, since })
    }

    fn take_changes(&mut self, batch: &mut Filling) {
        while let Some(user) = self.order.front().copied()
            && batch.left > 2 * USER
        {
            let (message, is_all) = match self.users.get_mut(&user) {
                Some(OfUser::Changes(waiting)) => {
                    let mut size_of_all = USER;
                    let mut taken = Vec::new();
                    while let Some(change) = waiting.front()
                        && size_of_all + json_size(change) < batch.left
                    {
                        size_of_all += json_size(change) + 1;
                        self.bytes -= size(change);
                        taken.extend(waiting.pop_front());
                    }
                    let is_too_long = |change| USER + json_size(change) >= batch.room;
                    if taken.is_empty() && waiting.front().is_some_and(is_too_long) {
                        self.bytes -= waiting.iter().map(size).sum::<usize>();
                        (Some((Message::LookAgain(Some(user)), USER)), true)
                    } else {
                        let message = (!taken.is_empty())
                            .then_some((Message::Changes(user, taken), size_of_all));
                        (message, waiting.is_empty())
                    }
                }
                Some(OfUser::LookAgain) => (Some((Message::LookAgain(Some(user)), USER)), true),
                None => (None, true),
            };
            if let Some((message, size)) = message {
                batch.add(message, size);
            }
            if !is_all {
                return;
            }
            self.order.pop_front();
            if self.users.remove(&user).is_some() {
                self.bytes -= USER;
            }
        }
    }
}

/// A batch that is being filled.
struct Filling {
    messages: Vec<Message>,
    room: usize,
    left: usize,
}

impl Filling {
    fn add(&mut self, message: Message, size: usize) {
        self.messages.push(message);
        self.left = self.left.saturating_sub(size);
    }
}

/// What a change takes in memory, more or less.
fn size(change: &Change) -> usize {
    match change {
        Change::Updated(uri) => CHANGE + uri.len(),
        Change::ListChanged => CHANGE,
    }
}

fn json_size(part: &impl serde::Serialize) -> usize {
    let json = serde_json::to_string(part).expect("a message can be written as JSON");
    json.len()
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
