//! The limit of open files, and how many connections there can be within it.

use std::{io, sync::Arc};

use rlimit::Resource;

use super::{
    connection::{ConnectionLimits, Connections, Patience},
    registry::Limits,
};
use crate::{budgets::Budgets, metrics::ConnectionMetrics};

/// Open files of the process itself: its listeners, its log, the files that it reads.
const OWN: usize = 48;

/// Open files of each worker thread.
const PER_WORKER: usize = 8;

/// The most that are kept for connections to the authorization servers: as many as there are introspections at
/// once.
const ISSUERS: usize = 256;

/// The fewest connections that are served, however low the limit is.
const FEWEST: usize = 16;

/// Of all users, one may have one in so many connections.
const SHARE_OF_USER: usize = 4;

/// The limits of open files of the process (`RLIMIT_NOFILE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors {
    /// The limit that is in force.
    pub soft: u64,
    /// Up to which the process may raise it.
    pub hard: u64,
}

/// Raises the soft limit of open files to the hard one, and returns the limits that are then in force. Each
/// connection is an open file, and the usual soft limit of 1,024 is made for programs that use `select`.
///
/// # Errors
/// Errors of the operating system.
pub fn raise_descriptor_limit() -> io::Result<Descriptors> {
    let (soft, hard) = Resource::NOFILE.get()?;
    if soft < hard {
        Resource::NOFILE.set(hard, hard)?;
    }
    Ok(Descriptors { soft: hard, hard })
}

/// What a server needs open files for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    /// The limits that are wished for.
    pub(crate) limits: ConnectionLimits,
    /// Worker threads.
    pub(crate) workers: usize,
    /// Connections to listeners of operators.
    pub(crate) operators: usize,
}

/// How many connections there can be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    /// The limits of the registry.
    pub(super) limits: Limits,
    /// Connections of each worker, closed ones that are about to be let go of among them.
    pub(crate) per_worker: usize,
}

impl Capacity {
    /// Within the limit of open files of this process. Logs a warning if that is too low.
    pub(crate) fn of_process(demand: Demand) -> Self {
        // Where there is no such limit, or it cannot be read, there is none to stay within.
        let (soft, hard) = Resource::NOFILE.get().unwrap_or((u64::MAX, u64::MAX));
        let soft = usize::try_from(soft).unwrap_or(usize::MAX);
        let capacity = Self::within(soft, demand);
        let (wished, in_all) = (demand.limits.in_all, capacity.limits.in_all);
        if in_all < wished {
            log::warn!(
                "the limit of open files is {soft} (hard limit {hard}): {} are kept for the database, the authorization \
                 servers, operators and the process itself, and {in_all} of {wished} connections can be served; raise the \
                 hard limit (ulimit -n, LimitNOFILE, nofile)",
                demand.kept(soft),
            );
        }
        capacity
    }

    /// A listener for a few operators.
    pub(crate) fn small(in_all: usize) -> Self {
        Self {
            limits: Limits {
                in_all,
                per_source: in_all,
                per_user: in_all,
            },
            per_worker: 2 * in_all,
        }
    }

    /// Within this limit of open files.
    fn within(soft: usize, demand: Demand) -> Self {
        let free = soft.saturating_sub(demand.kept(soft));
        // A connection that gives way, or waits for its worker, is still open for a moment.
        let spare = (free / 8).min(demand.limits.in_all / 8);
        let in_all = demand.limits.in_all.min(free - spare).max(FEWEST);
        Self {
            limits: Limits {
                in_all,
                per_source: demand.limits.per_source.min(in_all / 2),
                per_user: in_all / SHARE_OF_USER,
            },
            per_worker: (in_all + spare).div_ceil(demand.workers),
        }
    }
}

impl Connections {
    /// No connection yet. Must be called within an actix arbiter, which looks after the connections.
    pub(crate) fn start(
        capacity: Capacity,
        patience: Patience,
        budgets: Arc<Budgets>,
        metrics: Arc<ConnectionMetrics>,
    ) -> Self {
        metrics.limited_to(capacity.limits.in_all);
        Self::start_with(capacity.limits, patience, budgets, metrics)
    }
}

impl Demand {
    /// Open files that are kept for something else than clients.
    fn kept(&self, soft: usize) -> usize {
        OWN + self.workers * PER_WORKER
            + self.operators
            + self.limits.reserved_descriptors
            + ISSUERS.min(soft / 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(in_all: usize) -> Demand {
        Demand {
            limits: ConnectionLimits {
                in_all,
                reserved_descriptors: 10,
                ..ConnectionLimits::default()
            },
            workers: 2,
            operators: 32,
        }
    }

    #[test]
    fn connections_leave_open_files_for_everything_else() {
        for soft in [0, 64, 256, 1_024, 4_096, 20_000, 1 << 20] {
            let demand = demand(8_000);
            let capacity = Capacity::within(soft, demand);
            let limits = capacity.limits;
            assert!((FEWEST..=8_000).contains(&limits.in_all), "{soft}");
            assert!(limits.per_source <= limits.in_all / 2, "{soft}");
            assert!(2 * capacity.per_worker >= limits.in_all, "{soft}");
            if soft >= 256 {
                let most = 2 * capacity.per_worker + demand.kept(soft);
                assert!(most <= soft + demand.workers, "{soft}: {most}");
            }
        }
        let many = Capacity::within(1 << 20, demand(8_000));
        assert_eq!((many.limits.in_all, many.limits.per_source), (8_000, 2_000));
        let usual = Capacity::within(1_024, demand(8_000));
        assert_eq!((usual.limits.in_all, usual.limits.per_source), (692, 346));
    }
}
