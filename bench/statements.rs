//! Calls the functions of `epicme::storage` on the database that bench/statements.sql has filled, as the journal
//! does, with binds that are easy and binds that are hard. bench/statements.sh runs it and makes a table of it.
//!
//!     statements user                 prints the id of the user whom half of the entries belong to
//!     statements migrate              migrates DATABASE_URL
//!     statements run ENTRIES ROUNDS   makes each call so many times, and prints its name and milliseconds, one a line
//!
//! The name of a call is the session's `application_name` meanwhile, by which PostgreSQL's log tells the statements
//! of the calls apart. What a call has written is rolled back.

#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot go on has failed"
)]

use std::{env, time::Instant};

use chrono::{DateTime, TimeDelta, Utc};
use diesel::{Connection as _, PgConnection, RunQueryDsl, connection::SimpleConnection, sql_query};
use epicme::{
    domain::{
        activity::{ActivityKey, Tally},
        export::{ExportFormat, ExportId},
        journal::{
            EntryChanges, EntryFilter, EntryId, IdempotencyKey, JournalOwner, NewEntry, NewTag,
            TagChanges, TagId,
        },
        page::{NameCursor, PageLimit, PageRequest, TimeCursor},
        search::{SearchPage, SearchQuery, SearchRequest},
    },
    storage::{
        StorageError, activity, entries, entry_batches, entry_creation, entry_lists, entry_tags,
        entry_updates, exports, housekeeping, migrate, quota, request_states, revocations,
        search::{SearchBudget, search_entries},
        suggestions, tags,
    },
};
use mcp_server::features::call_record::{Feature, FeatureKind, Outcome};
use resource_server::principal::UserId;
use secrecy::SecretString;

/// As many rows as a page has unless a client says otherwise.
const LIMIT: PageLimit = PageLimit::new(PageLimit::DEFAULT).expect("it is not zero");

const ISSUER: &str = "https://bench.example";

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match Vec::from_iter(arguments.iter().map(String::as_str)).as_slice() {
        ["user"] => println!("{}", big().user.as_uuid()),
        ["migrate"] => drop(migrate(&SecretString::from(url())).unwrap()),
        ["run", entries, rounds] => {
            Run::new(entries.parse().unwrap(), rounds.parse().unwrap()).all()
        }
        _ => {
            eprintln!("statements user | migrate | run ENTRIES ROUNDS");
            std::process::exit(64);
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a program of its own, which has no configuration"
)]
fn url() -> String {
    env::var("DATABASE_URL").expect("DATABASE_URL names the database")
}

fn big() -> JournalOwner {
    JournalOwner {
        user: UserId::derive(ISSUER, "big"),
        issuer: ISSUER.to_owned(),
        subject: "big".to_owned(),
    }
}

/// One connection, and what is in the database.
struct Run {
    connection: PgConnection,
    /// The entries of the user. They have the even ids up to twice that.
    entries: i64,
    rounds: i64,
    owner: JournalOwner,
}

/// The first entry was written then, the last ten years later.
const BEGIN: i64 = 1_451_606_400;
const DAYS: i64 = 3_650;

impl Run {
    fn new(entries: i64, rounds: i64) -> Self {
        Self {
            connection: PgConnection::establish(&url()).unwrap(),
            entries,
            rounds,
            owner: big(),
        }
    }

    /// Makes a call for each round, numbered from 0.
    fn call(
        &mut self,
        name: &str,
        mut call: impl FnMut(&mut PgConnection, i64) -> Result<(), StorageError>,
    ) {
        self.named(name);
        for round in 0..self.rounds {
            let began = Instant::now();
            call(&mut self.connection, round).unwrap_or_else(|error| panic!("{name}: {error:?}"));
            report(name, began.elapsed().as_secs_f64());
        }
        self.named("");
    }

    /// The same, and takes back what it has written.
    fn write(
        &mut self,
        name: &str,
        mut call: impl FnMut(&mut PgConnection, i64) -> Result<(), StorageError>,
    ) {
        self.named(name);
        for round in 0..self.rounds {
            let began = &mut Instant::now();
            let taken = &mut None;
            let _ = self
                .connection
                .transaction::<(), StorageError, _>(|connection| {
                    *began = Instant::now();
                    call(connection, round).unwrap_or_else(|error| panic!("{name}: {error:?}"));
                    *taken = Some(began.elapsed());
                    // An error, so that it is rolled back.
                    Err(StorageError::from(
                        diesel::result::Error::RollbackTransaction,
                    ))
                });
            report(name, taken.unwrap().as_secs_f64());
        }
        self.named("");
    }

    fn named(&mut self, name: &str) {
        let sql = format!("SET application_name = '{name}'");
        self.connection.batch_execute(&sql).unwrap();
    }

