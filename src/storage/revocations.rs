//! Revocations of tokens, users and clients. The rows are those of the server and not of a user: they name users
//! of authorization servers, who need not have a row here.

use diesel::{
    PgConnection, RunQueryDsl,
    sql_types::{BigInt, Nullable, Text, Timestamptz},
};

use resource_server::{
    cause::Cause,
    clock::Timestamp,
    revocation::{OrderedBy, RevocationOrder, RevocationTarget, StoredRevocation},
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
                revoked_at = greatest(r.revoked_at, excluded.revoked_at),
                until = greatest(r.until, excluded.until)",
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

/// Removes the revocations of a target, whoever ordered them; returns whether there was any.
///
/// # Errors
/// Those of the database.
pub fn remove(
    connection: &mut PgConnection,
    target: &RevocationTarget,
) -> Result<bool, StorageError> {
    let (kind, issuer, target) = named(target);
    let removed = Statement::<()>::new(
        "DELETE FROM revocations WHERE kind = $1 AND issuer = $2 AND target = $3",
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
           FROM revocations WHERE id < $1 ORDER BY id DESC LIMIT $2",
    )
    .bind::<BigInt, _>(before.unwrap_or(i64::MAX))
    .bind::<BigInt, _>(most)
    .load(connection)?;
    rows.into_iter().map(stored).collect()
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
