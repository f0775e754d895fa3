//! Activity counts per hour, and per day after a week.

use std::cmp::Reverse;

use diesel::{
    PgConnection, Queryable, RunQueryDsl,
    data_types::PgTimestamp,
    sql_types::{Array, BigInt, Bool, Text, Timestamptz, Uuid},
};

use crate::domain::{
    activity::{Activity, ActivityKey, ConnectedClient, MOST_CLIENTS, Tally},
    page::{Page, PageRequest, TimeCursor},
};
use mcp_server::features::call_record::{FeatureKind, Outcome};
use resource_server::principal::UserId;

use super::{error::StorageError, statement::Statement, time};

/// Adds counts in one statement, all or none. Each key contains its user.
///
/// # Errors
/// Those of the database.
pub fn add_activity(
    connection: &mut PgConnection,
    counts: &[(ActivityKey, Tally)],
) -> Result<(), StorageError> {
    let of = |read: fn(&(ActivityKey, Tally)) -> &str| counts.iter().map(read).collect::<Vec<_>>();
    let at = |read: fn(&(ActivityKey, Tally)) -> PgTimestamp| {
        counts.iter().map(read).collect::<Vec<_>>()
    };
    // Sorted, so that two processes that update the same rows cannot deadlock.
    Statement::<BigInt>::new(
        "WITH added AS (
           INSERT INTO activity (user_id, client, kind, feature, outcome, hour, writes, count, first_at, last_at)
           SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            ORDER BY 1, 2, 3, 4, 5, 6
           ON CONFLICT ON CONSTRAINT activity_key DO UPDATE
              SET count = activity.count + excluded.count,
                  first_at = least(activity.first_at, excluded.first_at),
                  last_at = greatest(activity.last_at, excluded.last_at)
           RETURNING id)
         SELECT count(*) FROM added",
    )
    .bind::<Array<Uuid>, _>(Vec::from_iter(
        counts.iter().map(|(key, _)| key.user.as_uuid()),
    ))
    .bind::<Array<Text>, _>(of(|(key, _)| key.client.as_deref().unwrap_or_default()))
    .bind::<Array<Text>, _>(of(|(key, _)| key.feature.kind.as_str()))
    .bind::<Array<Text>, _>(of(|(key, _)| &key.feature.name))
    .bind::<Array<Text>, _>(of(|(key, _)| key.outcome.as_str()))
    .bind::<Array<Timestamptz>, _>(at(|(key, _)| time::from_instant(key.hour)))
    .bind::<Array<Bool>, _>(Vec::from_iter(
        counts.iter().map(|(key, _)| key.feature.writes),
    ))
    .bind::<Array<BigInt>, _>(Vec::from_iter(counts.iter().map(|(_, tally)| tally.count)))
    .bind::<Array<Timestamptz>, _>(at(|(_, tally)| time::from_instant(tally.first_at)))
    .bind::<Array<Timestamptz>, _>(at(|(_, tally)| time::from_instant(tally.last_at)))
    .get_result::<i64>(connection)?;
    Ok(())
}

/// A page of the activity in the user's journal, newest first, of one client if one is given.
///
/// # Errors
/// Those of the database.
pub fn list_activity(
    connection: &mut PgConnection,
    user: UserId,
    client: Option<&str>,
    page: &PageRequest<TimeCursor>,
) -> Result<Page<Activity, TimeCursor>, StorageError> {
    let (before, id) = page.after.map_or((time::INFINITE_FUTURE, i64::MAX), |c| {
        (time::from_micros(c.micros), c.id)
    });
    let limit = usize::from(page.limit.get());
    let statement = Statement::<ActivitySql>::new(if client.is_some() {
        select_activity!("AND client = $5")
    } else {
        select_activity!("")
    })
    .bind::<Uuid, _>(user.as_uuid())
    .bind::<Timestamptz, _>(before)
    .bind::<BigInt, _>(id)
    // One more than the page holds, to know whether another page follows.
    .bind::<BigInt, _>(i64::from(page.limit.get()) + 1);
    let mut rows: Vec<ActivityRow> = match client {
        Some(client) => statement.bind::<Text, _>(client).load(connection)?,
        None => statement.load(connection)?,
    };
    let more = rows.len() > limit;
    rows.truncate(limit);
    let mut items = rows
        .into_iter()
        .map(Activity::try_from)
        .collect::<Result<Vec<_>, _>>()?;
    let next = items
        .last()
        .filter(|_| more)
        .map(|last| time::cursor(last.hour, last.id));
    // Within an hour the rows come in the order in which they were made, which no call changes, so that nothing
    // moves from one page to another.
    items.sort_by_key(|line| Reverse(line.tally.last_at));
    Ok(Page { items, next })
}

