//! The statements of the journal with what was bound to them, as Diesel sent them.

use std::{iter, sync::OnceLock};

use chrono::TimeDelta;
use diesel::{
    PgConnection, QueryableByName, RunQueryDsl,
    connection::{
        Instrumentation, InstrumentationEvent, SimpleConnection, set_default_instrumentation,
    },
    sql_query,
    sql_types::Text,
};
use epicme::{
    domain::{
        activity::EndedCall,
        export::{ExportFormat, ExportId},
        journal::{EntryChanges, EntryFilter, EntryId, JournalOwner, TagChanges, TagId},
        page::{NameCursor, PageLimit, TimeCursor},
    },
    journal::{
        AddTagToEntry, AppendToExport, BeginExport, ChangeSession, DeleteEntry, DigestEntries,
        FinishExport, GetEntry, GetExport, GetTag, GetUsage, HasEntries, KeepAnswer, ListActivity,
        ListClients, ListEntries, ListTags, LoadSession, NextEntries, NextTags, ReadExportPart,
        RemoveTagFromEntry, SearchEntries, SuggestEntries, SuggestTags, TakeAnswer, UpdateEntry,
        UpdateTag, UseRequestState,
    },
};
use mcp_protocol::logging::Level;
use mcp_server::features::{
    call_record::{Feature, FeatureKind, Outcome},
    session_store::{SessionChange, SessionName, StoredSession},
};
use parking_lot::Mutex;
use resource_server::clock::Clock;

use crate::support::{
    Journal, create_entry, create_tag, found, key, new_entry, owner, page, query,
};

/// Bob's ids begin here, so that they are found in what is returned.
const BOBS_IDS: i64 = 7_000_000_001;

/// A statement and the values that were bound to it, as literals.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Recorded {
    pub(super) sql: String,
    values: Vec<String>,
}

impl Recorded {
    /// Reads what Diesel writes of a query: the statement and, as Rust's `Debug` has them, its binds.
    fn read(query: &str) -> Option<Self> {
        let (sql, binds) = query.rsplit_once(" -- binds: ")?;
        let sql = sql.split_once("*/ ").map_or(sql, |(_, sql)| sql);
        // Of an array that is only counted off, PostgreSQL does not find the type by its place.
        let sql = sql.replace("unnest($6)", "unnest($6::bigint[])");
        let binds = binds.trim().strip_prefix('[')?.strip_suffix(']')?;
        Some(Self {
            sql,
            values: parts(binds),
        })
    }

