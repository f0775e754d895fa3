//! Statements that write one new entry.

use diesel::{
    OptionalExtension, PgConnection, Queryable, RunQueryDsl,
    data_types::PgTimestamp,
    sql_types::{Array, BigInt, Binary, Bool, Nullable, Text, Timestamptz, Uuid},
};

use crate::domain::journal::{Entry, EntryId, IdempotencyKey, JournalOwner, NewEntry, TagId};
use resource_server::clock::Timestamp;

use super::{
    entries::{Tags, tag_names},
    error::StorageError,
    idempotency::{Remembered, claim_if_expired, recall, sweep},
    quota::{self, ATTEMPTS, CHANGED_MEANWHILE, NoRoom, most_bytes, most_entries},
    schema::sql_types::Tsvector,
    statement::Statement,
    time,
    words::{Words, form},
};

/// Writes an entry with its tags. With an idempotency key it does so once: a repeated call gets the first
/// result.
///
/// # Errors
/// `NotFound` with the first tag that is not the user's, `Conflict` if the key was used with other
/// arguments; nothing is stored in either case.
pub fn create_entry(
    connection: &mut PgConnection,
    owner: &JournalOwner,
    entry: NewEntry,
    key: Option<&IdempotencyKey>,
) -> Result<Entry, StorageError> {
    match key {
        Some(key) => create_once(connection, owner, entry, key),
        None if entry.tags.is_empty() => {
            let (id, created_at) = create_plain(connection, owner, &entry)?;
            Ok(entry.written(id, created_at, Vec::new()))
        }
        None => create_tagged(connection, owner, entry),
    }
}

/// `$11`: the requested tags; finds those of the user, and the first that is not the user's. The lock
/// prevents that a tag is deleted before it is linked.
macro_rules! own_tags {
    () => {
        "own AS MATERIALIZED (
           SELECT id, name, folded_name FROM tags WHERE user_id = $1 AND id = ANY ($11)
              FOR KEY SHARE),
         missing AS MATERIALIZED (
           SELECT wanted.id FROM unnest($11) WITH ORDINALITY AS wanted (id, place)
            WHERE NOT EXISTS (SELECT FROM own WHERE own.id = wanted.id)
            ORDER BY wanted.place LIMIT 1)"
    };
}

/// Locks the counts of the user (`$1`) if one more entry of so many bytes fits.
macro_rules! fits {
    ($bytes:literal) => {
        concat!(
            "fits AS MATERIALIZED (
               SELECT FROM usage WHERE user_id = $1 AND entries < ",
            most_entries!(),
            " AND bytes <= ",
            most_bytes!(),
            " - ",
            $bytes,
            " FOR NO KEY UPDATE)"
        )
    };
}

/// Counts the new `entry`.
macro_rules! counted {
    ($bytes:literal) => {
        concat!(
            "counted AS (
               UPDATE usage SET entries = entries + 1, bytes = bytes + ",
            $bytes,
            " WHERE user_id = $1 AND EXISTS (SELECT FROM entry))"
        )
    };
}

/// The end of a statement with a new `entry`: its links to tags, which the entry counts already, and the one row
/// that is returned.
macro_rules! link_and_answer {
    () => {
        "linked AS (
           INSERT INTO entry_tags (user_id, entry_id, tag_id, entry_created_at)
           SELECT $1, entry.id, own.id, entry.created_at FROM entry, own)
         SELECT entry.id, entry.created_at, (SELECT id FROM missing),
                ARRAY(SELECT ROW(own.id, own.name) FROM own ORDER BY own.folded_name, own.id)
           FROM (VALUES (0)) AS one LEFT JOIN entry ON true"
    };
}

type CreatedSql = (
    Nullable<BigInt>,
    Nullable<Timestamptz>,
    Nullable<BigInt>,
    Tags,
);

/// The result of writing an entry.
#[derive(Queryable)]
struct CreatedRow {
    id: Option<i64>,
    created_at: Option<PgTimestamp>,
    missing_tag: Option<i64>,
    tags: Vec<(i64, String)>,
}

