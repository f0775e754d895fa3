//! Keys of tags that another rule has made, and tags that are one by the rule of today.
//!
//! `folded_name` keeps a user's tags apart. `name_version` says by which rule it was made: the release before writes 0,
//! this one `VERSION`. What has another is brought up to date here, a user at a time; where two tags turn out to be
//! one, the older stays, and the other's entries become its own, part by part.

use std::collections::HashMap;

use diesel::{
    Connection, PgConnection, Queryable, RunQueryDsl,
    sql_types::{Array, BigInt, Bool, SmallInt, Text, Uuid},
};

use crate::domain::{
    journal::{MergedTags, TagId},
    names::TagLabel,
};
use resource_server::principal::UserId;

use super::{
    error::StorageError,
    one_plan::{Plan, with_plan},
    statement::Statement,
};

/// The rule of [`TagLabel::read`].
pub(super) const VERSION: i16 = 1;

/// The most links that one transaction moves.
const LINKS: i64 = 500;

/// Brings the keys of a user's tags up to date, and brings together two that are one, or a part of what they have.
/// Returns what is left to do and what was done.
///
/// # Errors
/// Those of the database.
pub fn merge_tags(connection: &mut PgConnection, user: UserId) -> Result<MergedTags, StorageError> {
    // PostgreSQL itself looks for links of a tag that is deleted, as in `delete_tag`.
    with_plan(connection, Plan::ByIndex, |connection| {
        lock(connection, user)?;
        let twins = renew(connection, user)?;
        let Some(&(stays, goes)) = twins.first() else {
            return Ok(MergedTags::default());
        };
        let links = move_links(connection, user, stays, goes)?;
        let merged = links < LINKS;
        if merged {
            delete(connection, user, stays, goes)?;
        }
        Ok(MergedTags {
            links,
            merged: merged.then_some((TagId(stays), TagId(goes))),
            more: !merged || twins.len() > 1,
        })
    })
}

/// Brings the keys of a user's tags up to date, so that a name can be compared with all of them. For a transaction that
/// has locked the user.
pub(super) fn renew_keys(connection: &mut PgConnection, user: UserId) -> Result<(), StorageError> {
    let is_needed: bool = Statement::<Bool>::new(
        "SELECT EXISTS (SELECT FROM tags WHERE user_id = $1 AND name_version = 0)",
    )
    .bind::<Uuid, _>(user.as_uuid())
    .get_result(connection)?;
    if is_needed {
        renew(connection, user)?;
    }
    Ok(())
}

/// One at a time, as whoever makes a tag.
pub(super) fn lock(connection: &mut PgConnection, user: UserId) -> Result<(), StorageError> {
    Statement::<()>::new("SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE")
        .bind::<Uuid, _>(user.as_uuid())
        .execute(connection)?;
    Ok(())
}

/// A tag whose key another rule has made.
#[derive(Queryable)]
struct Named {
    id: i64,
    name: String,
    key: String,
}

type NamedSql = (BigInt, Text, Text);

/// A tag with a key that has to change, or that another is to have.
#[derive(Queryable)]
struct Holder {
    id: i64,
    key: String,
    version: i16,
    is_deleted: bool,
}

type HolderSql = (BigInt, Text, SmallInt, Bool);

/// Gives the tags with an older key the one of today, and returns pairs of tags that are one: the older, and a younger,
/// which keeps its version until it is gone.
fn renew(connection: &mut PgConnection, user: UserId) -> Result<Vec<(i64, i64)>, StorageError> {
    // A tag that is being deleted keeps what it has.
    let older: Vec<Named> = Statement::<NamedSql>::new(
        "SELECT id, name, folded_name FROM tags t
          WHERE t.user_id = $1 AND t.name_version = 0
            AND NOT EXISTS (SELECT FROM tag_deletions d WHERE d.user_id = t.user_id AND d.tag_id = t.id)
          ORDER BY id FOR NO KEY UPDATE OF t",
    )
    .bind::<Uuid, _>(user.as_uuid())
    .load(connection)?;
    if older.is_empty() {
        return Ok(Vec::new());
    }
    // A name of nothing that can be seen, which was allowed once, is compared as it is.
    let key_of =
        |tag: &Named| TagLabel::read(&tag.name).map_or_else(|| tag.name.clone(), |label| label.key);
    let keys: Vec<String> = older.iter().map(key_of).collect();
    let holders: Vec<Holder> = Statement::<HolderSql>::new(
        "SELECT id, folded_name, name_version,
                EXISTS (SELECT FROM tag_deletions d WHERE d.user_id = t.user_id AND d.tag_id = t.id)
           FROM tags t
          WHERE t.user_id = $1 AND t.folded_name = ANY ($2)
          ORDER BY id FOR NO KEY UPDATE OF t",
    )
    .bind::<Uuid, _>(user.as_uuid())
    .bind::<Array<Text>, _>(&keys)
    .load(connection)?;
    let (mut twins, mut aside, mut renewed) = (Vec::new(), Vec::new(), Vec::new());
    let mut same: HashMap<String, Vec<Holder>> = HashMap::new();
    for (key, tag) in keys.into_iter().zip(older) {
        let Named { id, key: has, .. } = tag;
        let tag = Holder {
            id,
            key: has,
            version: 0,
            is_deleted: false,
        };
        same.entry(key).or_default().push(tag);
    }
    for tag in holders {
        if tag.is_deleted {
            aside.push(tag.id);
        } else if tag.version != 0 {
            same.entry(tag.key.clone()).or_default().push(tag);
        }
    }
    for (key, mut tags) in same {
        tags.sort_by_key(|tag| tag.id);
        let mut tags = tags.into_iter();
        let Some(oldest) = tags.next() else { continue };
        for younger in tags {
            twins.push((oldest.id, younger.id));
            if younger.key == key || younger.version != 0 {
                aside.push(younger.id);
            }
        }
        if oldest.version == 0 {
            if oldest.key != key {
                aside.push(oldest.id);
            }
            renewed.push((oldest.id, key));
        }
    }
    set_aside(connection, user, &aside)?;
    set_keys(connection, user, renewed)?;
    twins.sort_unstable();
    Ok(twins)
}

