//! Suggestions for a text that is being typed: the newest entries or tags that match.
//!
//! Searching every title would cost more the longer the journal is, at every key press, so only the newest
//! are searched, and the one whose id is the whole text.

use diesel::{
    PgConnection, RunQueryDsl,
    sql_types::{BigInt, Text, Uuid},
};

use full_text::{Query, caseless};

use crate::domain::journal::{EntryId, MOST_SUGGESTIONS, Suggestions, TagId};
use resource_server::principal::UserId;

use super::{error::StorageError, statement::Statement};

/// How many of the newest are looked through.
const LOOKED_THROUGH: usize = 1_000;

/// Longer than any title or id: nothing fits.
const LONGEST_TYPED: usize = 200;

/// The newest of the user's entries whose id begins with what was typed, or whose title contains it or is found by it as
/// by a search.
///
/// # Errors
/// Those of the database.
pub fn suggest_entries(
    connection: &mut PgConnection,
    user: UserId,
    typed: &str,
) -> Result<Suggestions<EntryId>, StorageError> {
    let newest = newest(
        connection,
        "SELECT id, title FROM (
           (SELECT id, title, created_at FROM entries WHERE user_id = $1
             ORDER BY created_at DESC, id DESC LIMIT $2)
           UNION
           SELECT id, title, created_at FROM entries WHERE user_id = $1 AND id = $3) AS newest
         ORDER BY created_at DESC, id DESC",
        user,
        typed,
    )?;
    Ok(fitting(newest, typed, EntryId))
}

/// The newest of the user's tags whose id begins with what was typed, or whose name contains it or is found by it as by
/// a search.
///
/// # Errors
/// Those of the database.
pub fn suggest_tags(
    connection: &mut PgConnection,
    user: UserId,
    typed: &str,
) -> Result<Suggestions<TagId>, StorageError> {
    let newest = newest(
        connection,
        "SELECT id, name FROM (
           (SELECT id, name FROM tags WHERE user_id = $1 ORDER BY id DESC LIMIT $2)
           UNION
           SELECT id, name FROM tags WHERE user_id = $1 AND id = $3) AS newest
         ORDER BY id DESC",
        user,
        typed,
    )?;
    Ok(fitting(newest, typed, TagId))
}

fn newest(
    connection: &mut PgConnection,
    sql: &'static str,
    user: UserId,
    typed: &str,
) -> Result<Vec<(i64, String)>, StorageError> {
    // No id is below one.
    let whole_id: i64 = typed.parse().unwrap_or(0);
    let one_more = i64::try_from(LOOKED_THROUGH + 1).unwrap_or(i64::MAX);
    Ok(Statement::<(BigInt, Text)>::new(sql)
        .bind::<Uuid, _>(user.as_uuid())
        .bind::<BigInt, _>(one_more)
        .bind::<BigInt, _>(whole_id)
        .load(connection)?)
}

/// Filtered here, for PostgreSQL compares without regard to case by the locale that the database
/// happens to have.
fn fitting<Id>(newest: Vec<(i64, String)>, typed: &str, to_id: fn(i64) -> Id) -> Suggestions<Id> {
    let all_seen = newest.len() <= LOOKED_THROUGH;
    let too_long = typed.chars().nth(LONGEST_TYPED).is_some();
    let folded = caseless(if too_long { "" } else { typed });
    let query = Query::read(if too_long { "" } else { typed }).ok();
    let is_named = |name: &str| {
        caseless(name).contains(&folded)
            || query.as_ref().is_some_and(|query| query.matches(&[name]))
    };
    let (mut ids, others): (Vec<i64>, Vec<i64>) = newest
        .into_iter()
        .filter(|(id, name)| !too_long && (id.to_string().starts_with(typed) || is_named(name)))
        .map(|(id, _)| id)
        .partition(|id| id.to_string() == typed);
    ids.extend(others);
    let total = (all_seen || too_long).then_some(ids.len());
    ids.truncate(MOST_SUGGESTIONS);
    Suggestions {
        ids: ids.into_iter().map(to_id).collect(),
        total,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(names: &[(i64, &str)], typed: &str) -> (Vec<i64>, Option<usize>) {
        let newest = names.iter().map(|(id, name)| (*id, (*name).to_owned()));
        let found = fitting(newest.collect(), typed, TagId);
        (found.ids.into_iter().map(|id| id.0).collect(), found.total)
    }

    #[test]
    fn ids_fit_by_their_beginning_and_names_by_any_part() {
        let names = [(121, "Ärger"), (12, "work"), (9, "2012"), (3, "walk")];
        assert_eq!(ids(&names, "12"), (vec![12, 121, 9], Some(3)));
        assert_eq!(ids(&names, "ÄR"), (vec![121], Some(1)));
        assert_eq!(ids(&names, "K"), (vec![12, 3], Some(2)));
        assert_eq!(ids(&names, ""), (vec![121, 12, 9, 3], Some(4)));
        assert_eq!(ids(&names, "%"), (vec![], Some(0)));
        let titles = [(2, "Rainy walks in Berlin"), (1, "今日は東京に行きました")];
        assert_eq!(ids(&titles, "walk berl"), (vec![2], Some(1)));
        assert_eq!(ids(&titles, "東京 今日"), (vec![1], Some(1)));
        assert_eq!(ids(&names, &"w".repeat(201)), (vec![], Some(0)));
    }

    #[test]
    fn a_total_is_told_only_if_it_is_known() {
        let many = |count: i64| Vec::from_iter((1..=count).rev().map(|id| (id, "x")));
        assert_eq!(ids(&many(101), "x").1, Some(101));
        assert_eq!(ids(&many(101), "x").0.len(), 100);
        assert_eq!(ids(&many(1_000), "x").1, Some(1_000));
        assert_eq!(ids(&many(1_001), "x").1, None);
    }
}