/// `$1` to `$10`: the owner and the entry's own columns.
macro_rules! bind_entry {
    ($statement:expr, $owner:expr, $entry:expr) => {
        bind_columns!(
            $statement
                .bind::<Uuid, _>($owner.user.as_uuid())
                .bind::<Text, _>(&$owner.issuer)
                .bind::<Text, _>(&$owner.subject),
            $entry
        )
    };
}

/// The entry's own columns.
macro_rules! bind_columns {
    ($statement:expr, $entry:expr) => {
        $statement
            .bind::<Text, _>(&$entry.title)
            .bind::<Text, _>(&$entry.content)
            .bind::<Nullable<Text>, _>($entry.mood.as_ref())
            .bind::<Nullable<Text>, _>($entry.location.as_ref())
            .bind::<Nullable<Text>, _>($entry.weather.as_ref())
            .bind::<Bool, _>($entry.is_private)
            .bind::<Bool, _>($entry.is_favorite)
    };
}

/// Writes an entry without tags and without a key; returns what the database added to it.
///
/// # Errors
/// Those of the database.
pub fn create_plain(
    connection: &mut PgConnection,
    owner: &JournalOwner,
    entry: &NewEntry,
) -> Result<(EntryId, Timestamp), StorageError> {
    let (bytes, words) = (quota::bytes(entry), words_of(entry));
    with_room(connection, owner, bytes, |connection| {
        let statement = Statement::<(BigInt, Timestamptz), _>::often(|| {
            concat!(
                "WITH room AS (
                   UPDATE usage SET entries = entries + 1, bytes = bytes + $9
                    WHERE user_id = $1 AND entries < ",
                most_entries!(),
                " AND bytes <= ",
                most_bytes!(),
                " - $9 RETURNING user_id)
                 INSERT INTO entries
                   (user_id, title, content, mood, location, weather, is_private, is_favorite,
                    search, search_form)
                 SELECT user_id, $2, $3, $4, $5, $6, $7, $8, $10, ",
                form!(),
                " FROM room RETURNING id, created_at"
            )
        });
        let statement = statement.bind::<Uuid, _>(owner.user.as_uuid());
        let row: Option<(i64, PgTimestamp)> = bind_columns!(statement, entry)
            .bind::<BigInt, _>(bytes)
            .bind::<Tsvector, _>(&words)
            .get_result(connection)
            .optional()?;
        let read = |(id, created_at)| Ok((EntryId(id), time::to_instant(created_at)?));
        row.map(read).transpose()
    })
}

/// Writes an entry, which finds no room the first time if its owner has no counts yet.
fn with_room<T>(
    connection: &mut PgConnection,
    owner: &JournalOwner,
    bytes: i64,
    write: impl Fn(&mut PgConnection) -> Result<Option<T>, StorageError>,
) -> Result<T, StorageError> {
    for _ in 0..ATTEMPTS {
        if let Some(written) = write(connection)? {
            return Ok(written);
        }
        if let NoRoom::Full(error) = quota::no_room_for_entry(connection, owner, bytes)? {
            return Err(error);
        }
    }
    Err(StorageError::unavailable(CHANGED_MEANWHILE))
}

fn create_tagged(
    connection: &mut PgConnection,
    owner: &JournalOwner,
    entry: NewEntry,
) -> Result<Entry, StorageError> {
    let (bytes, words) = (quota::bytes(&entry), words_of(&entry));
    let (id, created_at, tags) = with_room(connection, owner, bytes, |connection| {
        let statement = Statement::<CreatedSql>::new(concat!(
            "WITH ",
            own_tags!(),
            ", ",
            fits!("$12"),
            ", entry AS (
               INSERT INTO entries
                 (user_id, title, content, mood, location, weather, is_private, is_favorite, tag_count,
                  search, search_form)
               SELECT $1, $4, $5, $6, $7, $8, $9, $10, (SELECT count(*) FROM own), $13, ",
            form!(),
            "   WHERE NOT EXISTS (SELECT FROM missing) AND EXISTS (SELECT FROM fits)
               RETURNING id, created_at), ",
            counted!("$12"),
            ", ",
            link_and_answer!()
        ));
        let row: CreatedRow = bind_entry!(statement, owner, entry)
            .bind::<Array<BigInt>, _>(tag_ids(&entry))
            .bind::<BigInt, _>(bytes)
            .bind::<Tsvector, _>(&words)
            .get_result(connection)?;
        row.or_missing()
    })?;
    Ok(entry.written(id, created_at, tag_names(tags)))
}

