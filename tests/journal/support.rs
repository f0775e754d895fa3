//! One throw-away cluster a run, one database a test, cloned from a migrated template.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use diesel::{Connection, PgConnection, QueryResult, RunQueryDsl, sql_query};
use epicme::{
    actors::journal::{CreateEntry, CreateTag, JournalHandle, JournalMessage, JournalSettings},
    dev::postgres::{Cluster, ClusterOptions},
    domain::{
        journal::{Entry, IdempotencyKey, JournalError, JournalOwner, NewEntry, NewTag, Tag},
        page::{PageLimit, PageRequest},
        principal::UserId,
    },
    storage,
};
use secrecy::{ExposeSecret, SecretString};

const TEMPLATE: &str = "template_journal";

pub(crate) fn new_cluster() -> Cluster {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("epicme-test-{}-{number}", std::process::id());
    Cluster::start(ClusterOptions {
        directory: std::env::temp_dir().join(name),
        durable: false,
    })
    .unwrap()
}

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let cluster = new_cluster();
        cluster.create_database(TEMPLATE).unwrap();
        storage::migrate(&cluster.url(TEMPLATE)).unwrap();
        cluster
    })
}

/// A database of the test's own, dropped with it.
pub(crate) struct TestDatabase {
    name: String,
    pub(crate) url: SecretString,
}

impl TestDatabase {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        cluster().create_database_from(&name, TEMPLATE).unwrap();
        let url = cluster().url(&name);
        Self { name, url }
    }

    pub(crate) fn connect(&self) -> PgConnection {
        PgConnection::establish(self.url.expose_secret()).unwrap()
    }

    pub(crate) fn execute(&self, sql: &str) -> QueryResult<usize> {
        sql_query(sql).execute(&mut self.connect())
    }

    pub(crate) fn count(&self, from: &str) -> i64 {
        #[derive(diesel::QueryableByName)]
        struct Count {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            count: i64,
        }
        sql_query(format!("SELECT count(*) AS count FROM {from}"))
            .get_result::<Count>(&mut self.connect())
            .unwrap()
            .count
    }

    pub(crate) fn settings(&self) -> JournalSettings {
        JournalSettings {
            pool: 4.try_into().unwrap(),
            ..JournalSettings::new(self.url.clone())
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        cluster().drop_database(&self.name).unwrap();
    }
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
        let database = TestDatabase::new();
        let mut settings = database.settings();
        change(&mut settings);
        Self {
            handle: JournalHandle::start(&settings),
            database,
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

/// Bounds what a test waits for, so that a broken promise fails instead of hanging.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work)
        .await
        .expect("it happens within half a minute")
}