    /// The types of the placeholders, which PostgreSQL finds by their places.
    pub(super) fn types(&self, connection: &mut PgConnection) -> Vec<String> {
        // One that does not occur has no type.
        let occurs = |number: usize| {
            let placeholder = format!("${number}");
            let mut places = self.sql.split(&placeholder).skip(1);
            places.any(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
        };
        let types = (1..=self.values.len()).map(|number| match occurs(number) {
            true => "unknown",
            false => "text",
        });
        let prepare = format!(
            "PREPARE typed ({}) AS {}",
            Vec::from_iter(types).join(", "),
            self.sql
        );
        let prepared = connection.batch_execute(&prepare);
        prepared.unwrap_or_else(|error| panic!("{error}: {}", self.sql));
        let types = lines(
            connection,
            "SELECT unnest(parameter_types)::text AS line FROM pg_prepared_statements
              WHERE name = 'typed'",
        );
        connection.batch_execute("DEALLOCATE typed").unwrap();
        types
    }

    /// What was bound, as literals of these types.
    pub(super) fn literals(&self, types: &[String]) -> Vec<String> {
        let values = self.values.iter().zip(types);
        Vec::from_iter(values.map(|(value, kind)| literal(value, kind)))
    }
}

/// The elements of a list as `Debug` writes it.
fn parts(list: &str) -> Vec<String> {
    let (mut parts, mut depth, mut is_text, mut is_escaped) =
        (vec![String::new()], 0, false, false);
    for character in list.chars() {
        match character {
            ',' if depth == 0 && !is_text => {
                parts.push(String::new());
                continue;
            }
            '"' if !is_escaped => is_text = !is_text,
            '[' | '(' if !is_text => depth += 1,
            ']' | ')' if !is_text => depth -= 1,
            _ => {}
        }
        is_escaped = character == '\\' && !is_escaped;
        parts.last_mut().unwrap().push(character);
    }
    let parts = parts.iter().map(|part| part.trim().to_owned());
    parts.filter(|part| !part.is_empty()).collect()
}

/// A value as `Debug` writes it, as a literal of PostgreSQL.
fn literal(value: &str, kind: &str) -> String {
    let inner = |begin: &str| value.strip_prefix(begin)?.strip_suffix(')');
    if value == "None" {
        return format!("NULL::{kind}");
    }
    if let Some(value) = inner("Some(") {
        return literal(value, kind);
    }
    if let Some(element) = kind.strip_suffix("[]") {
        let elements = parts(value.trim_matches(['[', ']']));
        let elements = Vec::from_iter(elements.iter().map(|value| literal(value, element)));
        return format!("ARRAY[{}]::{kind}", elements.join(", "));
    }
    match (kind, inner("PgTimestamp(")) {
        (_, Some(micros)) if micros == i64::MAX.to_string() => "timestamptz 'infinity'".to_owned(),
        (_, Some(micros)) if micros == i64::MIN.to_string() => "timestamptz '-infinity'".to_owned(),
        (_, Some(micros)) => {
            format!("(timestamptz '2000-01-01 00:00:00+00' + {micros} * interval '1 microsecond')")
        }
        ("bytea", _) => {
            let bytes = parts(value.trim_matches(['[', ']']));
            let bytes = bytes.iter().map(|byte| byte.parse::<u8>().unwrap());
            let digits: String = bytes.map(|byte| format!("{byte:02x}")).collect();
            format!("'\\x{digits}'::bytea")
        }
        _ if value.starts_with('"') => {
            let text: String = serde_json::from_str(value).unwrap();
            format!("'{}'::{kind}", text.replace('\'', "''"))
        }
        _ => format!("'{value}'::{kind}"),
    }
}

/// What is sent for Ann, whoever sends it: no other test has her.
static SENT: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Recorder;

impl Instrumentation for Recorder {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            let query = query.to_string();
            // What tests send has its values in it.
            if query.contains(&ann().user.to_string()) && !query.ends_with("-- binds: []") {
                SENT.lock().push(query);
            }
        }
    }
}

pub(super) fn ann() -> JournalOwner {
    owner("ann, who is recorded")
}

pub(super) fn bob() -> JournalOwner {
    owner("bob, who is not")
}

pub(super) fn lines(connection: &mut PgConnection, sql: &str) -> Vec<String> {
    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = Text)]
        line: String,
    }
    let lines = sql_query(sql).load::<Line>(connection);
    let lines = lines.unwrap_or_else(|error| panic!("{error}: {sql}"));
    lines.into_iter().map(|line| line.line).collect()
}

/// A hundred others, and much of Ann's, so that plans differ in cost.
const MUCH: &str = "
INSERT INTO users (id, issuer, subject)
SELECT md5(n::text)::uuid, 'https://issuer.example', 'other ' || n FROM generate_series(1, 100) n;
INSERT INTO entries (user_id, title, content, is_favorite, created_at)
SELECT u.id, 'title ' || n, 'an ordinary walk, the ' || n || 'th', n % 20 = 0, now() - n * interval '1 minute'
  FROM users u CROSS JOIN generate_series(1, 40) n WHERE u.subject LIKE 'other%';
INSERT INTO entries (user_id, title, content, is_favorite, created_at)
SELECT '{ann}', 'title ' || n, 'an ordinary walk, the ' || n || 'th', n % 20 = 0, now() - n * interval '1 minute'
  FROM generate_series(1, 4000) n;
INSERT INTO tags (user_id, name, folded_name)
SELECT u.id, 'tag ' || n, 'tag ' || n FROM users u CROSS JOIN generate_series(1, 8) n WHERE u.id <> '{bob}';
INSERT INTO entry_tags (user_id, entry_id, tag_id, entry_created_at)
SELECT e.user_id, e.id, t.id, e.created_at
  FROM entries e JOIN tags t ON t.user_id = e.user_id AND t.id % 8 = e.id % 8 WHERE e.user_id <> '{bob}'
    ON CONFLICT DO NOTHING;