fn create_once(
    connection: &mut PgConnection,
    owner: &JournalOwner,
    entry: NewEntry,
    key: &IdempotencyKey,
) -> Result<Entry, StorageError> {
    let (bytes, words) = (quota::bytes(&entry), words_of(&entry));
    let (id, created_at, tags) = with_room(connection, owner, bytes, |connection| {
        let statement = Statement::<CreatedSql>::new(concat!(
            "WITH ",
            own_tags!(),
            ", ",
            fits!("$14"),
            // The key keeps the entry's id, and a row cannot be written twice in one statement, so the
            // id is drawn before either is written.
            ", draft AS MATERIALIZED (
               SELECT nextval('entries_id_seq') AS id
                WHERE NOT EXISTS (SELECT FROM missing) AND EXISTS (SELECT FROM fits)),
             claim AS (
               INSERT INTO idempotency_keys AS k
                 (user_id, operation, key, arguments, result_id, result_tag_ids, result_tag_names)
               SELECT $1, 'create_entry', $12, $13, draft.id,
                      ARRAY(SELECT own.id FROM own ORDER BY own.folded_name, own.id),
                      ARRAY(SELECT own.name FROM own ORDER BY own.folded_name, own.id)
                 FROM draft",
            claim_if_expired!(),
            "), swept AS (",
            sweep!("'create_entry'", "$12"),
            "), entry AS (
               INSERT INTO entries
                 (id, user_id, title, content, mood, location, weather, is_private, is_favorite, tag_count,
                  search, search_form)
               OVERRIDING SYSTEM VALUE
               SELECT claim.result_id, $1, $4, $5, $6, $7, $8, $9, $10, (SELECT count(*) FROM own), $15, ",
            form!(),
            "    FROM claim
               RETURNING id, created_at), ",
            counted!("$14"),
            ", ",
            link_and_answer!()
        ));
        let row: CreatedRow = bind_entry!(statement, owner, entry)
            .bind::<Array<BigInt>, _>(tag_ids(&entry))
            .bind::<Text, _>(&key.key)
            .bind::<Binary, _>(&key.arguments[..])
            .bind::<BigInt, _>(bytes)
            .bind::<Tsvector, _>(&words)
            .get_result(connection)?;
        if row.id.is_some() {
            return row.or_missing();
        }
        // The first write of a key is answered for even if its tags are gone, or there is no room for another.
        match recall(connection, owner.user, "create_entry", key)? {
            Some(Remembered {
                id,
                created_at,
                tags,
            }) => {
                let tags = tags.into_iter().map(|tag| (tag.id.0, tag.name)).collect();
                Ok(Some((EntryId(id), time::to_instant(created_at)?, tags)))
            }
            None => row.or_missing(),
        }
    })?;
    Ok(entry.written(id, created_at, tag_names(tags)))
}

impl CreatedRow {
    /// What was created; `None` if there was no room, or a key was used before.
    ///
    /// # Errors
    /// `NotFound` if a tag is not the user's.
    fn or_missing(self) -> Result<Option<Created>, StorageError> {
        match (self.id, self.created_at, self.missing_tag) {
            (Some(id), Some(created_at), _) => Ok(Some((
                EntryId(id),
                time::to_instant(created_at)?,
                self.tags,
            ))),
            (_, _, Some(tag)) => Err(StorageError::no_tag(TagId(tag))),
            _ => Ok(None),
        }
    }
}

/// A new entry's id and time, and the ids and names of its tags.
type Created = (EntryId, Timestamp, Vec<(i64, String)>);

fn words_of(entry: &NewEntry) -> Words {
    Words::of(&entry.title, &entry.content)
}

fn tag_ids(entry: &NewEntry) -> Vec<i64> {
    entry.tags.iter().map(|tag| tag.0).collect()
}
