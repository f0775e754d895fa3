//! Statements about one entry.

use diesel::{
    OptionalExtension, PgConnection, Queryable, RunQueryDsl,
    data_types::PgTimestamp,
    sql_types::{Array, BigInt, Binary, Bool, Nullable, Record, Text, Timestamptz, Uuid},
};

use crate::domain::journal::{
    Entry, EntryChanges, EntryId, IdempotencyKey, JournalOwner, NewEntry, TagId, TagName,
};
use resource_server::{clock::Timestamp, principal::UserId};

use super::{
    error::StorageError,
    idempotency::{Remembered, claim_if_expired, recall, sweep},
    statement::Statement,
    time,
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

/// Reads an entry.
///
/// # Errors
/// `NotFound` if the user has no such entry.
pub fn get_entry(
    connection: &mut PgConnection,
    user: UserId,
    id: EntryId,
) -> Result<Entry, StorageError> {
    Statement::<EntrySql, _>::often(|| {
        concat!(
            "SELECT ",
            entry_columns!(),
            " FROM entries e WHERE e.user_id = $1 AND e.id = $2"
        )
    })
    .bind::<Uuid, _>(user.as_uuid())
    .bind::<BigInt, _>(id.0)
    .get_result::<EntryRow>(connection)
    .optional()?
    .ok_or(StorageError::no_entry(id))?
    .try_into()
}

/// Reads the user's entries among these, newest first, until their content reaches the limit in bytes. The
/// first is always returned.
///
/// # Errors
/// Those of the database.
pub fn get_entries(
    connection: &mut PgConnection,
    user: UserId,
    ids: &[EntryId],
    bytes: u32,
) -> Result<Vec<Entry>, StorageError> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    Statement::<EntrySql>::new(concat!(
        "WITH wanted AS MATERIALIZED (
           SELECT e.id,
                  sum(octet_length(e.content)) OVER newest_first AS bytes,
                  row_number() OVER newest_first AS place
             FROM entries e WHERE e.user_id = $1 AND e.id = ANY($2)
           WINDOW newest_first AS (ORDER BY e.created_at DESC, e.id DESC))
         SELECT ",
        entry_columns!(),
        " FROM wanted w JOIN entries e ON e.user_id = $1 AND e.id = w.id
          WHERE w.place = 1 OR w.bytes <= $3
          ORDER BY w.place"
    ))
    .bind::<Uuid, _>(user.as_uuid())
    .bind::<Array<BigInt>, _>(ids)
    .bind::<BigInt, _>(i64::from(bytes))
    .load::<EntryRow>(connection)?
    .into_iter()
    .map(Entry::try_from)
    .collect()
}

/// Changes an entry and returns it as it is now.
///
/// # Errors
/// `NotFound` if the user has no such entry.
pub fn update_entry(
    connection: &mut PgConnection,
    user: UserId,
    id: EntryId,
    changes: &EntryChanges,
) -> Result<Entry, StorageError> {
    // A statement that sets title or content makes PostgreSQL recompute the search document, even if they
    // do not change. Labels do not need that.
    let statement = if changes.title.is_some() || changes.content.is_some() {
        concat!(
            "UPDATE entries e SET title = coalesce($11, title), content = coalesce($12, content),",
            label_changes!()
        )
    } else {
        concat!("UPDATE entries e SET", label_changes!())
    };
    let update = Statement::<EntrySql>::new(statement)
        .bind::<Uuid, _>(user.as_uuid())
        .bind::<BigInt, _>(id.0)
        .bind::<Bool, _>(changes.mood.is_some())
        .bind::<Nullable<Text>, _>(changes.mood.as_ref().and_then(Option::as_ref))
        .bind::<Bool, _>(changes.location.is_some())
        .bind::<Nullable<Text>, _>(changes.location.as_ref().and_then(Option::as_ref))
        .bind::<Bool, _>(changes.weather.is_some())
        .bind::<Nullable<Text>, _>(changes.weather.as_ref().and_then(Option::as_ref))
        .bind::<Nullable<Bool>, _>(changes.is_private)
        .bind::<Nullable<Bool>, _>(changes.is_favorite)
        .bind::<Nullable<Text>, _>(changes.title.as_ref())
        .bind::<Nullable<Text>, _>(changes.content.as_ref());
    update
        .get_result::<EntryRow>(connection)
        .optional()?
        .ok_or(StorageError::no_entry(id))?
        .try_into()
}

