//! Revocations of tokens, users and clients. The rows are those of the server and not of a user: they name users
//! of authorization servers, who need not have a row here.

use diesel::{
    PgConnection, RunQueryDsl,
    sql_types::{BigInt, Bool, Nullable, Text, Timestamptz},
};

use resource_server::{
    cause::Cause,
    clock::Timestamp,
    revocation::{
        ChangesPage, Mark, OrderedBy, RevocationChange, RevocationOrder, RevocationTarget,
        StoredRevocation,
    },
};

use super::{error::StorageError, statement::Statement};

/// Stores a revocation in place of an earlier one of the same target by the same party, if there is one. The
/// later time of both counts, so that no order makes another weaker.
///
/// # Errors
/// Those of the database.
pub fn add(connection: &mut PgConnection, order: &RevocationOrder) -> Result<(), StorageError> {
    let (kind, issuer, target) = named(&order.target);
    Statement::<()>::new(
        "INSERT INTO revocations AS r (kind, issuer, target, ordered_by, revoked_at, until)
         VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (kind, issuer, target, ordered_by) DO UPDATE
            SET id = DEFAULT,
                changed_in = DEFAULT,
                lifted_at = NULL,
                revoked_at = CASE WHEN r.lifted_at IS NULL THEN greatest(r.revoked_at, excluded.revoked_at)
                                  ELSE excluded.revoked_at END,
                until = CASE WHEN r.lifted_at IS NULL THEN greatest(r.until, excluded.until)
                             ELSE excluded.until END",
    )
    .bind::<Text, _>(kind)
    .bind::<Text, _>(issuer)
    .bind::<Text, _>(target)
    .bind::<Text, _>(order.ordered_by.as_str())
    .bind::<Timestamptz, _>(order.revoked_at)
    .bind::<Nullable<Timestamptz>, _>(order.until)
    .execute(connection)?;
    Ok(())
}

/// Lifts the revocations of a target, whoever ordered them; returns whether there was any. Their rows stay for a
/// while, so that the other processes notice.
///
/// # Errors
/// Those of the database.
pub fn remove(
    connection: &mut PgConnection,
    target: &RevocationTarget,
) -> Result<bool, StorageError> {
    let (kind, issuer, target) = named(target);
    let removed = Statement::<()>::new(
        "UPDATE revocations SET id = DEFAULT, changed_in = DEFAULT, lifted_at = now()
          WHERE kind = $1 AND issuer = $2 AND target = $3 AND lifted_at IS NULL",
    )
    .bind::<Text, _>(kind)
    .bind::<Text, _>(issuer)
    .bind::<Text, _>(target)
    .execute(connection)?;
    Ok(removed > 0)
}

type Row = (
    i64,
    String,
    String,
    String,
    String,
    Timestamp,
    Option<Timestamp>,
);

/// A row, whether it is lifted, the transaction that wrote it, and the oldest one that had not ended when it was
/// read.
type ChangedRow = (
    i64,
    String,
    String,
    String,
    String,
    Timestamp,
    Option<Timestamp>,
    bool,
    i64,
    i64,
);

/// How far a process has read. A transaction that had not ended when a page was read may have written rows with
/// lower ids; so the next reading begins with what such transactions wrote, and returns some rows again.
#[derive(Clone, Copy, Default)]
struct Position {
    /// This reading returns what was written by transactions from this one on.
    from: i64,
    /// The next one will.
    next: i64,
    /// The last row of the page before, by its transaction and id.
    after: (i64, i64),
}

impl Position {
    fn read(mark: &Mark) -> Option<Self> {
        let numbers = mark.0.split(' ').map(|number| number.parse().ok());
        match numbers.collect::<Option<Vec<i64>>>()?[..] {
            [from, next, transaction, id] => Some(Self {
                from,
                next,
                after: (transaction, id),
            }),
            _ => None,
        }
    }

    fn write(self) -> Mark {
        let (transaction, id) = self.after;
        Mark(format!("{} {} {transaction} {id}", self.from, self.next))
    }
}

/// Revocations with lower ids than `before`, the highest first.
///
/// # Errors
/// Those of the database; `Corrupt` if a row is none that [`add`] wrote.
pub fn page(
    connection: &mut PgConnection,
    before: Option<i64>,
    most: i64,
) -> Result<Vec<StoredRevocation>, StorageError> {
    let rows: Vec<Row> = Statement::<(
        BigInt,
        Text,
        Text,
        Text,
        Text,
        Timestamptz,
        Nullable<Timestamptz>,
    )>::new(
        "SELECT id, kind, issuer, target, ordered_by, revoked_at, until
           FROM revocations WHERE id < $1 AND lifted_at IS NULL ORDER BY id DESC LIMIT $2",
    )
    .bind::<BigInt, _>(before.unwrap_or(i64::MAX))
    .bind::<BigInt, _>(most)
    .load(connection)?;
    rows.into_iter().map(stored).collect()
}

