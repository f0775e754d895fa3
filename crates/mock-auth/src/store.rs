//! All that the server keeps, in maps of a fixed size. It reads no clock: every call names the time. Secrets are kept as digests.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use parking_lot::Condvar;
use secrecy::{ExposeSecret, SecretString};

mod saving;
mod tokens;

use crate::{
    bounded::Bounded,
    client::Client,
    device_codes::DeviceCodes,
    grants::{CodeGrant, Grant, Lifetimes, Token},
    question::Step,
    scopes::Scopes,
    secret::{self, Digest, Successors},
    signing::Writer,
};

struct Code {
    grant: CodeGrant,
    /// The family of the tokens that it was redeemed for, once it was.
    redeemed: Option<u64>,
}

/// What descends from one consent, or one token that nothing descends from.
struct Family {
    grant: Arc<Grant>,
    /// Whether it outlives a restart.
    is_lasting: bool,
}

struct OpenPage {
    browser: Digest,
    step: Step,
    /// The scopes that were unticked when it was posted.
    unticked: Option<Vec<String>>,
}

/// A page that was opened before.
pub(crate) struct Opened {
    pub(crate) step: Step,
    /// The scopes that were unticked when it was posted, if it was.
    pub(crate) unticked: Option<Vec<String>>,
}

pub(crate) struct Store {
    pub(crate) writer: Writer,
    lifetimes: Lifetimes,
    clients: Bounded<String, Arc<Client>>,
    documents: Bounded<String, Arc<Client>>,
    pages: Bounded<Digest, OpenPage>,
    codes: Bounded<Digest, Code>,
    /// The families that nobody revoked. A token whose family is not here is dead.
    families: Bounded<u64, Family>,
    tokens: Bounded<Digest, Token>,
    /// The proofs that were used and are not too old yet (RFC 9449 §11.1).
    proofs: Bounded<Digest, ()>,
    /// The scopes that a person, named by the subject, unticked for a client.
    choices: Bounded<(String, String), Vec<String>>,
    pub(crate) devices: DeviceCodes,
    successors: Successors,
    next_family: u64,
    /// Grows whenever something changes that outlives a restart; `changed` tells whoever waits for that.
    pub(crate) changes: u64,
    pub(crate) is_closing: bool,
    changed: Arc<Condvar>,
}

impl Store {
    pub(crate) fn new(lifetimes: Lifetimes, writer: Writer) -> Self {
        Self {
            writer,
            lifetimes,
            clients: Bounded::new(2_000),
            documents: Bounded::new(200),
            pages: Bounded::new(1_000),
            codes: Bounded::new(10_000),
            families: Bounded::new(100_000),
            tokens: Bounded::new(200_000),
            proofs: Bounded::new(10_000),
            choices: Bounded::new(2_000),
            devices: DeviceCodes::new(lifetimes.device),
            successors: Successors::generate(),
            next_family: 0,
            changes: 0,
            is_closing: false,
            changed: Arc::default(),
        }
    }

    /// One with the same settings, and nothing in it.
    pub(crate) fn like_new(&self) -> Self {
        let writer = Writer::new(
            self.writer.issuer.clone(),
            self.writer.format,
            Arc::clone(&self.writer.users),
        );
        Self::new(self.lifetimes, writer)
    }

    // What outlives a restart

    /// Told whenever `changes` or `is_closing` change.
    pub(crate) fn changed(&self) -> Arc<Condvar> {
        Arc::clone(&self.changed)
    }

    fn touch(&mut self) {
        self.changes += 1;
        self.changed.notify_all();
    }

    /// No more changes are going to come.
    pub(crate) fn close(&mut self) {
        self.is_closing = true;
        self.changed.notify_all();
    }

    /// Signs with a new key from now on.
    pub(crate) fn rotate_signing_key(&mut self) {
        self.writer.rotate();
        self.touch();
    }

    // Clients

    pub(crate) fn register(&mut self, client: Client, now: DateTime<Utc>) {
        let expires = now + Lifetimes::REGISTRATION;
        self.clients
            .insert(client.id.clone(), Arc::new(client), expires, now);
        self.touch();
    }

    pub(crate) fn keep_document(&mut self, client: Arc<Client>, now: DateTime<Utc>) {
        let expires = now + Lifetimes::DOCUMENT;
        self.documents
            .insert(client.id.clone(), client, expires, now);
    }

    pub(crate) fn client(&self, id: &str, now: DateTime<Utc>) -> Option<Arc<Client>> {
        self.clients
            .get(id, now)
            .or_else(|| self.documents.get(id, now))
            .cloned()
    }

    pub(crate) fn clients(&self, now: DateTime<Utc>) -> usize {
        self.clients.len(now)
    }

    // Pages

    /// Remembers what a page is about to be posted for, and by which browser.
    pub(crate) fn open_page(
        &mut self,
        browser: &SecretString,
        step: Step,
        now: DateTime<Utc>,
    ) -> SecretString {
        let handle = secret::random("page_");
        let page = OpenPage {
            browser: Digest::of(browser.expose_secret()),
            step,
            unticked: None,
        };
        let key = Digest::of(handle.expose_secret());
        self.pages.insert(key, page, now + Lifetimes::PAGE, now);
        handle
    }

    /// A page that this browser opened. A look does not use it up, nor does a post: a person may go back, reload and answer
    /// again until it is too old.
    pub(crate) fn page(&self, handle: &str, browser: &str, now: DateTime<Utc>) -> Option<Opened> {
        let page = self.pages.get(&Digest::of(handle), now)?;
        page.browser.matches(&Digest::of(browser)).then(|| Opened {
            step: page.step.clone(),
            unticked: page.unticked.clone(),
        })
    }

    /// Keeps which scopes were unticked when a page was posted.
    pub(crate) fn note_unticked(
        &mut self,
        handle: &str,
        unticked: Vec<String>,
        now: DateTime<Utc>,
    ) {
        if let Some(page) = self.pages.get_mut(&Digest::of(handle), now) {
            page.unticked = Some(unticked);
        }
    }

    // Choices

    /// The scopes that this person unticked for this client before.
    pub(crate) fn unticked(&self, subject: &str, client_id: &str, now: DateTime<Utc>) -> &[String] {
        let key = (subject.to_owned(), client_id.to_owned());
        self.choices.get(&key, now).map_or(&[], Vec::as_slice)
    }

    /// Keeps what this person granted to this client out of what was offered, for the next time.
    pub(crate) fn remember_choice(
        &mut self,
        subject: &str,
        client_id: &str,
        offered: &Scopes,
        granted: &Scopes,
        now: DateTime<Utc>,
    ) {
        let before = self.unticked(subject, client_id, now).iter();
        let not_offered = before.filter(|scope| !offered.contains(scope));
        let left_out = offered.iter().filter(|scope| !granted.contains(scope));
        let unticked: Vec<String> = not_offered.chain(left_out).cloned().collect();
        let key = (subject.to_owned(), client_id.to_owned());
        if unticked.is_empty() {
            self.choices.remove(&key);
        } else {
            let expires = now + Lifetimes::CHOICE;
            self.choices.insert(key, unticked, expires, now);
        }
        self.touch();
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