INSERT INTO activity (user_id, client, kind, feature, outcome, hour, writes, count, first_at, last_at)
SELECT u.id, 'client', 'tool', 'feature', 'done', now() - n * interval '1 hour', false, 1,
       now() - n * interval '1 hour', now() - n * interval '1 hour'
  FROM users u CROSS JOIN generate_series(1, 50) n WHERE u.id <> '{bob}';
INSERT INTO tag_deletions (user_id, tag_id, continued_at)
SELECT user_id, id, now() FROM tags WHERE user_id = '{bob}' AND name = 'bobs other tag';";

fn session(user: &JournalOwner) -> StoredSession {
    StoredSession {
        user: user.user,
        name: SessionName::from_bytes(*b"twelve bytes"),
        until: Clock::system().now() + TimeDelta::hours(1),
    }
}

/// A journal with rows of Ann, of Bob in every table, and of others; and what was sent for Ann: for what is hers, and
/// with Bob's ids.
pub(super) async fn record() -> (Journal, Vec<Recorded>) {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| set_default_instrumentation(|| Some(Box::new(Recorder))).unwrap());
    let journal = Journal::start_guarded(true);
    let begin = |ids: i64| {
        for sequence in ["entries_id_seq", "tags_id_seq", "activity_id_seq"] {
            let restart = format!("ALTER SEQUENCE {sequence} RESTART WITH {ids}");
            journal.database.execute(&restart).unwrap();
        }
    };
    begin(BOBS_IDS);
    let (_, bobs_tag) = rows_of(&journal, &bob(), "bobs").await;
    journal.tag(&bob(), "bobs other tag").await;
    begin(1);
    let (entry, tag) = rows_of(&journal, &ann(), "own").await;
    let much = MUCH
        .replace("{ann}", &ann().user.to_string())
        .replace("{bob}", &bob().user.to_string());
    journal.database.connect().batch_execute(&much).unwrap();
    ask_everything(&journal, entry, tag).await;
    ask_everything(&journal, EntryId(BOBS_IDS), bobs_tag).await;
    journal.database.execute("ANALYZE").unwrap();
    let sent = SENT.lock().clone();
    let mut statements = Vec::from_iter(sent.iter().filter_map(|query| Recorded::read(query)));
    // What is written for several users has no condition on one.
    statements.retain(|statement| !statement.sql.contains("unnest($1, "));
    statements.sort();
    statements.dedup();
    (journal, statements)
}

/// A row in each table but the one of tags that are being deleted.
async fn rows_of(journal: &Journal, user: &JournalOwner, mark: &str) -> (EntryId, TagId) {
    let tag = journal
        .ask(create_tag(
            user,
            &format!("{mark} tag"),
            key(&format!("{mark} key"), 1),
        ))
        .await
        .unwrap();
    let mut entry = new_entry(&format!("{mark} title"));
    entry.tags = vec![tag.id];
    entry.is_favorite = true;
    entry.content = format!("{mark} walk in a quiet forest");
    let entry = journal
        .ask(create_entry(user, entry, key("k", 1)))
        .await
        .unwrap();
    let id = ExportId(7);
    let export = BeginExport {
        user: user.user,
        id,
        format: ExportFormat::ALL[0],
    };
    journal.ask(export).await.unwrap();
    let part = AppendToExport {
        user: user.user,
        id,
        number: 0,
        content: format!("{mark} part").into(),
    };
    journal.ask(part).await.unwrap();
    let (user, parts) = (user.user, 1);
    journal.ask(FinishExport { user, id, parts }).await.unwrap();
    (entry.id, tag.id)
}

