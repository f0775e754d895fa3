//! Journals as documents: read in the order in which they were written, and kept in parts until they
//! expire.

use diesel::{
    OptionalExtension, PgConnection, Queryable, RunQueryDsl,
    data_types::PgTimestamp,
    sql_types::{BigInt, Integer, Text, Timestamptz, Uuid},
};

use crate::domain::{
    export::{Export, ExportBegun, ExportFormat, ExportId},
    journal::Entry,
    page::TimeCursor,
};
use resource_server::{clock::Timestamp, principal::UserId};

use super::{
    entries::{EntryRow, EntrySql, entry_columns},
    entry_lists::count_entries,
    error::StorageError,
    statement::Statement,
    time,
};

/// Entries are counted up to this number before they are read.
const COUNTED: usize = 1_000_000;

/// Begins an export. A user has at most two; older ones are deleted, finished or not.
///
/// # Errors
/// Those of the database.
pub fn begin_export(
    connection: &mut PgConnection,
    user: UserId,
    id: ExportId,
    format: ExportFormat,
) -> Result<ExportBegun, StorageError> {
    let at: PgTimestamp = Statement::<Timestamptz>::new(
        "WITH gone AS (
           DELETE FROM exports
            WHERE user_id = $1 AND (expires_at <= now() OR id NOT IN (
                  SELECT id FROM exports WHERE user_id = $1 ORDER BY created_at DESC LIMIT 1)))
         INSERT INTO exports (user_id, id, media_type) VALUES ($1, $2, $3) RETURNING created_at",
    )
    .bind::<Uuid, _>(user.as_uuid())
    .bind::<BigInt, _>(id.0)
    .bind::<Text, _>(format.media_type())
    .get_result(connection)?;
    let at = time::to_instant(at)?;
    let entries = count_entries(connection, user, &[], None, None, COUNTED)?;
    Ok(ExportBegun {
        at,
        entries: Some(entries).filter(|entries| *entries < COUNTED),
    })
}

/// The next entries of an export that began `at`: at most a thousand, and at most `bytes` of content, but at
/// least one. None at the end of the journal.
///
/// # Errors
/// Those of the database.
pub fn next_entries(
    connection: &mut PgConnection,
    user: UserId,
    after: Option<TimeCursor>,
    at: Timestamp,
    bytes: u32,
) -> Result<Vec<Entry>, StorageError> {
    let (after, id) = after.map_or((time::INFINITE_PAST, 0), |cursor| {
        (time::from_micros(cursor.micros), cursor.id)
    });
    // The limit is in the SQL text, so that the planner knows it and uses the index.
    Statement::<EntrySql>::new(concat!(
        "WITH next AS MATERIALIZED (
           SELECT id, created_at, octet_length(content) AS bytes FROM entries
            WHERE user_id = $1 AND (created_at, id) > ($2, $3) AND created_at <= $4
            ORDER BY created_at, id LIMIT 1000),
         wanted AS (
           SELECT id, sum(bytes) OVER oldest_first AS bytes, row_number() OVER oldest_first AS place
             FROM next WINDOW oldest_first AS (ORDER BY created_at, id))
         SELECT ",
        entry_columns!(),
        " FROM wanted w JOIN entries e ON e.user_id = $1 AND e.id = w.id
          WHERE w.place = 1 OR w.bytes <= $5
          ORDER BY w.place"
    ))
    .bind::<Uuid, _>(user.as_uuid())
    .bind::<Timestamptz, _>(after)
    .bind::<BigInt, _>(id)
    .bind::<Timestamptz, _>(time::from_instant(at))
    .bind::<BigInt, _>(i64::from(bytes))
    .load::<EntryRow>(connection)?
    .into_iter()
    .map(Entry::try_from)
    .collect()
}