/// The clients that used the user's journal, with their counts; at most the [`MOST_CLIENTS`] that used it last.
///
/// # Errors
/// Those of the database.
pub fn list_clients(
    connection: &mut PgConnection,
    user: UserId,
) -> Result<Vec<ConnectedClient>, StorageError> {
    Statement::<ClientSql>::new(
        "SELECT client, min(first_at), max(last_at), sum(count)::bigint,
                coalesce(sum(count) FILTER (WHERE writes AND outcome = 'done'), 0)::bigint,
                coalesce(sum(count) FILTER (WHERE outcome = 'refused'), 0)::bigint
           FROM activity WHERE user_id = $1
          GROUP BY client ORDER BY max(last_at) DESC, client LIMIT $2",
    )
    .bind::<Uuid, _>(user.as_uuid())
    .bind::<BigInt, _>(i64::from(MOST_CLIENTS))
    .load::<ClientRow>(connection)?
    .into_iter()
    .map(ConnectedClient::try_from)
    .collect()
}

/// `$1` the user, `$2, $3` the cursor, `$4` how many rows.
macro_rules! select_activity {
    ($condition:literal) => {
        concat!(
            "SELECT id, client, kind, feature, outcome, hour, count, first_at, last_at FROM activity
              WHERE user_id = $1 AND (hour, id) < ($2, $3) ",
            $condition,
            " ORDER BY hour DESC, id DESC LIMIT $4"
        )
    };
}
use select_activity;

type ActivitySql = (
    BigInt,
    Text,
    Text,
    Text,
    Text,
    Timestamptz,
    BigInt,
    Timestamptz,
    Timestamptz,
);
type ClientSql = (Text, Timestamptz, Timestamptz, BigInt, BigInt, BigInt);

#[derive(Queryable)]
struct ActivityRow {
    id: i64,
    client: String,
    kind: String,
    feature: String,
    outcome: String,
    hour: PgTimestamp,
    count: i64,
    first_at: PgTimestamp,
    last_at: PgTimestamp,
}

#[derive(Queryable)]
struct ClientRow {
    client: String,
    first_at: PgTimestamp,
    last_at: PgTimestamp,
    calls: i64,
    writes: i64,
    refusals: i64,
}

impl TryFrom<ActivityRow> for Activity {
    type Error = StorageError;

    fn try_from(row: ActivityRow) -> Result<Self, StorageError> {
        let kind = FeatureKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == row.kind);
        let outcome = Outcome::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == row.outcome);
        Ok(Self {
            id: row.id,
            client: named(row.client),
            kind: kind.ok_or_else(|| StorageError::corrupt("activity of an unknown kind"))?,
            feature: row.feature,
            outcome: outcome
                .ok_or_else(|| StorageError::corrupt("activity with an unknown outcome"))?,
            hour: time::to_instant(row.hour)?,
            tally: tally(row.count, row.first_at, row.last_at)?,
        })
    }
}

impl TryFrom<ClientRow> for ConnectedClient {
    type Error = StorageError;

    fn try_from(row: ClientRow) -> Result<Self, StorageError> {
        Ok(Self {
            client: named(row.client),
            calls: tally(row.calls, row.first_at, row.last_at)?,
            writes: row.writes,
            refusals: row.refusals,
        })
    }
}

fn named(client: String) -> Option<String> {
    Some(client).filter(|client| !client.is_empty())
}

fn tally(count: i64, first_at: PgTimestamp, last_at: PgTimestamp) -> Result<Tally, StorageError> {
    Ok(Tally {
        count,
        first_at: time::to_instant(first_at)?,
        last_at: time::to_instant(last_at)?,
    })
}
