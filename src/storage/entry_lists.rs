//! Lists of entries, newest first, with keyset pagination: every page costs the same.

use diesel::{
    PgConnection, QueryResult, Queryable, RunQueryDsl,
    connection::DefaultLoadingMode,
    data_types::PgTimestamp,
    sql_types::{Array, BigInt, Bool, Integer, Text, Timestamptz, Uuid},
};

use crate::domain::{
    journal::{EntryFilter, EntryId, EntryListItem, TagId},
    page::{Page, PageRequest, TimeCursor},
};
use resource_server::{clock::Timestamp, principal::UserId};

use super::{
    error::StorageError,
    one_plan::{Plan, with_plan},
    statement::Statement,
    time,
};

/// A page of the user's entries, newest first.
///
/// # Errors
/// Those of the database.
pub fn list_entries(
    connection: &mut PgConnection,
    user: UserId,
    filter: &EntryFilter,
    page: &PageRequest<TimeCursor>,
) -> Result<Page<EntryListItem, TimeCursor>, StorageError> {
    let window = Window::new(filter, page);
    let is_whole = filter.tags.is_empty() && filter.from.is_none() && filter.is_favorite.is_none();
    let rows = if is_whole {
        let statement = Statement::<ItemSql, _>::often(|| list_all!(""));
        bind_window!(statement, user, window)
            .load_iter::<ItemRow, DefaultLoadingMode>(connection)?
    } else if filter.tags.is_empty() {
        // Without a first date its condition is left out, because the planner, which does not know the
        // date, would assume that it excludes most entries.
        let statement = Statement::<ItemSql>::new(match (filter.from, filter.is_favorite) {
            (None, None) => list_all!(""),
            (None, Some(true)) => list_all!("AND is_favorite"),
            (None, Some(false)) => list_all!("AND NOT is_favorite"),
            (Some(_), None) => list_all!("AND created_at >= $4"),
            (Some(_), Some(true)) => list_all!("AND created_at >= $4 AND is_favorite"),
            (Some(_), Some(false)) => list_all!("AND created_at >= $4 AND NOT is_favorite"),
        });
        bind_window!(statement, user, window)
            .load_iter::<ItemRow, DefaultLoadingMode>(connection)?
    } else {
        return list_with_tags(connection, user, filter, &window, page);
    };
    paged(rows, page)
}

fn list_with_tags(
    connection: &mut PgConnection,
    user: UserId,
    filter: &EntryFilter,
    window: &Window,
    page: &PageRequest<TimeCursor>,
) -> Result<Page<EntryListItem, TimeCursor>, StorageError> {
    let tags: Vec<i64> = filter.tags.iter().map(|tag| tag.0).collect();
    let sql = match filter.is_favorite {
        None => {
            let statement = Statement::<ItemSql>::new(concat!(
                "SELECT e.id, e.title, e.is_favorite, e.created_at, e.tag_count FROM (",
                of_tags!("", ""),
                ") page JOIN entries e ON e.user_id = $1 AND e.id = page.entry_id
                  ORDER BY e.created_at DESC, e.id DESC"
            ));
            let rows = bind_window!(statement, user, window)
                .bind::<Array<BigInt>, _>(tags)
                .load_iter::<ItemRow, DefaultLoadingMode>(connection)?;
            return paged(rows, page);
        }
        Some(true) => of_tags!(join_favorites!(), ""),
        Some(false) => of_tags!("", is_no_favorite!()),
    };
    // A tag that many entries have and favourites that none of them is are two long lists, of which each is read
    // once. Other plans read one of them again and again, or look at each entry.
    let found: Vec<(PgTimestamp, i64)> = with_plan(connection, Plan::ByMerge, |connection| {
        Ok(
            bind_window!(Statement::<(Timestamptz, BigInt)>::new(sql), user, window)
                .bind::<Array<BigInt>, _>(tags)
                .load(connection)?,
        )
    })?;
    let ids: Vec<i64> = found.into_iter().map(|(_, id)| id).collect();
    let rows = Statement::<ItemSql>::new(
        "SELECT id, title, is_favorite, created_at, tag_count FROM entries
          WHERE user_id = $1 AND id = ANY($2) ORDER BY created_at DESC, id DESC",
    )
    .bind::<Uuid, _>(user.as_uuid())
    .bind::<Array<BigInt>, _>(ids)
    .load_iter::<ItemRow, DefaultLoadingMode>(connection)?;
    paged(rows, page)
}