/// Everything that can be asked for Ann, with these ids. Nothing is deleted that another question needs.
async fn ask_everything(journal: &Journal, entry: EntryId, tag: TagId) {
    let (ann, user) = (ann(), ann().user);
    macro_rules! ask {
        ($($message:expr;)*) => {$(
            // What is not hers is refused.
            let _ = journal.ask($message).await;
        )*};
    }
    let now = Clock::system().now();
    let after = Some(TimeCursor {
        micros: i64::MAX / 2,
        id: entry.0,
    });
    let filter = |tags: &[TagId], dated: bool, is_favorite: Option<bool>| EntryFilter {
        tags: tags.to_vec(),
        from: dated.then_some(now - TimeDelta::days(1)),
        to: None,
        is_favorite,
    };
    for (tags, dated) in [(&[][..], false), (&[][..], true), (&[tag][..], false)] {
        for is_favorite in [None, Some(true), Some(false)] {
            let filter = filter(tags, dated, is_favorite);
            ask!(ListEntries { user, filter, page: page(20, None) };);
        }
    }
    for text in [
        "forest",
        "\"quiet forest\"",
        "walk -\"forest quiet\"",
        "quiet -zebra",
    ] {
        ask!(SearchEntries { user, query: query(text), page: found(20, None) };);
    }
    let mut tagged = new_entry("own");
    tagged.tags = vec![tag];
    let session = session(&ann);
    let (question, answer) = ("question".to_owned(), "answer".to_owned());
    let id = ExportId(7);
    ask! {
        GetEntry { user, id: entry };
        UpdateEntry { user, id: entry, changes: EntryChanges { content: Some("a longer text".to_owned()), ..EntryChanges::default() } };
        HasEntries { user };
        GetUsage { user };
        AddTagToEntry { user, entry_id: entry, tag_id: tag };
        RemoveTagFromEntry { user, entry_id: entry, tag_id: tag };
        AddTagToEntry { user, entry_id: entry, tag_id: tag };
        create_entry(&ann, new_entry("own"), None);
        create_entry(&ann, tagged.clone(), None);
        create_entry(&ann, tagged.clone(), key("another key", 1));
        create_entry(&ann, tagged, key("another key", 1));
        create_tag(&ann, &format!("own tag beside {tag}"), None);
        create_tag(&ann, &format!("own second tag beside {tag}"), key(&format!("key {tag}"), 1));
        create_tag(&ann, &format!("own second tag beside {tag}"), key(&format!("key {tag}"), 1));
        GetTag { user, id: tag };
        ListTags { user, page: page(20, None) };
        ListTags { user, page: page(20, Some(NameCursor { folded_name: "a".to_owned(), id: tag.0 })) };
        UpdateTag { user, id: tag, changes: TagChanges { name: Some("own renamed".to_owned()), description: None } };
        SuggestEntries { user, typed: entry.to_string() };
        SuggestTags { user, typed: tag.to_string() };
        DigestEntries { user, tags: vec![], from: None, to: None, limit: PageLimit::LONGEST, bytes: 9_999 };
        DigestEntries { user, tags: vec![tag], from: None, to: None, limit: PageLimit::LONGEST, bytes: 9_999 };
        NextEntries { user, after: None, at: now, bytes: 9_999 };
        NextEntries { user, after, at: now, bytes: 9_999 };
        NextTags { user, after: None };
        NextTags { user, after: Some(TagId(0)) };
        ReadExportPart { user, id, number: 0 };
        GetExport { user, id };
        BeginExport { user, id: ExportId(8), format: ExportFormat::ALL[0] };
        AppendToExport { user, id: ExportId(8), number: 0, content: "own".into() };
        FinishExport { user, id: ExportId(8), parts: 1 };
        LoadSession { user, name: session.name };
        ChangeSession { session, change: SessionChange::LogLevel(Level::ALL[0]) };
        ChangeSession { session, change: SessionChange::Subscribed("uri".to_owned()) };
        ChangeSession { session, change: SessionChange::Unsubscribed("uri".to_owned()) };
        KeepAnswer { session, question: question.clone(), answer };
        TakeAnswer { session, question };
        ChangeSession { session, change: SessionChange::Ended };
        UseRequestState { user, nonce: *b"twelve bytes" };
        ListActivity { user, client: None, page: page(20, None) };
        ListActivity { user, client: Some("client".to_owned()), page: page(20, None) };
        ListClients { user };
        DeleteEntry { user, id: entry };
    }
    let _ = journal.handle.delete_tag(user, tag).await;
    journal.handle.record(EndedCall {
        user,
        client: Some("client".to_owned()),
        feature: Feature {
            kind: FeatureKind::Tool,
            name: "feature".to_owned().into(),
            writes: true,
        },
        outcome: Outcome::Done,
        at: now,
    });
    journal.handle.flush_activity().await;
    // Together, so that some are written in one statement.
    let many =
        iter::repeat_with(|| journal.ask(create_entry(&ann, new_entry("own"), None))).take(8);
    futures_util::future::join_all(many).await;
}