    /// An entry of the user, another each round.
    fn entry(&self, round: i64) -> EntryId {
        EntryId(round.wrapping_mul(7_919).rem_euclid(self.entries) * 2)
    }

    fn page(&self, part: i64) -> PageRequest<TimeCursor> {
        PageRequest {
            limit: LIMIT,
            after: (part > 0).then(|| TimeCursor {
                micros: at(100 - part).timestamp_micros(),
                id: i64::MAX,
            }),
        }
    }

    fn all(mut self) {
        // First what would have been done long ago.
        self.server();
        self.lists();
        self.searches();
        self.reads();
        self.tags();
        self.writes();
        self.exports();
        self.deletion();
    }

    fn lists(&mut self) {
        let user = self.owner.user;
        let tagged = |tags: &[i64]| tags.iter().copied().map(TagId).collect();
        let period = |from, to| (Some(at(from)), Some(at(to)));
        type Period = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);
        let cases: [(&str, Vec<TagId>, Option<bool>, Period); 17] = [
            ("all", vec![], None, (None, None)),
            ("favourites", vec![], Some(true), (None, None)),
            ("others", vec![], Some(false), (None, None)),
            ("a tenth of the time", vec![], None, period(40, 50)),
            ("favourites of a tenth", vec![], Some(true), period(40, 50)),
            ("a tag of 30 %", tagged(&[1]), None, (None, None)),
            (
                "a tag of 30 %, favourites",
                tagged(&[1]),
                Some(true),
                (None, None),
            ),
            (
                "a tag of 30 %, others",
                tagged(&[1]),
                Some(false),
                (None, None),
            ),
            ("a tag of 30 %, a tenth", tagged(&[1]), None, period(40, 50)),
            (
                "a tag of 30 %, favourites of a tenth",
                tagged(&[1]),
                Some(true),
                period(40, 50),
            ),
            (
                "a tag of no favourite, favourites",
                tagged(&[2]),
                Some(true),
                (None, None),
            ),
            ("a tag of old entries", tagged(&[3]), None, (None, None)),
            (
                "a tag of old entries, favourites",
                tagged(&[3]),
                Some(true),
                (None, None),
            ),
            (
                "a rare tag, favourites",
                tagged(&[4]),
                Some(true),
                (None, None),
            ),
            (
                "50 tags",
                tagged(&Vec::from_iter(5..55)),
                None,
                (None, None),
            ),
            (
                "50 tags, favourites",
                tagged(&Vec::from_iter(5..55)),
                Some(true),
                (None, None),
            ),
            (
                "a tag that is not there, favourites",
                tagged(&[999_999_999]),
                Some(true),
                (None, None),
            ),
        ];
        for (name, tags, is_favorite, (from, to)) in cases {
            let filter = EntryFilter {
                tags,
                from,
                to,
                is_favorite,
            };
            for (place, part) in [("", 0), (", deep page", 60)] {
                let page = self.page(part);
                self.call(&format!("list_entries: {name}{place}"), |connection, _| {
                    entry_lists::list_entries(connection, user, &filter, &page).map(drop)
                });
            }
            let (tags, from, to) = (filter.tags, filter.from, filter.to);
            if is_favorite.is_none() {
                self.call(&format!("count_entries: {name}"), |connection, _| {
                    entry_lists::count_entries(connection, user, &tags, from, to, 1_000).map(drop)
                });
            }
        }
    }

    fn searches(&mut self) {
        let user = self.owner.user;
        for (name, query) in [
            ("no such word", "xylophone"),
            ("a word in 5 entries", "quokka"),
            (
                "a word in 5 entries, and in a fifth of the others",
                "garden",
            ),
            ("a word in 0.2 %", "lantern"),
            ("a frequent word", "walk"),
            ("three frequent words", "walk coffee rain"),
            ("a word of old entries alone", "thesis"),
            ("one of two words", "quokka or lantern"),
            ("a phrase in 0.01 %, of words in 10 %", "\"silver moon\""),
            ("a phrase in 5 entries", "\"a quokka\" walk or \"a quokka\""),
            ("a word without another", "moon -silver"),
            ("a frequent word without another", "walk -coffee"),
            ("a phrase in quotes", "\"walk coffee\""),
            ("a beginning of frequent words", "wal*"),
            ("a beginning of rare words", "quok"),
            (
                "a rare phrase of frequent words",
                "\"walk rain coffee music\"",
            ),
        ] {
            let query = SearchQuery::read(query).unwrap();
            for (place, part) in [("", 0), (", deep page", 60)] {
                for (order, page) in [
                    ("", SearchPage::NewestFirst(self.page(part).after)),
                    (", by relevance", SearchPage::ByRelevance(None)),
                ] {
                    if part > 0 && !order.is_empty() {
                        continue;
                    }
                    let request = SearchRequest { limit: LIMIT, page };
                    self.call(
                        &format!("search_entries: {name}{place}{order}"),
                        |connection, _| {
                            let budget = SearchBudget::default();
                            search_entries(connection, user, &query, &request, budget).map(drop)
                        },
                    );
                }
            }
        }
    }

    fn reads(&mut self) {
        let user = self.owner.user;
        let ids: Vec<_> = (0..self.rounds).map(|round| self.entry(round)).collect();
        self.call("get_entry", |connection, round| {
            entries::get_entry(connection, user, ids[index(round)]).map(drop)
        });
        self.call("get_entries, for a summary", |connection, _| {
            let ids = &ids[..ids.len().min(50)];
            entries::get_entries(connection, user, ids, 1 << 20).map(drop)
        });
        self.call("has_entries", |connection, _| {
            entries::has_entries(connection, user).map(drop)
        });
        self.call("usage", |connection, _| {
            quota::usage(connection, user).map(drop)
        });
        self.call("suggest_entries", |connection, _| {
            suggestions::suggest_entries(connection, user, "wal").map(drop)
        });
        self.call("suggest_tags", |connection, _| {
            suggestions::suggest_tags(connection, user, "ta").map(drop)
        });
        let page = |after| PageRequest {
            limit: LIMIT,
            after,
        };
        self.call("list_activity", |connection, _| {
            activity::list_activity(connection, user, None, &page(None)).map(drop)
        });
        let deep = page(Some(TimeCursor {
            micros: (Utc::now() - TimeDelta::days(60)).timestamp_micros(),
            id: 0,
        }));
        self.call("list_activity, deep page", |connection, _| {
            activity::list_activity(connection, user, None, &deep).map(drop)
        });
        self.call("list_activity of a client", |connection, _| {
            activity::list_activity(connection, user, Some("client 2"), &page(None)).map(drop)
        });
        self.call("list_clients", |connection, _| {
            activity::list_clients(connection, user).map(drop)
        });
    }

    fn tags(&mut self) {
        let (user, owner) = (self.owner.user, self.owner.clone());
        let names = |after: Option<&str>| PageRequest {
            limit: LIMIT,
            after: after.map(|name| NameCursor {
                folded_name: name.to_owned(),
                id: 0,
            }),
        };
        self.call("list_tags", |connection, _| {
            tags::list_tags(connection, user, &names(None)).map(drop)
        });
        self.call("list_tags, deep page", |connection, _| {
            tags::list_tags(connection, user, &names(Some("tag 5"))).map(drop)
        });
        self.call("tags_after", |connection, _| {
            tags::tags_after(connection, user, None).map(drop)
        });
        self.call("get_tag", |connection, round| {
            tags::get_tag(connection, user, TagId(round % 1_000 + 1)).map(drop)
        });
        self.write("create_tag", |connection, round| {
            tags::create_tag(connection, &owner, new_tag(round), None).map(drop)
        });
        self.write("create_tag, with a key", |connection, round| {
            tags::create_tag(connection, &owner, new_tag(round), Some(&key(round))).map(drop)
        });
        self.write("update_tag", |connection, round| {
            let changes = TagChanges {
                name: Some(format!("renamed {round}")),
                description: None,
            };
            tags::update_tag(connection, user, TagId(round % 1_000 + 1), changes).map(drop)
        });
        let ids: Vec<_> = (0..self.rounds).map(|round| self.entry(round)).collect();
        self.write("add_tag_to_entry", |connection, round| {
            entry_tags::add_tag_to_entry(connection, user, ids[index(round)], TagId(900)).map(drop)
        });
        self.write("remove_tag_from_entry", |connection, round| {
            entry_tags::remove_tag_from_entry(connection, user, ids[index(round)], TagId(1))
                .map(drop)
        });
    }

    fn writes(&mut self) {
        let (user, owner) = (self.owner.user, self.owner.clone());
        self.write("create_entry", |connection, round| {
            entry_creation::create_plain(connection, &owner, &new_entry(round)).map(drop)
        });
        self.write("create_entry, 32 at once", |connection, _| {
            let entries = Vec::from_iter((0..32).map(new_entry));
            let given = Vec::from_iter(entries.iter().map(|entry| (&owner, entry)));
            entry_batches::create_entries(connection, &given).map(drop)
        });
        self.write("create_entry, with tags and a key", |connection, round| {
            let mut entry = new_entry(round);
            entry.tags = vec![TagId(1), TagId(2), TagId(3)];
            entry_creation::create_entry(connection, &owner, entry, Some(&key(round))).map(drop)
        });
        let ids: Vec<_> = (0..self.rounds).map(|round| self.entry(round)).collect();
        let labels = EntryChanges {
            is_favorite: Some(true),
            ..EntryChanges::default()
        };
        self.write("update_entry, its labels", |connection, round| {
            entry_updates::update_entry(connection, user, ids[index(round)], &labels).map(drop)
        });
        self.write("update_entry, its text", |connection, round| {
            let changes = EntryChanges {
                content: Some(new_entry(round).content),
                ..EntryChanges::default()
            };
            entry_updates::update_entry(connection, user, ids[index(round)], &changes).map(drop)
        });
        self.write("delete_entry", |connection, round| {
            entries::delete_entry(connection, user, ids[index(round)]).map(drop)
        });
        let mut nonce = [0; 12];
        self.write("use_up a requestState", |connection, round| {
            nonce[..8].copy_from_slice(&round.to_be_bytes());
            request_states::use_up(connection, user, nonce).map(drop)
        });
    }

    fn exports(&mut self) {
        let user = self.owner.user;
        let id = ExportId(7);
        self.write("begin_export", |connection, _| {
            exports::begin_export(connection, user, id, ExportFormat::Json).map(drop)
        });
        for (place, part) in [("", 0), (", deep", 60)] {
            let after = self.page(part).after;
            self.call(
                &format!("next_entries of an export{place}"),
                |connection, _| {
                    exports::next_entries(connection, user, after, Utc::now(), 1 << 20).map(drop)
                },
            );
        }
        self.write("the parts of an export", |connection, _| {
            exports::begin_export(connection, user, id, ExportFormat::Json)?;
            exports::append_to_export(connection, user, id, 0, &"text ".repeat(50_000))?;
            exports::finish_export(connection, user, id, 1)?;
            exports::get_export(connection, user, id)?;
            exports::read_export_part(connection, user, id, 0).map(drop)
        });
    }

    /// What the server does for itself.
    fn server(&mut self) {
        let user = self.owner.user;
        let now = Utc::now();
        let hour = DateTime::from_timestamp(now.timestamp() / 3_600 * 3_600, 0).unwrap();
        let counts = |users: i64| {
            Vec::from_iter((0..1_000).map(|n| {
                let key = ActivityKey {
                    user: match users {
                        1 => user,
                        _ => UserId::derive(ISSUER, &n.to_string()),
                    },
                    client: Some("client".to_owned()),
                    feature: Feature {
                        kind: FeatureKind::Tool,
                        name: format!("tool {n}").into(),
                        writes: false,
                    },
                    outcome: Outcome::Done,
                    hour,
                };
                (key, Tally::once(now))
            }))
        };
        for users in [1, 1_000] {
            let counts = counts(users);
            self.call(
                &format!("add_activity, 1,000 keys of {users}"),
                |connection, _| activity::add_activity(connection, &counts),
            );
        }
        self.call("changes of revocations", |connection, _| {
            revocations::changes(connection, None, 100).map(drop)
        });
        // In transactions of their own, as there is something to delete only once.
        self.named("delete_expired");
        loop {
            let began = Instant::now();
            let more = housekeeping::delete_expired(&mut self.connection).unwrap();
            report("delete_expired", began.elapsed().as_secs_f64());
            if !more {
                break;
            }
        }
    }

    /// The tag that 30 % of the entries have.
    fn deletion(&mut self) {
        let user = self.owner.user;
        self.named("delete_tag, a part");
        loop {
            let began = Instant::now();
            let more = tags::take_tag_off_some(&mut self.connection, user, TagId(1)).unwrap();
            report("delete_tag, a part", began.elapsed().as_secs_f64());
            if !more {
                break;
            }
        }
        self.named("delete_tag, the end");
        let began = Instant::now();
        let gone = tags::delete_tag(&mut self.connection, user, TagId(1)).unwrap();
        report("delete_tag, the end", began.elapsed().as_secs_f64());
        assert!(gone.is_some(), "there was such a tag");
        sql_query("VACUUM entries, entry_tags")
            .execute(&mut self.connection)
            .unwrap();
    }
}

fn report(name: &str, seconds: f64) {
    println!("{name}\t{:.3}", seconds * 1_000.0);
}

/// The time after so many hundredths of the entries.
fn at(part: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(BEGIN, 0).unwrap() + TimeDelta::days(DAYS * part / 100)
}

fn index(round: i64) -> usize {
    usize::try_from(round).unwrap()
}

fn new_entry(round: i64) -> NewEntry {
    NewEntry {
        title: format!("Entry of round {round}"),
        content: "Today I went for a walk and wrote some code. ".repeat(9),
        mood: Some("calm".to_owned()),
        location: None,
        weather: None,
        is_private: true,
        is_favorite: false,
        tags: Vec::new(),
    }
}

fn new_tag(round: i64) -> NewTag {
    NewTag {
        name: format!("new {round}"),
        description: None,
    }
}

fn key(round: i64) -> IdempotencyKey {
    IdempotencyKey {
        key: format!("key {round}"),
        arguments: [7; 32],
    }
}
