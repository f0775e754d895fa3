//! Statements that change one entry.

use diesel::{
    OptionalExtension, PgConnection, RunQueryDsl,
    data_types::PgTimestamp,
    sql_types::{BigInt, Bool, Nullable, Text, Timestamptz, Uuid},
};

use crate::domain::journal::{Entry, EntryChanges, EntryId};
use resource_server::principal::UserId;

use super::{
    entries::{EntryRow, EntrySql, entry_columns, get_entry},
    error::StorageError,
    quota::{self, ATTEMPTS, CHANGED_MEANWHILE, NoRoom, most_bytes},
    schema::sql_types::Tsvector,
    statement::Statement,
    words::{Words, form},
};

/// Changes an entry and returns it as it is now, and whether anything of it is different. What would change nothing
/// writes nothing, and leaves the time of the last change.
///
/// # Errors
/// `NotFound` if the user has no such entry.
pub fn update_entry(
    connection: &mut PgConnection,
    user: UserId,
    id: EntryId,
    changes: &EntryChanges,
) -> Result<(Entry, bool), StorageError> {
    for _ in 0..ATTEMPTS {
        if let Some(updated) = try_update(connection, user, id, changes)? {
            return Ok((updated.try_into()?, true));
        }
        let (bytes, differs) = difference(connection, user, id, changes)?;
        if !differs {
            return Ok((get_entry(connection, user, id)?, false));
        }
        if let NoRoom::Full(error) = quota::no_room_to_grow(connection, user, bytes)? {
            return Err(error);
        }
    }
    Err(StorageError::unavailable(CHANGED_MEANWHILE))
}

/// `None` if there is no such entry, no room for it, nothing to change, or if its text was changed by another meanwhile.
fn try_update(
    connection: &mut PgConnection,
    user: UserId,
    id: EntryId,
    changes: &EntryChanges,
) -> Result<Option<EntryRow>, StorageError> {
    if changes.title.is_none() && changes.content.is_none() {
        let statement = Statement::<EntrySql>::new(concat!(
            "WITH ",
            room_to_grow!("true"),
            " UPDATE entries e SET",
            label_changes!(),
            " AND ",
            label_differs!(),
            " RETURNING ",
            entry_columns!()
        ));
        return Ok(bind_changes!(statement, user, id, changes)
            .get_result::<EntryRow>(connection)
            .optional()?);
    }
    let Some(text) = new_text(connection, user, id, changes)? else {
        return Ok(None);
    };
    let statement = Statement::<EntrySql>::new(concat!(
        "WITH ",
        room_to_grow!("($13::timestamptz IS NULL OR e.updated_at = $13)"),
        " UPDATE entries e SET title = coalesce($11, title), content = coalesce($12, content), search = $14,
              search_form = CASE WHEN e.search_form = ",
        form!(),
        " THEN -",
        form!(),
        " ELSE ",
        form!(),
        " END,",
        label_changes!(),
        " AND (",
        text_differs!(),
        " OR ",
        label_differs!(),
        ") RETURNING ",
        entry_columns!()
    ));
    Ok(bind_changes!(statement, user, id, changes)
        .bind::<Nullable<Timestamptz>, _>(text.read_at)
        .bind::<Tsvector, _>(&text.words)
        .get_result::<EntryRow>(connection)
        .optional()?)
}

/// What an entry's text will be.
struct NewText {
    words: Words,
    /// When the entry was last changed before a part of it was read that stays; `None` if nothing stays.
    read_at: Option<PgTimestamp>,
}

/// The text of an entry after a change. `None` if there is no such entry.
fn new_text(
    connection: &mut PgConnection,
    user: UserId,
    id: EntryId,
    changes: &EntryChanges,
) -> Result<Option<NewText>, StorageError> {
    if let (Some(title), Some(content)) = (&changes.title, &changes.content) {
        return Ok(Some(NewText {
            words: Words::of(title, content),
            read_at: None,
        }));
    }
    // Of the two, the one that stays.
    let sql = if changes.title.is_none() {
        "SELECT updated_at, title FROM entries WHERE user_id = $1 AND id = $2"
    } else {
        "SELECT updated_at, content FROM entries WHERE user_id = $1 AND id = $2"
    };
    let stays: Option<(PgTimestamp, String)> = Statement::<(Timestamptz, Text)>::new(sql)
        .bind::<Uuid, _>(user.as_uuid())
        .bind::<BigInt, _>(id.0)
        .get_result(connection)
        .optional()?;
    Ok(stays.map(|(read_at, stays)| NewText {
        words: Words::of(
            changes.title.as_ref().unwrap_or(&stays),
            changes.content.as_ref().unwrap_or(&stays),
        ),
        read_at: Some(read_at),
    }))
}

