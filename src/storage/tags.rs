//! Statements about tags.

use diesel::{
    AsChangeset, Connection, ExpressionMethods, OptionalExtension, PgConnection, QueryDsl,
    Queryable, RunQueryDsl, Selectable, SelectableHelper,
    data_types::PgTimestamp,
    sql_types::{BigInt, Binary, Bool, Nullable, SmallInt, Text, Timestamptz, Uuid},
};

use crate::domain::{
    journal::{
        IdempotencyKey, JournalOwner, LimitReached, NewTag, Tag, TagChanges, TagId, TagName,
    },
    names::TagLabel,
    page::{NameCursor, Page, PageRequest},
};
use resource_server::principal::UserId;

use super::{
    error::{Constraint, StorageError},
    idempotency::{claim_if_expired, recall, sweep},
    one_plan::{Plan, with_plan},
    schema::tags,
    statement::Statement,
    tag_names::{VERSION, comparing_names, renew_keys},
    time,
};

/// Makes a tag. With a key it does so once: a repeat is given the first result.
///
/// # Errors
/// `Conflict` if the user has a tag of that name, or the key was used with other arguments; `LimitReached`.
pub fn create_tag(
    connection: &mut PgConnection,
    owner: &JournalOwner,
    tag: NewTag,
    key: Option<&IdempotencyKey>,
) -> Result<Tag, StorageError> {
    // One at a time, so that no two count the same room: what waits for the lock counts what was made meanwhile.
    connection.transaction(|connection| {
        lock_owner(connection, owner)?;
        renew_keys(connection, owner.user)?;
        create_alone(connection, owner, tag, key)
    })
}

/// Locks the user, who may be new, for a transaction.
pub(super) fn lock_owner(
    connection: &mut PgConnection,
    owner: &JournalOwner,
) -> Result<(), StorageError> {
    // The check avoids failed insertions into the index; the conflict clause resolves a race of two first writes.
    Statement::<()>::new(
        "WITH owner AS (
           INSERT INTO users (id, issuer, subject) SELECT $1, $2, $3
            WHERE NOT EXISTS (SELECT FROM users WHERE id = $1) ON CONFLICT DO NOTHING)
         SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE",
    )
    .bind::<Uuid, _>(owner.user.as_uuid())
    .bind::<Text, _>(&owner.issuer)
    .bind::<Text, _>(&owner.subject)
    .execute(connection)?;
    Ok(())
}