/// The number of the user's entries that were written in a period and have one of these tags (or any, if
/// `tags` is empty), counted up to `most`.
///
/// # Errors
/// Those of the database.
pub fn count_entries(
    connection: &mut PgConnection,
    user: UserId,
    tags: &[TagId],
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    most: usize,
) -> Result<usize, StorageError> {
    let statement = Statement::<BigInt>::fit_to_binds(if tags.is_empty() {
        "SELECT count(*) FROM (
           SELECT FROM entries
            WHERE user_id = $1 AND created_at >= $2 AND created_at < $3 LIMIT $4) AS counted"
    } else {
        "SELECT count(*) FROM (
           SELECT DISTINCT entry_id FROM entry_tags
            WHERE user_id = $1 AND entry_created_at >= $2 AND entry_created_at < $3
              AND tag_id = ANY($5) LIMIT $4) AS counted"
    })
    .bind::<Uuid, _>(user.as_uuid())
    .bind::<Timestamptz, _>(from.map_or(time::INFINITE_PAST, time::from_instant))
    .bind::<Timestamptz, _>(to.map_or(time::INFINITE_FUTURE, time::from_instant))
    .bind::<BigInt, _>(i64::try_from(most).unwrap_or(i64::MAX));
    let count: i64 = if tags.is_empty() {
        statement.get_result(connection)?
    } else {
        let tags: Vec<i64> = tags.iter().map(|tag| tag.0).collect();
        statement
            .bind::<Array<BigInt>, _>(tags)
            .get_result(connection)?
    };
    usize::try_from(count).map_err(|_| StorageError::corrupt("a count is negative"))
}

/// `$1` to `$5` of the lists.
macro_rules! bind_window {
    ($statement:expr, $user:expr, $window:expr) => {
        $statement
            .bind::<Uuid, _>($user.as_uuid())
            .bind::<Timestamptz, _>($window.before.0)
            .bind::<BigInt, _>($window.before.1)
            .bind::<Timestamptz, _>($window.from)
            .bind::<BigInt, _>($window.rows)
    };
}
use bind_window;