/// By how many bytes the changes make the entry longer, and whether they change anything.
///
/// # Errors
/// `NotFound` if the user has no such entry.
fn difference(
    connection: &mut PgConnection,
    user: UserId,
    id: EntryId,
    changes: &EntryChanges,
) -> Result<(i64, bool), StorageError> {
    let statement = Statement::<(BigInt, Bool)>::new(concat!(
        "SELECT ",
        bytes_gained!(),
        ", ",
        text_differs!(),
        " OR ",
        label_differs!(),
        " FROM entries e WHERE e.user_id = $1 AND e.id = $2"
    ));
    bind_changes!(statement, user, id, changes)
        .get_result(connection)
        .optional()?
        .ok_or(StorageError::no_entry(id))
}

/// Whether `$11` or `$12` is another title or text than that of the entry `e`.
macro_rules! text_differs {
    () => {
        "(coalesce($11 <> e.title, false) OR coalesce($12 <> e.content, false))"
    };
}
use text_differs;

/// Whether `$3` to `$10` change anything of the entry `e`.
macro_rules! label_differs {
    () => {
        "($3 AND $4 IS DISTINCT FROM e.mood OR $5 AND $6 IS DISTINCT FROM e.location
          OR $7 AND $8 IS DISTINCT FROM e.weather
          OR coalesce($9 <> e.is_private, false) OR coalesce($10 <> e.is_favorite, false))"
    };
}
use label_differs;

/// By how many bytes the changes `$3` to `$12` make the entry `e` longer.
macro_rules! bytes_gained {
    () => {
        "(coalesce(octet_length($11) - octet_length(e.title), 0)
          + coalesce(octet_length($12) - octet_length(e.content), 0)
          + CASE WHEN $3 THEN coalesce(octet_length($4), 0) - coalesce(octet_length(e.mood), 0) ELSE 0 END
          + CASE WHEN $5 THEN coalesce(octet_length($6), 0) - coalesce(octet_length(e.location), 0) ELSE 0 END
          + CASE WHEN $7 THEN coalesce(octet_length($8), 0) - coalesce(octet_length(e.weather), 0) ELSE 0 END
         )::bigint"
    };
}
use bytes_gained;

/// Locks the entry if a condition is true of it, so that nobody else changes its length, then takes the room by which
/// it grows, or gives back that by which it shrinks. Whoever writes an entry locks it before the counts.
macro_rules! room_to_grow {
    ($condition:literal) => {
        concat!(
            "old AS MATERIALIZED (
               SELECT ",
            bytes_gained!(),
            " AS growth FROM entries e
                WHERE e.user_id = $1 AND e.id = $2 AND ",
            $condition,
            " FOR NO KEY UPDATE),
             room AS (
               UPDATE usage SET bytes = greatest(bytes + old.growth, 0) FROM old
                WHERE user_id = $1 AND (old.growth < 0 OR old.growth > 0 AND usage.bytes <= ",
            most_bytes!(),
            " - old.growth) RETURNING user_id)"
        )
    };
}
use room_to_grow;

/// `$1` to `$12` of a change.
macro_rules! bind_changes {
    ($statement:expr, $user:expr, $id:expr, $changes:expr) => {
        $statement
            .bind::<Uuid, _>($user.as_uuid())
            .bind::<BigInt, _>($id.0)
            .bind::<Bool, _>($changes.mood.is_some())
            .bind::<Nullable<Text>, _>($changes.mood.as_ref().and_then(Option::as_ref))
            .bind::<Bool, _>($changes.location.is_some())
            .bind::<Nullable<Text>, _>($changes.location.as_ref().and_then(Option::as_ref))
            .bind::<Bool, _>($changes.weather.is_some())
            .bind::<Nullable<Text>, _>($changes.weather.as_ref().and_then(Option::as_ref))
            .bind::<Nullable<Bool>, _>($changes.is_private)
            .bind::<Nullable<Bool>, _>($changes.is_favorite)
            .bind::<Nullable<Text>, _>($changes.title.as_ref())
            .bind::<Nullable<Text>, _>($changes.content.as_ref())
    };
}
use bind_changes;

/// The labels of an `UPDATE`, and its conditions. The time of the change always increases, even if the clock does not.
macro_rules! label_changes {
    () => {
        " mood = CASE WHEN $3 THEN $4 ELSE mood END,
              location = CASE WHEN $5 THEN $6 ELSE location END,
              weather = CASE WHEN $7 THEN $8 ELSE weather END,
              is_private = coalesce($9, is_private),
              is_favorite = coalesce($10, is_favorite),
              updated_at = greatest(now(), updated_at + interval '1 microsecond')
              WHERE e.user_id = $1 AND e.id = $2
                AND (EXISTS (SELECT FROM room) OR EXISTS (SELECT FROM old WHERE growth = 0))"
    };
}
use label_changes;
