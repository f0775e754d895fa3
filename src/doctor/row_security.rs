//! Whether PostgreSQL itself keeps the rows of one user from statements for another.

use super::report::Section;
use crate::storage::RowSecurity;

/// Says whether it does as it should: `is_wanted` is EPICME_ROW_LEVEL_SECURITY.
pub(super) fn tell(found: &RowSecurity, role: &str, is_wanted: bool, section: &mut Section<'_>) {
    match (is_wanted, &found.guarded_tables, &found.unguarded_tables) {
        // There are no policies yet: migrations are pending.
        (_, None, None) => return,
        (false, None, _) => section.ok(
            "row-level security is off (EPICME_ROW_LEVEL_SECURITY): only the conditions of statements keep users' journals apart",
        ),
        (false, Some(_), _) => section.wrong(
            "row-level security binds the role, and EPICME_ROW_LEVEL_SECURITY is off: every table would look empty, so \
             no connection is used",
            Some("set EPICME_ROW_LEVEL_SECURITY=on".to_owned()),
        ),
        (true, _, _) if found.is_exempt => section.wrong(
            "EPICME_ROW_LEVEL_SECURITY is on, and no policy binds the role: it owns the tables, is a superuser or has \
             BYPASSRLS",
            Some(
                "serve with a role that may only read and change the tables (docker/postgres/roles.sql makes it)"
                    .to_owned(),
            ),
        ),
        (true, _, Some(tables)) => section.wrong(
            format!("row-level security is not on for {tables}"),
            Some(
                "when every server has EPICME_ROW_LEVEL_SECURITY=on, run `epicme migrate` with it and with the role that \
                 owns the schema"
                    .to_owned(),
            ),
        ),
        (true, Some(_), None) => {
            section.ok("row-level security is in force: a statement reaches the rows of one user");
        }
    }
    if is_wanted && !found.is_exempt && !found.may_delete_expired {
        section.wrong(
            "the role may not delete the expired rows of all users",
            Some(format!("GRANT epicme_housekeeping TO {role}")),
        );
    }
    if is_wanted && !found.is_exempt && found.inherits {
        section.warning(
            "the role inherits epicme_housekeeping, so that its policies are planned with every statement",
            Some(format!(
                "ALTER ROLE {role} NOINHERIT; with PostgreSQL 16 or newer also: \
                 GRANT epicme_housekeeping TO {role} WITH INHERIT FALSE"
            )),
        );
    }
    if let Some(tables) = &found.truncatable_tables {
        section.warning(
            format!("the role may TRUNCATE {tables}, which no policy prevents"),
            Some(format!(
                "as their owner: REVOKE TRUNCATE ON ALL TABLES IN SCHEMA public FROM {role}"
            )),
        );
    }
}
