//! Why the journal's database cannot be used at the moment.

use resource_server::metric_label;

metric_label! {
    /// Why the journal's database cannot be used at the moment, as far as its words tell.
    Outage {
        /// No connection can be opened, or the one in use broke.
        Unreachable = "unreachable",
        /// It accepts connections, and does not answer.
        Silent = "silent",
        /// It takes no writes (SQLSTATE 25006): a standby, or set to be read only.
        ReadOnly = "read_only",
        /// It starts or stops, or an administrator ended the connection (57P01, 57P02, 57P03).
        Restarting = "restarting",
        /// It admits no further connection (53300).
        TooManyConnections = "too_many_connections",
        /// Its disk is full (53100).
        DiskFull = "disk_full",
        /// It is out of memory (53200).
        OutOfMemory = "out_of_memory",
        /// It ended the transaction in favour of another (40001, 40P01).
        Conflict = "conflict",
        /// Every connection was in use for too long.
        NoConnection = "no_connection",
        /// Its schema is not known to be up to date.
        Schema = "schema",
        /// Something else.
        Other = "other",
    }
}

impl Outage {
    /// What an error says, in English: Diesel keeps no SQLSTATE, and libpq has none for a connection that it could not
    /// open.
    #[must_use]
    pub fn of(message: &str) -> Self {
        let found = WORDS.iter().find(|(words, _)| {
            let mut words = words.iter();
            words.any(|word| message.contains(word))
        });
        found.map_or(Self::Other, |(_, outage)| *outage)
    }

    /// Whether it is about writing, while what is stored may be read.
    #[must_use]
    pub const fn is_of_writes(self) -> bool {
        matches!(self, Self::ReadOnly | Self::DiskFull)
    }
}

/// The first that fits counts: libpq lists what each of several hosts said.
const WORDS: &[(&[&str], Outage)] = &[
    (
        &[
            "No space left on device",
            "could not extend file",
            "disk full",
        ],
        Outage::DiskFull,
    ),
    (
        &[
            "too many clients",
            "too many connections",
            "remaining connection slots",
            "no more connections allowed",
        ],
        Outage::TooManyConnections,
    ),
    (
        &["out of memory", "out of shared memory"],
        Outage::OutOfMemory,
    ),
    (
        &["deadlock detected", "could not serialize"],
        Outage::Conflict,
    ),
    (
        &["no answer", "not answered", "timeout expired"],
        Outage::Silent,
    ),
    (
        &[
            "starting up",
            "shutting down",
            "in recovery mode",
            "not yet accepting connections",
            "due to administrator command",
            "because of crash of another server process",
        ],
        Outage::Restarting,
    ),
    (
        &[
            "takes no writes",
            "read-only transaction",
            "session is read-only",
            "session is not read-write",
            "hot standby",
            "server is in hot standby mode",
        ],
        Outage::ReadOnly,
    ),
    (
        &[
            "connection to server",
            "could not translate host name",
            "could not look up",
            "Connection refused",
            "server closed the connection",
            "Connection reset",
            "could not receive data",
            "could not send data",
            "no connection to the server",
            "went away",
        ],
        Outage::Unreachable,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_postgresql_says_is_told_apart() {
        for (message, outage) in [
            (
                "connection to server at \"db\" (10.0.0.7), port 5432 failed: FATAL:  sorry, too many clients already",
                Outage::TooManyConnections,
            ),
            (
                "could not extend file \"base/16384/16397\": No space left on device",
                Outage::DiskFull,
            ),
            (
                "cannot execute INSERT in a read-only transaction",
                Outage::ReadOnly,
            ),
            (
                "connection to server on socket \"/run/.s.PGSQL.5432\" failed: session is read-only",
                Outage::ReadOnly,
            ),
            (
                "terminating connection due to administrator command",
                Outage::Restarting,
            ),
            (
                "connection to server at \"db\" (10.0.0.7), port 5432 failed: FATAL:  the database system is starting up",
                Outage::Restarting,
            ),
            (
                "connection to server at \"db\" (10.0.0.7), port 5432 failed: timeout expired",
                Outage::Silent,
            ),
            (
                "connection to server at \"db\" (10.0.0.7), port 5432 failed: Connection refused",
                Outage::Unreachable,
            ),
            (
                "server closed the connection unexpectedly",
                Outage::Unreachable,
            ),
            ("deadlock detected", Outage::Conflict),
            ("storniere Anfrage", Outage::Other),
        ] {
            assert_eq!(Outage::of(message), outage, "{message}");
        }
    }
}
