//! What the clients of one user share, and what each stream of theirs is owed.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use hyper::header::HeaderValue;
use tokio::{sync::Notify, time::Instant};

use crate::{
    answer::Marker,
    failure::Failure,
    ledger::{Owed, Written},
};

/// A user, whose clients all live on one thread.
pub(crate) struct User {
    pub(crate) number: usize,
    pub(crate) marker: Marker,
    pub(crate) token: HeaderValue,
    pub(crate) entries: RefCell<Written>,
    pub(crate) tags: RefCell<Written>,
    /// The user of `whoami`, who is the same every time.
    pub(crate) identity: RefCell<Option<Vec<u8>>>,
    streams: RefCell<Vec<Rc<Watch>>>,
    updates: Cell<u64>,
}

/// What is changed, that streams are told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Entry,
    List,
}

/// What a stream is owed.
pub(crate) struct Watch {
    /// The entry that it was subscribed to.
    pub(crate) uri: Option<String>,
    pub(crate) entry: RefCell<Owed<Instant>>,
    pub(crate) list: RefCell<Owed<Instant>>,
    /// Something has come.
    pub(crate) news: Notify,
    /// The server ended it.
    pub(crate) has_ended: Cell<bool>,
    /// It is this end that goes.
    pub(crate) is_leaving: Cell<bool>,
}

impl User {
    pub(crate) fn new(number: usize, run: &str, token: HeaderValue) -> Self {
        Self {
            number,
            marker: Marker::of(run, number),
            token,
            entries: RefCell::default(),
            tags: RefCell::default(),
            identity: RefCell::default(),
            streams: RefCell::default(),
            updates: Cell::new(0),
        }
    }

    pub(crate) fn watches(&self, watch: Rc<Watch>) {
        self.streams.borrow_mut().push(watch);
    }

    pub(crate) fn streams(&self) -> Vec<Rc<Watch>> {
        self.streams.borrow().clone()
    }

    /// The number of one more change of the watched entry, so that each is one.
    pub(crate) fn next_update(&self) -> u64 {
        let next = self.updates.get() + 1;
        self.updates.set(next);
        next
    }

    /// A change is about to be written.
    pub(crate) fn change_begins(&self, change: Change, at: Instant) {
        for watch in &*self.streams.borrow() {
            watch.owed(change).borrow_mut().begins(at);
        }
    }

    /// The server's word on it.
    pub(crate) fn change_ends(&self, change: Change, outcome: Result<(), &Failure>) {
        for watch in &*self.streams.borrow() {
            let mut owed = watch.owed(change).borrow_mut();
            match outcome {
                Ok(()) => owed.done(),
                Err(failure) if failure.kind.leaves_open() => owed.open(),
                Err(_) => owed.refused(),
            }
        }
    }
}

impl Watch {
    pub(crate) fn new(uri: Option<String>) -> Self {
        Self {
            uri,
            entry: RefCell::default(),
            list: RefCell::default(),
            news: Notify::new(),
            has_ended: Cell::new(false),
            is_leaving: Cell::new(false),
        }
    }

    pub(crate) fn owed(&self, change: Change) -> &RefCell<Owed<Instant>> {
        match change {
            Change::Entry => &self.entry,
            Change::List => &self.list,
        }
    }

    /// How many notifications have not come.
    pub(crate) fn missing(&self) -> u64 {
        self.entry.borrow().missing() + self.list.borrow().missing()
    }
}