/// Deletes an entry and returns it as it was; `None` if the user has no such entry.
///
/// # Errors
/// Those of the database.
pub fn delete_entry(
    connection: &mut PgConnection,
    user: UserId,
    id: EntryId,
) -> Result<Option<Entry>, StorageError> {
    Statement::<EntrySql>::new(concat!(
        "DELETE FROM entries e WHERE e.user_id = $1 AND e.id = $2 RETURNING ",
        entry_columns!()
    ))
    .bind::<Uuid, _>(user.as_uuid())
    .bind::<BigInt, _>(id.0)
    .get_result::<EntryRow>(connection)
    .optional()?
    .map(Entry::try_from)
    .transpose()
}

/// Whether the user has written any entry.
///
/// # Errors
/// Those of the database.
pub fn has_entries(connection: &mut PgConnection, user: UserId) -> Result<bool, StorageError> {
    let found = Statement::<Bool>::new("SELECT EXISTS (SELECT FROM entries WHERE user_id = $1)")
        .bind::<Uuid, _>(user.as_uuid())
        .get_result(connection)?;
    Ok(found)
}

/// The columns of an entry `e`, its tags among them.
macro_rules! entry_columns {
    () => {
        "e.id, e.title, e.content, e.mood, e.location, e.weather, e.is_private, e.is_favorite,
         e.created_at, e.updated_at,
         ARRAY(SELECT ROW(t.id, t.name)
                 FROM entry_tags l JOIN tags t ON t.user_id = l.user_id AND t.id = l.tag_id
                WHERE l.user_id = e.user_id AND l.entry_id = e.id
                ORDER BY t.folded_name, t.id)"
    };
}
pub(super) use entry_columns;

/// The rest of an `UPDATE`. The time of the change always increases, even if the clock does not.
macro_rules! label_changes {
    () => {
        concat!(
            " mood = CASE WHEN $3 THEN $4 ELSE mood END,
              location = CASE WHEN $5 THEN $6 ELSE location END,
              weather = CASE WHEN $7 THEN $8 ELSE weather END,
              is_private = coalesce($9, is_private),
              is_favorite = coalesce($10, is_favorite),
              updated_at = greatest(now(), updated_at + interval '1 microsecond')
              WHERE e.user_id = $1 AND e.id = $2 RETURNING ",
            entry_columns!()
        )
    };
}
use label_changes;

/// `$1` to `$3`: the owner, who may be new. The check avoids failed insertions into the index; the conflict
/// clause resolves a race of two first writes.
macro_rules! new_owner {
    ($condition:literal) => {
        concat!(
            "owner AS (
               INSERT INTO users (id, issuer, subject) SELECT $1, $2, $3
                WHERE NOT EXISTS (SELECT FROM users WHERE id = $1)",
            $condition,
            " ON CONFLICT DO NOTHING)"
        )
    };
}
pub(super) use new_owner;

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

/// The end of a statement with a new `entry`: its links to tags, and the one row that is returned.
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

type Tags = Array<Record<(BigInt, Text)>>;
pub(super) type EntrySql = (
    BigInt,
    Text,
    Text,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
    Bool,
    Bool,
    Timestamptz,
    Timestamptz,
    Tags,
);
type CreatedSql = (
    Nullable<BigInt>,
    Nullable<Timestamptz>,
    Nullable<BigInt>,
    Tags,
);

#[derive(Queryable)]
pub(super) struct EntryRow {
    id: i64,
    title: String,
    content: String,
    mood: Option<String>,
    location: Option<String>,
    weather: Option<String>,
    is_private: bool,
    is_favorite: bool,
    created_at: PgTimestamp,
    updated_at: PgTimestamp,
    tags: Vec<(i64, String)>,
}

/// The result of writing an entry.
#[derive(Queryable)]
struct CreatedRow {
    id: Option<i64>,
    created_at: Option<PgTimestamp>,
    missing_tag: Option<i64>,
    tags: Vec<(i64, String)>,
}

impl TryFrom<EntryRow> for Entry {
    type Error = StorageError;

