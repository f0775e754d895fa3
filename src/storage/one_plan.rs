//! Statements that PostgreSQL may plan in one way alone.
//!
//! Its planner knows how frequent a word or a label is among all rows, and not among those of one user, or of one
//! user's last months. Where a plan that fits the average takes seconds for someone, the choice is made here, by
//! what was found so far, and the planner is left no other.

use diesel::{Connection, PgConnection, connection::SimpleConnection};

use super::error::StorageError;

/// What the planner may not do, as settings of a transaction.
#[derive(Clone, Copy)]
pub(super) enum Plan {
    /// Rows are read in the order of an index, so that reading can stop.
    InOrder,
    /// Rows are found by all conditions that an index can have, in no order.
    ByBitmap,
    /// Two lists of the same order are read side by side.
    ByMerge,
    /// Rows are found by an index, also where the planner remembers far more of them than there are left.
    ByIndex,
}

impl Plan {
    /// Without compilation, which PostgreSQL decides on by the cost: what it may not do but has to, such as sorting
    /// fifty rows, it counts as very dear.
    const fn settings(self) -> &'static str {
        match self {
            Self::InOrder => {
                "SET LOCAL jit = off; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; \
                 SET LOCAL enable_sort = off"
            }
            Self::ByBitmap => {
                "SET LOCAL jit = off; SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off; \
                 SET LOCAL enable_indexonlyscan = off"
            }
            Self::ByMerge => {
                "SET LOCAL jit = off; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; \
                 SET LOCAL enable_sort = off; SET LOCAL enable_nestloop = off; SET LOCAL enable_hashjoin = off"
            }
            Self::ByIndex => "SET LOCAL jit = off; SET LOCAL enable_seqscan = off",
        }
    }
}

/// Runs a statement in a transaction in which it is planned so. A statement that is prepared has to be run with the
/// same plan each time, because PostgreSQL may keep its plan.
///
/// # Errors
/// Those of the statement and of the database.
pub(super) fn with_plan<T>(
    connection: &mut PgConnection,
    plan: Plan,
    run: impl FnOnce(&mut PgConnection) -> Result<T, StorageError>,
) -> Result<T, StorageError> {
    connection.transaction(|connection| {
        connection.batch_execute(plan.settings())?;
        run(connection)
    })
}