fn create_alone(
    connection: &mut PgConnection,
    owner: &JournalOwner,
    tag: NewTag,
    key: Option<&IdempotencyKey>,
) -> Result<Tag, StorageError> {
    let label = label(&tag.name)?;
    let statement = Statement::<(BigInt, Timestamptz)>::new(if key.is_some() {
        concat!(
            "WITH taken AS MATERIALIZED (
               SELECT id FROM tags WHERE user_id = $1 AND folded_name = $3),
             draft AS MATERIALIZED (
               SELECT nextval('tags_id_seq') AS id
                WHERE NOT EXISTS (SELECT FROM taken) AND ",
            has_room_for_a_tag!(),
            "),
             claim AS (
               INSERT INTO idempotency_keys AS k (user_id, operation, key, arguments, result_id)
               SELECT $1, 'create_tag', $5, $6, draft.id FROM draft",
            claim_if_expired!(),
            "), swept AS (",
            sweep!("'create_tag'", "$5"),
            ") INSERT INTO tags (id, user_id, name, folded_name, description, name_version)
               OVERRIDING SYSTEM VALUE
               SELECT claim.result_id, $1, $2, $3, $4, $7 FROM claim
               RETURNING id, created_at"
        )
    } else {
        // A conflict that is passed over leaves the tag's name out of the server's log.
        concat!(
            "INSERT INTO tags (user_id, name, folded_name, description, name_version)
             SELECT $1, $2, $3, $4, $5 WHERE ",
            has_room_for_a_tag!(),
            " ON CONFLICT (user_id, folded_name) DO NOTHING
              RETURNING id, created_at"
        )
    })
    .bind::<Uuid, _>(owner.user.as_uuid())
    .bind::<Text, _>(&label.name)
    .bind::<Text, _>(&label.key)
    .bind::<Nullable<Text>, _>(tag.description.as_ref());
    let created: Option<(i64, PgTimestamp)> = match key {
        None => statement
            .bind::<SmallInt, _>(VERSION)
            .get_result(connection)
            .optional()?,
        Some(key) => statement
            .bind::<Text, _>(&key.key)
            .bind::<Binary, _>(&key.arguments[..])
            .bind::<SmallInt, _>(VERSION)
            .get_result(connection)
            .optional()?,
    };
    let remembered = match (&created, key) {
        (None, Some(key)) => recall(connection, owner.user, "create_tag", key)?,
        _ => None,
    };
    let created = created.or(remembered.map(|first| (first.id, first.created_at)));
    let Some((id, created_at)) = created else {
        return Err(if has_all_tags(connection, owner.user)? {
            StorageError::LimitReached(LimitReached::Tags)
        } else {
            StorageError::conflict(Constraint::TagName)
        });
    };
    let created_at = time::to_instant(created_at)?;
    Ok(Tag {
        id: TagId(id),
        name: label.name,
        description: tag.description,
        created_at,
        updated_at: created_at,
    })
}

/// A name as it is stored, and its key.
pub(super) fn label(name: &str) -> Result<TagLabel, StorageError> {
    TagLabel::read(name).ok_or(StorageError::corrupt(
        "a tag's name that was not checked before",
    ))
}

/// The condition that the user (`$1`) may have another tag.
macro_rules! has_room_for_a_tag {
    () => {
        "(SELECT count(*) FROM tags WHERE user_id = $1) < 10000"
    };
}
use has_room_for_a_tag;

/// Whether the user has [`MOST_TAGS`](crate::domain::journal::MOST_TAGS).
fn has_all_tags(connection: &mut PgConnection, user: UserId) -> Result<bool, StorageError> {
    let has_room: bool = Statement::<Bool>::new(concat!("SELECT ", has_room_for_a_tag!()))
        .bind::<Uuid, _>(user.as_uuid())
        .get_result(connection)?;
    Ok(!has_room)
}

/// Reads a tag.
///
/// # Errors
/// `NotFound` if the user has no such tag.
pub fn get_tag(
    connection: &mut PgConnection,
    user: UserId,
    id: TagId,
) -> Result<Tag, StorageError> {
    tags::table
        .filter(tags::user_id.eq(user.as_uuid()))
        .filter(tags::id.eq(id.0))
        .select(TagRow::as_select())
        .get_result(connection)
        .optional()?
        .ok_or(StorageError::no_tag(id))?
        .try_into()
}

/// A page of the user's tags, by name without regard to case.
///
/// # Errors
/// Those of the database.
pub fn list_tags(
    connection: &mut PgConnection,
    user: UserId,
    page: &PageRequest<NameCursor>,
) -> Result<Page<TagName, NameCursor>, StorageError> {
    // No name is empty, so the first page begins after the empty one.
    let (after_name, after_id) = page
        .after
        .as_ref()
        .map_or(("", 0), |cursor| (cursor.folded_name.as_str(), cursor.id));
    let limit = usize::from(page.limit.get());
    let mut rows: Vec<(i64, String, String)> = Statement::<(BigInt, Text, Text)>::new(
        "SELECT id, name, folded_name
           FROM (SELECT id, name, folded_name FROM tags
                  WHERE user_id = $1 AND (folded_name, id) > ($2 COLLATE \"C\", $3)
                  ORDER BY folded_name, id LIMIT 201) AS t
          ORDER BY folded_name, id LIMIT $4",
    )
    .bind::<Uuid, _>(user.as_uuid())
    .bind::<Text, _>(after_name)
    .bind::<BigInt, _>(after_id)
    .bind::<BigInt, _>(i64::from(page.limit.get()) + 1)
    .load(connection)?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows
        .last()
        .filter(|_| more)
        .map(|(id, _, folded_name)| NameCursor {
            folded_name: folded_name.clone(),
            id: *id,
        });
    let items = rows
        .into_iter()
        .map(|(id, name, _)| TagName {
            id: TagId(id),
            name,
        })
        .collect();
    Ok(Page { items, next })
}

/// The user's next thousand tags in full, in the order in which they were made.
///
/// # Errors
/// Those of the database.
pub fn tags_after(
    connection: &mut PgConnection,
    user: UserId,
    after: Option<TagId>,
) -> Result<Vec<Tag>, StorageError> {
    tags::table
        .filter(tags::user_id.eq(user.as_uuid()))
        .filter(tags::id.gt(after.map_or(0, |tag| tag.0)))
        .order(tags::id)
        .limit(1_000)
        .select(TagRow::as_select())
        .load(connection)?
        .into_iter()
        .map(Tag::try_from)
        .collect()
}

/// Changes a tag and returns it as it is now.
///
/// # Errors
/// `NotFound` if the user has no such tag, `Conflict` if another one has the new name.
pub fn update_tag(
    connection: &mut PgConnection,
    user: UserId,
    id: TagId,
    changes: TagChanges,
) -> Result<Tag, StorageError> {
    let label = changes.name.as_deref().map(label).transpose()?;
    let columns = ChangedColumns {
        name_version: label.as_ref().map(|_| VERSION),
        folded_name: label.as_ref().map(|label| label.key.clone()),
        name: label.map(|label| label.name),
        description: changes.description,
    };
    if columns.name.is_some() {
        comparing_names(connection, user, |connection| {
            set(connection, user, id, columns)
        })
    } else {
        set(connection, user, id, columns)
    }
}

fn set(
    connection: &mut PgConnection,
    user: UserId,
    id: TagId,
    columns: ChangedColumns,
) -> Result<Tag, StorageError> {
    let own = tags::table
        .filter(tags::user_id.eq(user.as_uuid()))
        .filter(tags::id.eq(id.0));
    diesel::update(own)
        .set((columns, tags::updated_at.eq(diesel::dsl::now)))
        .returning(TagRow::as_select())
        .get_result(connection)
        .optional()?
        .ok_or(StorageError::no_tag(id))?
        .try_into()
}

/// Takes a tag that more than 500 entries have off 500 of them, and writes down that it is to be deleted. `false` if
/// fewer have it or there is no such tag: then [`delete_tag`] does the rest at once. Each entry's row counts its
/// tags, so that a tag that very many have comes off them for longer than a statement may take.
///
/// # Errors
/// Those of the database.
pub fn take_tag_off_some(
    connection: &mut PgConnection,
    user: UserId,
    id: TagId,
) -> Result<bool, StorageError> {
    // Entries are locked before their links, as in `add_tag_to_entry`. Planned each time: a plan for the average tag,
    // which PostgreSQL keeps after five parts, compares each link of this one with each of the part.
    Ok(Statement::<Bool>::fit_to_binds(
        "WITH alone AS MATERIALIZED (SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE),
         links AS MATERIALIZED (
           SELECT FROM entry_tags WHERE user_id = $1 AND tag_id = $2 LIMIT 501),
         ordered AS (
           INSERT INTO tag_deletions (user_id, tag_id)
           SELECT $1, id FROM tags
            WHERE user_id = $1 AND id = $2
              AND EXISTS (SELECT FROM alone) AND (SELECT count(*) FROM links) > 500
               ON CONFLICT (user_id, tag_id) DO UPDATE SET continued_at = now()
           RETURNING tag_id),
         part AS MATERIALIZED (
           SELECT e.id FROM entry_tags l JOIN entries e ON e.user_id = l.user_id AND e.id = l.entry_id
            WHERE l.user_id = $1 AND l.tag_id = $2 AND EXISTS (SELECT FROM ordered)
            ORDER BY l.entry_created_at, l.entry_id LIMIT 500 FOR NO KEY UPDATE OF e),
         gone AS (
           DELETE FROM entry_tags
            WHERE user_id = $1 AND tag_id = $2 AND entry_id = ANY (ARRAY(SELECT id FROM part))
           RETURNING entry_id),
         counted AS (
           UPDATE entries SET tag_count = tag_count - 1
            WHERE user_id = $1 AND id = ANY (ARRAY(SELECT entry_id FROM gone)))
         SELECT EXISTS (SELECT FROM ordered)",
    )
    .bind::<Uuid, _>(user.as_uuid())
    .bind::<BigInt, _>(id.0)
    .get_result(connection)?)
}

/// Deletes a tag, takes it off every entry, and returns it as it was; `None` if the user has no such
/// tag.
///
/// # Errors
/// Those of the database.
pub fn delete_tag(
    connection: &mut PgConnection,
    user: UserId,
    id: TagId,
) -> Result<Option<Tag>, StorageError> {
    delete_tag_of(connection, user.as_uuid(), id)
}

/// The same for a user's id as the database has it.
pub(super) fn delete_tag_of(
    connection: &mut PgConnection,
    user: uuid::Uuid,
    id: TagId,
) -> Result<Option<Tag>, StorageError> {
    // PostgreSQL itself looks for links that the tag still has. After hundreds of thousands of them were taken off, its
    // statistics still have them, and it would read the table for that.
    with_plan(connection, Plan::ByIndex, |connection| {
        // Of one user's tags one is deleted at a time: each takes its entries' rows to count their tags, and two
        // would wait for each other. With the tag locked no link to it is made, so the next statement, which
        // sees what was committed until now, sees every link.
        Statement::<()>::new(
            "WITH alone AS MATERIALIZED (SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE)
             SELECT FROM tags WHERE user_id = $1 AND id = $2 AND EXISTS (SELECT FROM alone) FOR UPDATE",
        )
        .bind::<Uuid, _>(user)
        .bind::<BigInt, _>(id.0)
        .execute(connection)?;
        // Entries are locked before their links, as in `add_tag_to_entry`.
        Statement::<TagSql>::new(
            "WITH labelled AS MATERIALIZED (
               SELECT e.id FROM entry_tags l JOIN entries e ON e.user_id = l.user_id AND e.id = l.entry_id
                WHERE l.user_id = $1 AND l.tag_id = $2
                ORDER BY l.entry_created_at, l.entry_id FOR NO KEY UPDATE OF e),
             gone AS (
               DELETE FROM entry_tags
                WHERE user_id = $1 AND tag_id = $2 AND entry_id = ANY (ARRAY(SELECT id FROM labelled))
               RETURNING entry_id),
             counted AS (
               UPDATE entries SET tag_count = tag_count - 1
                WHERE user_id = $1 AND id = ANY (ARRAY(SELECT entry_id FROM gone)))
             DELETE FROM tags WHERE user_id = $1 AND id = $2
             RETURNING id, name, description, created_at, updated_at",
        )
        .bind::<Uuid, _>(user)
        .bind::<BigInt, _>(id.0)
        .get_result::<TagRow>(connection)
        .optional()?
        .map(Tag::try_from)
        .transpose()
    })
}

type TagSql = (BigInt, Text, Nullable<Text>, Timestamptz, Timestamptz);

#[derive(Queryable, Selectable)]
#[diesel(table_name = tags)]
struct TagRow {
    id: i64,
    name: String,
    description: Option<String>,
    created_at: PgTimestamp,
    updated_at: PgTimestamp,
}

#[derive(AsChangeset)]
#[diesel(table_name = tags)]
struct ChangedColumns {
    name: Option<String>,
    folded_name: Option<String>,
    name_version: Option<i16>,
    description: Option<Option<String>>,
}

impl TryFrom<TagRow> for Tag {
    type Error = StorageError;

    fn try_from(row: TagRow) -> Result<Self, StorageError> {
        Ok(Self {
            id: TagId(row.id),
            name: row.name,
            description: row.description,
            created_at: time::to_instant(row.created_at)?,
            updated_at: time::to_instant(row.updated_at)?,
        })
    }
}
