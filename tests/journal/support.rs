//! A journal on a database of its own, and things to put into it.

#[path = "../support/database.rs"]
mod database;

use std::{fmt::Display, future::poll_fn, pin::Pin, task::Poll, time::Duration};

use diesel::{Connection, PgConnection, RunQueryDsl, connection::SimpleConnection, sql_query};
use epicme::{
    domain::{
        journal::{Entry, IdempotencyKey, JournalError, JournalOwner, NewEntry, NewTag, Tag},
        page::{PageLimit, PageRequest},
        search::{SearchCursor, SearchPage, SearchQuery, SearchRequest},
    },
    journal::{CreateEntry, CreateTag, JournalHandle, JournalMessage, JournalSettings},
};
use mcp_server::features::changes::Changes;
use resource_server::principal::UserId;
use secrecy::{ExposeSecret, SecretString};

pub(crate) use database::{PARTITIONS, RIGHTS, SERVING, TestDatabase, new_cluster};

/// Entries whose row says another number of tags than there are links.
pub(crate) const MISCOUNTED: &str = "entries e WHERE e.tag_count <> (SELECT count(*) FROM entry_tags l WHERE l.user_id = e.user_id AND l.entry_id = e.id)";

/// Changes that nobody subscribes to.
pub(crate) fn nobody() -> Changes {
    Changes::start(&actix_rt::Arbiter::current())
}

impl TestDatabase {
    /// The URL for a role that may read and change rows alone, and of each user's rows only with that user set.
    pub(crate) fn serving_url(&self) -> SecretString {
        let mut url = url::Url::parse(self.url.expose_secret()).unwrap();
        url.set_username(SERVING).unwrap();
        url.to_string().into()
    }

    pub(crate) fn connect_as_serving(&self) -> PgConnection {
        PgConnection::establish(self.serving_url().expose_secret()).unwrap()
    }

    /// A connection that was given its user, as those of the journal are.
    pub(crate) fn connect_for(&self, user: impl Display) -> PgConnection {
        let mut connection = self.connect();
        let given = format!("SET epicme.user_id = '{user}'");
        sql_query(given).execute(&mut connection).unwrap();
        connection
    }
}

/// Whether row-level security binds the journals of the tests: it does, unless they are to be run without.
#[expect(clippy::disallowed_methods, reason = "the tests have no configuration")]
fn is_guarded() -> bool {
    std::env::var("EPICME_TEST_ROW_LEVEL_SECURITY").as_deref() != Ok("off")
}

/// A journal on a database of its own.
pub(crate) struct Journal {
    pub(crate) handle: JournalHandle,
    pub(crate) database: TestDatabase,
}

impl Journal {
    pub(crate) fn start() -> Self {
        Self::start_with(|_| ())
    }

    pub(crate) fn start_with(change: impl FnOnce(&mut JournalSettings)) -> Self {
        Self::start_as(is_guarded(), change)
    }

    /// Whatever the others are.
    pub(crate) fn start_guarded(is_guarded: bool) -> Self {
        Self::start_as(is_guarded, |_| ())
    }

    fn start_as(is_guarded: bool, change: impl FnOnce(&mut JournalSettings)) -> Self {
        let database = TestDatabase::new();
        let mut settings = Self::settings(&database, is_guarded);
        change(&mut settings);
        Self {
            handle: JournalHandle::start(&settings),
            database,
        }
    }

    /// Another process on the same database.
    pub(crate) fn beside(journal: &Self, is_guarded: bool) -> JournalHandle {
        JournalHandle::start(&Self::settings(&journal.database, is_guarded))
    }

    fn settings(database: &TestDatabase, is_guarded: bool) -> JournalSettings {
        JournalSettings {
            pool: 4.try_into().unwrap(),
            row_level_security: is_guarded,
            ..JournalSettings::new(
                match is_guarded {
                    true => database.serving_url(),
                    false => database.url.clone(),
                },
                nobody(),
            )
        }
    }

    pub(crate) async fn ask<M: JournalMessage>(
        &self,
        message: M,
    ) -> Result<M::Reply, JournalError> {
        self.handle.ask(message).await
    }

    pub(crate) async fn entry(&self, owner: &JournalOwner, entry: NewEntry) -> Entry {
        self.ask(create_entry(owner, entry, None)).await.unwrap()
    }

    /// Locks the table of entries until the connection commits.
    pub(crate) fn hold_up(&self) -> PgConnection {
        let mut blocker = self.database.connect();
        blocker
            .batch_execute("BEGIN; LOCK TABLE entries IN ACCESS EXCLUSIVE MODE")
            .unwrap();
        blocker
    }

    pub(crate) async fn tag(&self, owner: &JournalOwner, name: &str) -> Tag {
        self.ask(create_tag(owner, name, None)).await.unwrap()
    }
}

pub(crate) fn owner(subject: &str) -> JournalOwner {
    let issuer = "https://issuer.example";
    JournalOwner {
        user: UserId::derive(issuer, subject),
        issuer: issuer.to_owned(),
        subject: subject.to_owned(),
    }
}

pub(crate) fn new_entry(title: &str) -> NewEntry {
    NewEntry {
        title: title.to_owned(),
        content: format!("What happened: {title}"),
        mood: None,
        location: None,
        weather: None,
        is_private: true,
        is_favorite: false,
        tags: Vec::new(),
    }
}

pub(crate) fn create_entry(
    owner: &JournalOwner,
    entry: NewEntry,
    key: Option<IdempotencyKey>,
) -> CreateEntry {
    CreateEntry {
        owner: owner.clone(),
        entry,
        idempotency_key: key,
    }
}

pub(crate) fn create_tag(
    owner: &JournalOwner,
    name: &str,
    key: Option<IdempotencyKey>,
) -> CreateTag {
    CreateTag {
        owner: owner.clone(),
        tag: NewTag {
            name: name.to_owned(),
            description: None,
        },
        idempotency_key: key,
    }
}

pub(crate) fn key(key: &str, arguments: u8) -> Option<IdempotencyKey> {
    Some(IdempotencyKey {
        key: key.to_owned(),
        arguments: [arguments; 32],
    })
}

pub(crate) fn page<C>(limit: u16, after: Option<C>) -> PageRequest<C> {
    PageRequest {
        limit: PageLimit::new(limit).unwrap(),
        after,
    }
}

pub(crate) fn query(text: &str) -> SearchQuery {
    SearchQuery::read(text).unwrap_or_else(|why| panic!("{text}: {why}"))
}

/// A page of what is found, newest first.
pub(crate) fn found(limit: u16, after: Option<SearchCursor>) -> SearchRequest {
    let after = after.map(|after| match after {
        SearchCursor::NewestFirst(after) => after,
        SearchCursor::ByRelevance(_) => panic!("it is of another order"),
    });
    SearchRequest {
        limit: PageLimit::new(limit).unwrap(),
        page: SearchPage::NewestFirst(after),
    }
}

/// Lets something come as far as it does by itself, which is not to its end.
pub(crate) async fn still_waits(work: &mut (impl Future + Unpin)) {
    poll_fn(|context| {
        assert!(Pin::new(&mut *work).poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
}

/// Bounds what a test waits for, so that a broken promise fails instead of hanging.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work)
        .await
        .expect("it happens within half a minute")
}