/// What has changed since a mark, the oldest first; without one, everything.
///
/// # Errors
/// Those of the database; `Corrupt` if a row is none that [`add`] wrote.
pub fn changes(
    connection: &mut PgConnection,
    since: Option<&Mark>,
    most: i64,
) -> Result<ChangesPage, StorageError> {
    let position = since.and_then(Position::read).unwrap_or_default();
    let (transaction, id) = position.after;
    // A number above all of this cluster is of one from which the database was copied or restored. If it is the
    // reader's, everything is read again. If it is a row's, the row was read at the start.
    let rows: Vec<ChangedRow> = Statement::<(
        BigInt,
        Text,
        Text,
        Text,
        Text,
        Timestamptz,
        Nullable<Timestamptz>,
        Bool,
        BigInt,
        BigInt,
    )>::new(
        "SELECT id, kind, issuer, target, ordered_by, revoked_at, until, lifted_at IS NOT NULL, changed_in,
                pg_snapshot_xmin(pg_current_snapshot())::text::bigint
           FROM revocations
          WHERE changed_in >= CASE WHEN $1 <= pg_snapshot_xmax(pg_current_snapshot())::text::bigint
                                   THEN $1 ELSE 0 END
            AND ($1 = 0 OR changed_in < pg_snapshot_xmax(pg_current_snapshot())::text::bigint)
            AND (changed_in, id) > ($2, $3)
          ORDER BY changed_in, id LIMIT $4",
    )
    .bind::<BigInt, _>(position.from)
    .bind::<BigInt, _>(transaction)
    .bind::<BigInt, _>(id)
    .bind::<BigInt, _>(most)
    .load(connection)?;
    let is_first = position.after == (0, 0);
    let has_more = i64::try_from(rows.len()).is_ok_and(|read| read >= most);
    let mut reached = position;
    if let (true, Some((.., oldest))) = (is_first, rows.first()) {
        reached.next = *oldest;
    }
    reached.after = match rows.last() {
        Some((id, .., transaction, _)) if has_more => (*transaction, *id),
        _ => (0, 0),
    };
    if !has_more {
        reached.from = reached.next;
    }
    let changes = rows.into_iter().map(|row| {
        let (id, kind, issuer, name, ordered_by, revoked_at, until, is_lifted, ..) = row;
        let stored = stored((id, kind, issuer, name, ordered_by, revoked_at, until))?;
        let order = stored.order;
        Ok(if is_lifted {
            RevocationChange::Lifted {
                target: order.target,
                ordered_by: order.ordered_by,
            }
        } else {
            RevocationChange::Ordered(order)
        })
    });
    Ok(ChangesPage {
        changes: changes.collect::<Result<_, StorageError>>()?,
        mark: Some(reached.write()),
        has_more,
    })
}

/// Kind, issuer and target, as the table has them.
fn named(target: &RevocationTarget) -> (&'static str, &str, String) {
    let (issuer, name) = match target {
        RevocationTarget::Token(digest) => {
            let hex = digest.iter().map(|byte| format!("{byte:02x}"));
            ("", hex.collect())
        }
        RevocationTarget::User { issuer, subject } => (issuer.as_str(), subject.clone()),
        RevocationTarget::Client { issuer, client } => (issuer.as_str(), client.clone()),
        RevocationTarget::Everybody => ("", String::new()),
    };
    (target.kind(), issuer, name)
}

fn stored(row: Row) -> Result<StoredRevocation, StorageError> {
    let (id, kind, issuer, name, ordered_by, revoked_at, until) = row;
    let target = match kind.as_str() {
        "token" => digest(&name).map(RevocationTarget::Token),
        "user" => Some(RevocationTarget::User {
            issuer,
            subject: name,
        }),
        "client" => Some(RevocationTarget::Client {
            issuer,
            client: name,
        }),
        "everybody" => Some(RevocationTarget::Everybody),
        _ => None,
    };
    let (Some(target), Some(ordered_by)) = (target, OrderedBy::parse(&ordered_by)) else {
        return Err(StorageError::Corrupt {
            source: Cause::new(format!("the revocation {id} cannot be read")),
        });
    };
    Ok(StoredRevocation {
        id,
        order: RevocationOrder {
            target,
            revoked_at,
            until,
            ordered_by,
        },
    })
}

fn digest(hex: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (at, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(digest)
}
