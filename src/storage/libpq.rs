//! What the libpq that is linked can do, which is found out by asking it.

use std::sync::LazyLock;

use diesel::{Connection, PgConnection};

/// What of libpq depends on how and when it was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Abilities {
    /// Whether it speaks TLS.
    pub(super) tls: bool,
    /// Whether it can be told by which methods a server may ask for a password (`require_auth`, since libpq 16).
    pub(super) require_auth: bool,
}

impl Abilities {
    /// Those of the one that is linked. Nothing is connected to for it: where the socket would be is no directory.
    pub(super) fn linked() -> Self {
        static LINKED: LazyLock<Abilities> = LazyLock::new(|| {
            // An address in the environment would be connected to.
            let refuses = |parameter: &str, words: &str| {
                let asked = format!("host=/dev/null hostaddr='' dbname='' {parameter}");
                let error = PgConnection::establish(&asked).err();
                error.is_some_and(|error| error.to_string().contains(words))
            };
            Abilities {
                tls: !refuses("sslmode=require", "not compiled in"),
                require_auth: !refuses("require_auth=none", "invalid connection option"),
            }
        });
        *LINKED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_has_tls_if_it_was_built_for_it() {
        assert_eq!(Abilities::linked().tls, cfg!(feature = "system-libpq"));
        // The bundled one is newer than 16; the system's may be older.
        assert!(Abilities::linked().require_auth || cfg!(feature = "system-libpq"));
    }
}