    fn try_from(row: EntryRow) -> Result<Self, StorageError> {
        Ok(Self {
            id: EntryId(row.id),
            title: row.title,
            content: row.content,
            mood: row.mood,
            location: row.location,
            weather: row.weather,
            is_private: row.is_private,
            is_favorite: row.is_favorite,
            created_at: time::to_instant(row.created_at)?,
            updated_at: time::to_instant(row.updated_at)?,
            tags: tag_names(row.tags),
        })
    }
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
    // Every entry but a user's first.
    let statement = Statement::<(BigInt, Timestamptz), _>::often(|| {
        "INSERT INTO entries (user_id, title, content, mood, location, weather, is_private, is_favorite)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8 WHERE EXISTS (SELECT FROM users WHERE id = $1)
         RETURNING id, created_at"
    });
    let statement = statement.bind::<Uuid, _>(owner.user.as_uuid());
    let row = bind_columns!(statement, entry)
        .get_result(connection)
        .optional()?;
    let (id, created_at): (i64, PgTimestamp) = match row {
        Some(row) => row,
        None => {
            let statement = Statement::<(BigInt, Timestamptz)>::new(concat!(
                "WITH ",
                new_owner!(""),
                " INSERT INTO entries
                    (user_id, title, content, mood, location, weather, is_private, is_favorite)
                  VALUES ($1, $4, $5, $6, $7, $8, $9, $10)
                  RETURNING id, created_at"
            ));
            bind_entry!(statement, owner, entry).get_result(connection)?
        }
    };
    Ok((EntryId(id), time::to_instant(created_at)?))
}

fn create_tagged(
    connection: &mut PgConnection,
    owner: &JournalOwner,
    entry: NewEntry,
) -> Result<Entry, StorageError> {
    // No owner is created here: a user with a tag has one.
    let statement = Statement::<CreatedSql>::new(concat!(
        "WITH ",
        own_tags!(),
        ", entry AS (
           INSERT INTO entries
             (user_id, title, content, mood, location, weather, is_private, is_favorite)
           SELECT $1, $4, $5, $6, $7, $8, $9, $10
            WHERE NOT EXISTS (SELECT FROM missing)
           RETURNING id, created_at), ",
        link_and_answer!()
    ));
    let row: CreatedRow = bind_entry!(statement, owner, entry)
        .bind::<Array<BigInt>, _>(tag_ids(&entry))
        .get_result(connection)?;
    match row.created()? {
        Some((id, created_at)) => Ok(entry.written(EntryId(id), created_at, tag_names(row.tags))),
        None => Err(row.refusal()),
    }
}

fn create_once(
    connection: &mut PgConnection,
    owner: &JournalOwner,
    entry: NewEntry,
    key: &IdempotencyKey,
) -> Result<Entry, StorageError> {
    let statement = Statement::<CreatedSql>::new(concat!(
        "WITH ",
        own_tags!(),
        ", ",
        new_owner!(" AND NOT EXISTS (SELECT FROM missing)"),
        // The key keeps the entry's id, and a row cannot be written twice in one statement, so the
        // id is drawn before either is written.
        ", draft AS MATERIALIZED (
           SELECT nextval('entries_id_seq') AS id WHERE NOT EXISTS (SELECT FROM missing)),
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
             (id, user_id, title, content, mood, location, weather, is_private, is_favorite)
           OVERRIDING SYSTEM VALUE
           SELECT claim.result_id, $1, $4, $5, $6, $7, $8, $9, $10 FROM claim
           RETURNING id, created_at), ",
        link_and_answer!()
    ));
    let row: CreatedRow = bind_entry!(statement, owner, entry)
        .bind::<Array<BigInt>, _>(tag_ids(&entry))
        .bind::<Text, _>(&key.key)
        .bind::<Binary, _>(&key.arguments[..])
        .get_result(connection)?;
    if let Some((id, created_at)) = row.created()? {
        return Ok(entry.written(EntryId(id), created_at, tag_names(row.tags)));
    }
    match recall(connection, owner.user, "create_entry", key)? {
        Some(Remembered {
            id,
            created_at,
            tags,
        }) => Ok(entry.written(EntryId(id), time::to_instant(created_at)?, tags)),
        None => Err(row.refusal()),
    }
}

impl CreatedRow {
    fn created(&self) -> Result<Option<(i64, Timestamp)>, StorageError> {
        match (self.id, self.created_at) {
            (Some(id), Some(created_at)) => Ok(Some((id, time::to_instant(created_at)?))),
            _ => Ok(None),
        }
    }

    fn refusal(&self) -> StorageError {
        match self.missing_tag {
            Some(id) => StorageError::no_tag(TagId(id)),
            // The key was claimed by another statement and has since expired or been rolled back: nothing is
            // stored, and the caller may try again.
            None => StorageError::unavailable("the idempotency key changed hands"),
        }
    }
}

fn tag_ids(entry: &NewEntry) -> Vec<i64> {
    entry.tags.iter().map(|tag| tag.0).collect()
}

fn tag_names(tags: Vec<(i64, String)>) -> Vec<TagName> {
    tags.into_iter()
        .map(|(id, name)| TagName {
            id: TagId(id),
            name,
        })
        .collect()
}