/// `$1` the user, `$2, $3` the cursor, `$4` the first date, `$5` how many rows.
///
/// The inner limit is the longest page plus one. It tells the planner, which makes one plan for every
/// `$5`, that few rows are needed; without it PostgreSQL plans every call.
macro_rules! list_all {
    ($condition:literal) => {
        concat!(
            "SELECT e.id, e.title, e.is_favorite, e.created_at, e.tag_count
               FROM (SELECT id, title, is_favorite, created_at, tag_count
                       FROM entries
                      WHERE user_id = $1 AND (created_at, id) < ($2, $3) ",
            $condition,
            " ORDER BY created_at DESC, id DESC LIMIT 201) e
              ORDER BY e.created_at DESC, e.id DESC LIMIT $5"
        )
    };
}
use list_all;

/// `$1` to `$5` as of `list_all`, and `$6` the tags: merges the beginnings of the tags' lists.
macro_rules! of_tags {
    ($join:expr, $condition:expr) => {
        concat!(
            "SELECT DISTINCT head.entry_created_at, head.entry_id
               FROM unnest($6) AS wanted (tag_id)
              CROSS JOIN LATERAL (
                    SELECT l.entry_created_at, l.entry_id FROM entry_tags l ",
            $join,
            "        WHERE l.user_id = $1 AND l.tag_id = wanted.tag_id
                       AND (l.entry_created_at, l.entry_id) < ($2, $3)
                       AND l.entry_created_at >= $4 ",
            $condition,
            "        ORDER BY l.entry_created_at DESC, l.entry_id DESC
                     LIMIT $5) head
              ORDER BY head.entry_created_at DESC, head.entry_id DESC
              LIMIT $5"
        )
    };
}
use of_tags;

/// The favourites `f` of the same time as the links `l`, in their own index.
macro_rules! favorites_of_the_window {
    () => {
        "f.user_id = $1 AND f.created_at = l.entry_created_at AND f.id = l.entry_id AND f.is_favorite
         AND (f.created_at, f.id) < ($2, $3) AND f.created_at >= $4"
    };
}
use favorites_of_the_window;

macro_rules! join_favorites {
    () => {
        concat!("JOIN entries f ON ", favorites_of_the_window!())
    };
}
use join_favorites;

macro_rules! is_no_favorite {
    () => {
        concat!(
            "AND NOT EXISTS (SELECT FROM entries f WHERE ",
            favorites_of_the_window!(),
            ")"
        )
    };
}
use is_no_favorite;

pub(super) type ItemSql = (BigInt, Text, Bool, Timestamptz, Integer);

#[derive(Queryable)]
pub(super) struct ItemRow {
    id: i64,
    title: String,
    is_favorite: bool,
    created_at: PgTimestamp,
    tag_count: i32,
}

impl TryFrom<ItemRow> for EntryListItem {
    type Error = StorageError;

    fn try_from(row: ItemRow) -> Result<Self, StorageError> {
        Ok(Self {
            id: EntryId(row.id),
            title: row.title,
            tag_count: row.tag_count,
            is_favorite: row.is_favorite,
            created_at: time::to_instant(row.created_at)?,
        })
    }
}

/// The part of the list that a page is taken from.
#[derive(Clone, Copy)]
pub(super) struct Window {
    /// Rows come before this position. It is the cursor, or the end of the range of dates if that
    /// is earlier; no id is below the least, so with it the instant itself is outside.
    pub(super) before: (PgTimestamp, i64),
    pub(super) from: PgTimestamp,
    /// One more than the page holds, to know whether another page follows.
    pub(super) rows: i64,
}

impl Window {
    /// Of the whole list, behind a position.
    pub(super) fn after(cursor: Option<TimeCursor>, rows: i64) -> Self {
        let before = cursor.map_or((time::INFINITE_FUTURE, i64::MAX), |cursor| {
            (time::from_micros(cursor.micros), cursor.id)
        });
        Self {
            before,
            from: time::INFINITE_PAST,
            rows,
        }
    }

    /// The same list, behind a position.
    pub(super) fn behind(self, cursor: TimeCursor) -> Self {
        Self {
            before: (time::from_micros(cursor.micros), cursor.id),
            ..self
        }
    }

    fn new(filter: &EntryFilter, page: &PageRequest<TimeCursor>) -> Self {
        let cursor = page.after.map_or((time::INFINITE_FUTURE, i64::MAX), |c| {
            (time::from_micros(c.micros), c.id)
        });
        let to = filter.to.map_or((time::INFINITE_FUTURE, i64::MAX), |to| {
            (time::from_instant(to), i64::MIN)
        });
        Self {
            before: if (to.0.0, to.1) < (cursor.0.0, cursor.1) {
                to
            } else {
                cursor
            },
            from: filter.from.map_or(time::INFINITE_PAST, time::from_instant),
            rows: i64::from(page.limit.get()) + 1,
        }
    }
}

/// Reads each row directly into the page, because there are many.
fn paged(
    rows: impl Iterator<Item = QueryResult<ItemRow>>,
    page: &PageRequest<TimeCursor>,
) -> Result<Page<EntryListItem, TimeCursor>, StorageError> {
    let limit = usize::from(page.limit.get());
    let mut items: Vec<EntryListItem> = Vec::with_capacity(rows.size_hint().0.min(limit));
    let mut more = false;
    for row in rows {
        more = items.len() == limit;
        if more {
            break;
        }
        items.push(row?.try_into()?);
    }
    let next = items
        .last()
        .filter(|_| more)
        .map(|last| time::cursor(last.created_at, last.id.0));
    Ok(Page { items, next })
}