/// Adds a part to an unfinished export.
///
/// # Errors
/// `NotFound` if the export was deleted for a newer one.
pub fn append_to_export(
    connection: &mut PgConnection,
    user: UserId,
    id: ExportId,
    number: u32,
    content: &str,
) -> Result<(), StorageError> {
    Statement::<Integer>::new(
        "INSERT INTO export_parts (user_id, export_id, number, content)
         SELECT user_id, id, $3, $4 FROM exports
          WHERE user_id = $1 AND id = $2 AND parts IS NULL AND expires_at > now() FOR KEY SHARE
         RETURNING number",
    )
    .bind::<Uuid, _>(user.as_uuid())
    .bind::<BigInt, _>(id.0)
    .bind::<Integer, _>(position(number)?)
    .bind::<Text, _>(content)
    .get_result::<i32>(connection)
    .optional()?
    .map(drop)
    .ok_or(StorageError::no_export())
}

/// Marks an export as complete, so that it can be read.
///
/// # Errors
/// `NotFound` if the export was deleted for a newer one.
pub fn finish_export(
    connection: &mut PgConnection,
    user: UserId,
    id: ExportId,
    parts: u32,
) -> Result<Export, StorageError> {
    Statement::<ExportSql>::new(
        "UPDATE exports SET parts = $3
          WHERE user_id = $1 AND id = $2 AND parts IS NULL AND expires_at > now()
         RETURNING id, media_type, parts, expires_at",
    )
    .bind::<Uuid, _>(user.as_uuid())
    .bind::<BigInt, _>(id.0)
    .bind::<Integer, _>(position(parts)?)
    .get_result::<ExportRow>(connection)
    .optional()?
    .ok_or(StorageError::no_export())?
    .try_into()
}

/// Finds a complete export that has not expired.
///
/// # Errors
/// `NotFound` if the user has no such export.
pub fn get_export(
    connection: &mut PgConnection,
    user: UserId,
    id: ExportId,
) -> Result<Export, StorageError> {
    Statement::<ExportSql>::new(
        "SELECT id, media_type, parts, expires_at FROM exports
          WHERE user_id = $1 AND id = $2 AND parts IS NOT NULL AND expires_at > now()",
    )
    .bind::<Uuid, _>(user.as_uuid())
    .bind::<BigInt, _>(id.0)
    .get_result::<ExportRow>(connection)
    .optional()?
    .ok_or(StorageError::no_export())?
    .try_into()
}

/// Reads one part of a complete export. A document can be read to its end even if it expires in the
/// meantime.
///
/// # Errors
/// `NotFound` if the user has no such export, or the export no such part.
pub fn read_export_part(
    connection: &mut PgConnection,
    user: UserId,
    id: ExportId,
    number: u32,
) -> Result<String, StorageError> {
    Statement::<Text>::new(
        "SELECT content FROM export_parts WHERE user_id = $1 AND export_id = $2 AND number = $3",
    )
    .bind::<Uuid, _>(user.as_uuid())
    .bind::<BigInt, _>(id.0)
    .bind::<Integer, _>(position(number)?)
    .get_result(connection)
    .optional()?
    .ok_or(StorageError::no_export())
}

fn position(number: u32) -> Result<i32, StorageError> {
    i32::try_from(number)
        .map_err(|_| StorageError::corrupt("an export has more parts than can be counted"))
}

type ExportSql = (BigInt, Text, Integer, Timestamptz);

#[derive(Queryable)]
struct ExportRow {
    id: i64,
    media_type: String,
    parts: i32,
    expires_at: PgTimestamp,
}

impl TryFrom<ExportRow> for Export {
    type Error = StorageError;

    fn try_from(row: ExportRow) -> Result<Self, StorageError> {
        let format = ExportFormat::ALL
            .into_iter()
            .find(|format| format.media_type() == row.media_type)
            .ok_or_else(|| StorageError::corrupt("an export has an unknown media type"))?;
        Ok(Self {
            id: ExportId(row.id),
            format,
            parts: u32::try_from(row.parts)
                .map_err(|_| StorageError::corrupt("a count is negative"))?,
            expires_at: time::to_instant(row.expires_at)?,
        })
    }
}