/// Frees the keys of these tags. What a key may become here no name has.
fn set_aside(
    connection: &mut PgConnection,
    user: UserId,
    tags: &[i64],
) -> Result<(), StorageError> {
    Statement::<()>::new(
        "UPDATE tags SET folded_name = E'\\x01' || id, name_version = 0 WHERE user_id = $1 AND id = ANY ($2)",
    )
    .bind::<Uuid, _>(user.as_uuid())
    .bind::<Array<BigInt>, _>(tags)
    .execute(connection)?;
    Ok(())
}

fn set_keys(
    connection: &mut PgConnection,
    user: UserId,
    renewed: Vec<(i64, String)>,
) -> Result<(), StorageError> {
    let (ids, keys): (Vec<i64>, Vec<String>) = renewed.into_iter().unzip();
    Statement::<()>::new(
        "UPDATE tags t SET folded_name = new.key, name_version = $4
           FROM unnest($2::bigint[], $3::text[]) AS new (id, key)
          WHERE t.user_id = $1 AND t.id = new.id",
    )
    .bind::<Uuid, _>(user.as_uuid())
    .bind::<Array<BigInt>, _>(ids)
    .bind::<Array<Text>, _>(keys)
    .bind::<SmallInt, _>(VERSION)
    .execute(connection)?;
    Ok(())
}

/// Gives [`LINKS`] entries of the tag that goes the one that stays, and returns how many. An entry that has both loses
/// one of two tags; one that had the other alone keeps its number.
fn move_links(
    connection: &mut PgConnection,
    user: UserId,
    stays: i64,
    goes: i64,
) -> Result<i64, StorageError> {
    // Tags are locked before entries, and these before their links. With the tag locked no link to it is made, so the
    // next statement sees every link.
    for (lock, tag) in [
        (
            "SELECT FROM tags WHERE user_id = $1 AND id = $2 FOR UPDATE",
            goes,
        ),
        (
            "SELECT FROM tags WHERE user_id = $1 AND id = $2 FOR KEY SHARE",
            stays,
        ),
    ] {
        Statement::<()>::new(lock)
            .bind::<Uuid, _>(user.as_uuid())
            .bind::<BigInt, _>(tag)
            .execute(connection)?;
    }
    Ok(Statement::<BigInt>::fit_to_binds(
        "WITH part AS MATERIALIZED (
           SELECT e.id FROM entry_tags l JOIN entries e ON e.user_id = l.user_id AND e.id = l.entry_id
            WHERE l.user_id = $1 AND l.tag_id = $2
            ORDER BY l.entry_created_at, l.entry_id LIMIT $4 FOR NO KEY UPDATE OF e),
         gone AS (
           DELETE FROM entry_tags
            WHERE user_id = $1 AND tag_id = $2 AND entry_id = ANY (ARRAY(SELECT id FROM part))
           RETURNING entry_id, entry_created_at, created_at),
         moved AS (
           INSERT INTO entry_tags (user_id, entry_id, tag_id, entry_created_at, created_at)
           SELECT $1, entry_id, $3, entry_created_at, created_at FROM gone
               ON CONFLICT (user_id, entry_id, tag_id) DO NOTHING
           RETURNING entry_id),
         counted AS (
           UPDATE entries SET tag_count = tag_count - 1
            WHERE user_id = $1
              AND id = ANY (ARRAY(SELECT entry_id FROM gone EXCEPT SELECT entry_id FROM moved)))
         SELECT count(*) FROM gone",
    )
    .bind::<Uuid, _>(user.as_uuid())
    .bind::<BigInt, _>(goes)
    .bind::<BigInt, _>(stays)
    .bind::<BigInt, _>(LINKS)
    .get_result(connection)?)
}

/// Deletes a tag without links. A description is not lost with it, as far as there is room.
fn delete(
    connection: &mut PgConnection,
    user: UserId,
    stays: i64,
    goes: i64,
) -> Result<(), StorageError> {
    Statement::<()>::new(
        "WITH gone AS (
           DELETE FROM tags WHERE user_id = $1 AND id = $2 RETURNING description)
         UPDATE tags t
            SET description = left(concat_ws(E'\\n', t.description, gone.description), 500),
                updated_at = now()
           FROM gone
          WHERE t.user_id = $1 AND t.id = $3
            AND gone.description IS NOT NULL AND t.description IS DISTINCT FROM gone.description",
    )
    .bind::<Uuid, _>(user.as_uuid())
    .bind::<BigInt, _>(goes)
    .bind::<BigInt, _>(stays)
    .execute(connection)?;
    Ok(())
}

/// Makes the transaction that a change of a name needs: the user locked, all keys up to date.
pub(super) fn comparing_names<T>(
    connection: &mut PgConnection,
    user: UserId,
    write: impl FnOnce(&mut PgConnection) -> Result<T, StorageError>,
) -> Result<T, StorageError> {
    connection.transaction(|connection| {
        lock(connection, user)?;
        renew_keys(connection, user)?;
        write(connection)
    })
}
