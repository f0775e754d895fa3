//! Statements about one entry.

use diesel::{
    OptionalExtension, PgConnection, Queryable, RunQueryDsl,
    data_types::PgTimestamp,
    sql_types::{Array, BigInt, Bool, Nullable, Record, Text, Timestamptz, Uuid},
};

use crate::domain::journal::{Entry, EntryId, TagId, TagName};
use resource_server::principal::UserId;

use super::{error::StorageError, quota::bytes_of, statement::Statement, time};

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
        "WITH gone AS (
           DELETE FROM entries e WHERE e.user_id = $1 AND e.id = $2 RETURNING ",
        entry_columns!(),
        " AS tags),
         freed AS (
           UPDATE usage SET entries = greatest(entries - 1, 0), bytes = greatest(bytes - ",
        bytes_of!("gone"),
        ", 0) FROM gone WHERE user_id = $1)
         SELECT * FROM gone"
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

pub(super) type Tags = Array<Record<(BigInt, Text)>>;
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

pub(super) fn tag_names(tags: Vec<(i64, String)>) -> Vec<TagName> {
    tags.into_iter()
        .map(|(id, name)| TagName {
            id: TagId(id),
            name,
        })
        .collect()
}
