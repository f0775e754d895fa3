//! Tables that are divided by user, as `docs/scale/partitions.sql` divides them. These tests run on them whatever
//! the others run on.

use std::{collections::BTreeSet, fs, path::Path};

use diesel::{
    PgConnection, QueryableByName, RunQueryDsl,
    connection::SimpleConnection,
    sql_query,
    sql_types::{BigInt, Text},
};
use epicme::{
    domain::{
        activity::{ActivityKey, Tally},
        export::{ExportFormat, ExportId},
        import::{EntryImport, ImportedEntry, ImportedTag, TagImport},
        journal::{EntryChanges, EntryFilter, NewEntry, NewTag, TagChanges},
        page::{PageLimit, PageRequest},
        search::{SearchPage, SearchRequest},
    },
    storage::{
        self, activity, cut_words, entries, entry_creation, entry_lists, entry_tags, entry_updates,
        exports, imports, quota, request_states, search, sessions, suggestions, tag_names, tags,
    },
};
use mcp_protocol::logging::Level;
use mcp_server::features::{
    call_record::{Feature, FeatureKind, Outcome},
    session_store::{SessionChange, SessionName, StoredSession},
};

use super::support::{PARTITIONS, RIGHTS, TestDatabase, key, new_entry, owner, page, query};

fn divided() -> TestDatabase {
    let database = TestDatabase::new();
    if database.count("pg_partitioned_table") == 0 {
        database.connect().batch_execute(PARTITIONS).unwrap();
    }
    database
}

fn undivided() -> TestDatabase {
    let database = TestDatabase::new();
    let anew = "DROP SCHEMA public CASCADE; CREATE SCHEMA public";
    database.connect().batch_execute(anew).unwrap();
    database.connect().batch_execute(RIGHTS).unwrap();
    storage::migrate(&database.url).unwrap();
    storage::turn_on_row_level_security(&database.url).unwrap();
    database
}

fn lines(connection: &mut PgConnection, sql: &str) -> Vec<String> {
    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = Text)]
        line: String,
    }
    let lines = sql_query(sql).load::<Line>(connection).unwrap();
    lines.into_iter().map(|line| line.line).collect()
}

/// What tables have beside their storage, each thing as PostgreSQL itself would write it down.
const TABLES: &str = "
    WITH tables AS (
      SELECT c.* FROM pg_class c
       WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition)
    SELECT concat_ws(' ', 'column', t.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                     a.attcollation::regcollation, a.attgenerated, nullif(a.attstattarget, -1),
                     CASE WHEN pg_get_expr(d.adbin, d.adrelid) NOT LIKE 'nextval%' THEN pg_get_expr(d.adbin, d.adrelid) END,
                     col_description(t.oid, a.attnum)) AS line
      FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
      LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum
    UNION ALL SELECT concat_ws(' ', 'constraint', t.relname, k.conname, pg_get_constraintdef(k.oid), k.convalidated,
                               obj_description(k.oid, 'pg_constraint'))
      FROM tables t JOIN pg_constraint k ON k.conrelid = t.oid AND k.conparentid = 0
    UNION ALL SELECT replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ')
      FROM tables t JOIN pg_index i ON i.indrelid = t.oid
    UNION ALL SELECT concat_ws(' ', 'trigger', pg_get_triggerdef(g.oid), obj_description(g.oid, 'pg_trigger'))
      FROM tables t JOIN pg_trigger g ON g.tgrelid = t.oid AND NOT g.tgisinternal
    UNION ALL SELECT concat_ws(' ', 'table', relname, relrowsecurity, relforcerowsecurity, obj_description(oid)) FROM tables
    UNION ALL SELECT concat_ws(' ', 'policy', p.*::text) FROM pg_policies p
    UNION ALL SELECT concat_ws(' ', 'privilege', t.relname, a.grantee, a.privilege_type)
      FROM tables t, aclexplode(t.relacl) AS a
    ORDER BY 1";

/// Where their rows are kept.
const STORAGE: &str = "
    SELECT DISTINCT concat_ws(' ', regexp_replace(relname, '_[0-9]+$', ''), relpersistence, reloptions) AS line
      FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1";

#[actix_rt::test]
async fn a_divided_database_has_what_the_migrations_gave_it() {
    let (before, after) = (undivided(), divided());
    let (mut before, mut after) = (before.connect(), after.connect());
    let mut expected = lines(&mut before, TABLES);
    // Its columns do not have the one that divides the table.
    expected.retain(|line| !line.contains("users_issuer_subject_key"));
    assert_eq!(lines(&mut after, TABLES), expected);
    assert_eq!(lines(&mut after, STORAGE), lines(&mut before, STORAGE));
    let parts = "SELECT inhparent::regclass::text AS line FROM pg_inherits
                  WHERE inhparent IN (SELECT partrelid FROM pg_partitioned_table)
                  GROUP BY 1 HAVING count(*) <> 8";
    assert_eq!(lines(&mut after, parts), [""; 0]);
    let undivided = "SELECT relname::text AS line FROM pg_class
                      WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND NOT relispartition ORDER BY 1";
    assert_eq!(
        lines(&mut after, undivided),
        ["__diesel_schema_migrations", "revocations"]
    );
}

#[actix_rt::test]
async fn a_database_that_has_rows_or_is_divided_is_not_divided() {
    let database = undivided();
    let user = "INSERT INTO users (id, issuer, subject) VALUES (gen_random_uuid(), 'i', 's')";
    database.execute(user).unwrap();
    let before = lines(&mut database.connect(), TABLES);
    let refused = database.connect().batch_execute(PARTITIONS).unwrap_err();
    assert!(refused.to_string().contains("has rows"), "{refused}");
    assert_eq!(lines(&mut database.connect(), TABLES), before);
    let refused = divided().connect().batch_execute(PARTITIONS).unwrap_err();
    assert!(
        refused.to_string().contains("no table to divide"),
        "{refused}"
    );
}

/// How often each table was read, whichever of its indexes or none.
fn scans(connection: &mut PgConnection) -> Vec<(String, i64)> {
    #[derive(QueryableByName)]
    struct Scans {
        #[diesel(sql_type = Text)]
        name: String,
        #[diesel(sql_type = BigInt)]
        scans: i64,
    }
    let sql = "SELECT relname::text AS name, seq_scan + coalesce(idx_scan, 0) AS scans
                 FROM pg_stat_xact_user_tables ORDER BY 1";
    let tables = sql_query(sql).load::<Scans>(connection).unwrap();
    tables.into_iter().map(|t| (t.name, t.scans)).collect()
}

/// Notes which functions of `storage` were called, and which partitions each has read.
struct Watched {
    connection: PgConnection,
    called: BTreeSet<&'static str>,
    read: BTreeSet<String>,
    faults: Vec<String>,
}

impl Watched {
    fn call<T>(
        &mut self,
        name: &'static str,
        call: impl FnOnce(&mut PgConnection) -> Result<T, storage::StorageError>,
    ) -> T {
        self.called.insert(name);
        let before = scans(&mut self.connection);
        let result = call(&mut self.connection).unwrap();
        let after = scans(&mut self.connection);
        let read: Vec<String> = after
            .into_iter()
            .zip(before)
            .filter(|((_, after), (_, before))| after > before)
            .map(|((name, _), _)| name)
            .collect();
        let parts: BTreeSet<_> = read.iter().map(|table| table.rsplit_once('_')).collect();
        let numbers: BTreeSet<_> = parts.iter().map(|part| part.map(|(_, n)| n)).collect();
        if numbers.len() > 1 {
            self.faults.push(format!("{name} reads {read:?}"));
        }
        let tables = parts.into_iter().flatten();
        self.read.extend(tables.map(|(table, _)| table.to_owned()));
        result
    }
}

/// Calls each function of `storage` that is about one user.
fn call_all(watched: &mut Watched) {
    let ann = owner("ann");
    let user = ann.user;
    let given = format!("SET epicme.user_id = '{user}'");
    watched.connection.batch_execute(&given).unwrap();
    let now = chrono::Utc::now();
    let tag = |name: &str| NewTag {
        name: name.to_owned(),
        description: None,
    };
    let mut new_tag = |name: &str, with| {
        let key = key(name, 1).filter(|_| with);
        watched.call("create_tag", |c| {
            tags::create_tag(c, &ann, tag(name), key.as_ref())
        })
    };
    let (first, second) = (new_tag("first", false).id, new_tag("second", true).id);
    let tagged = || NewEntry {
        tags: vec![first, second],
        ..new_entry("tagged")
    };
    let once = key("once", 1);
    let mut new = |entry, key| {
        watched.call("create_entry", |c| {
            entry_creation::create_entry(c, &ann, entry, key)
        })
    };
    let plain = new(new_entry("plain"), None).id;
    let linked = new(tagged(), None).id;
    for _ in 0..2 {
        new(tagged(), once.as_ref());
    }
    watched.call("create_plain", |c| {
        entry_creation::create_plain(c, &ann, &new_entry("p"))
    });

    watched.call("get_entry", |c| entries::get_entry(c, user, plain));
    watched.call("get_entries", |c| {
        entries::get_entries(c, user, &[plain, linked], 1_000)
    });
    watched.call("has_entries", |c| entries::has_entries(c, user));
    for changes in [
        EntryChanges {
            title: Some("longer than before".to_owned()),
            ..EntryChanges::default()
        },
        EntryChanges {
            is_favorite: Some(true),
            ..EntryChanges::default()
        },
    ] {
        watched.call("update_entry", |c| {
            entry_updates::update_entry(c, user, plain, &changes)
        });
    }
    for is_favorite in [None, Some(true), Some(false)] {
        for from in [None, Some(now - chrono::TimeDelta::days(1))] {
            for tags in [vec![], vec![first, second]] {
                let filter = EntryFilter {
                    tags,
                    from,
                    to: None,
                    is_favorite,
                };
                watched.call("list_entries", |c| {
                    entry_lists::list_entries(c, user, &filter, &page(10, None))
                });
            }
        }
    }
    for tags in [&[][..], &[first]] {
        watched.call("count_entries", |c| {
            entry_lists::count_entries(c, user, tags, None, None, 10)
        });
    }
    let of_before = format!("UPDATE entries SET search_form = 0 WHERE user_id = '{user}'");
    for is_of_before in [false, true] {
        if is_of_before {
            watched.connection.batch_execute(&of_before).unwrap();
        }
        for text in [
            "tagged",
            "\"what happened\"",
            "tagged -zebra",
            "plain or tagged",
        ] {
            for page in [SearchPage::NewestFirst(None), SearchPage::ByRelevance(None)] {
                let request = SearchRequest {
                    limit: PageLimit::default(),
                    page,
                };
                let budget = search::SearchBudget::default();
                watched.call("search_entries", |c| {
                    search::search_entries(c, user, &query(text), &request, budget)
                });
            }
        }
    }
    watched.call("cut_words", |c| cut_words::cut_words(c, user));
    watched.call("suggest_entries", |c| {
        suggestions::suggest_entries(c, user, "t")
    });
    watched.call("suggest_tags", |c| suggestions::suggest_tags(c, user, "f"));
    watched.call("usage", |c| quota::usage(c, user));

    watched.call("get_tag", |c| tags::get_tag(c, user, first));
    watched.call("list_tags", |c| {
        tags::list_tags(
            c,
            user,
            &PageRequest {
                limit: PageLimit::new(10).unwrap(),
                after: None,
            },
        )
    });
    watched
        .connection
        .batch_execute(&format!(
            "UPDATE tags SET name_version = 0 WHERE user_id = '{user}';
             INSERT INTO tags (user_id, name, folded_name) VALUES ('{user}', 'Ｆirst', 'ｆirst');
             INSERT INTO entry_tags (user_id, entry_id, tag_id, entry_created_at)
             SELECT t.user_id, e.id, t.id, e.created_at FROM entries e JOIN tags t ON t.user_id = e.user_id
              WHERE e.user_id = '{user}' AND e.id = {} AND t.name = 'Ｆirst'",
            plain.0
        ))
        .unwrap();
    let merged = watched.call("merge_tags", |c| tag_names::merge_tags(c, user));
    assert_eq!(merged.merged.map(|(stays, _)| stays), Some(first));
    watched.call("tags_after", |c| tags::tags_after(c, user, None));
    let changes = TagChanges {
        name: Some("renamed".to_owned()),
        description: None,
    };
    watched.call("update_tag", |c| tags::update_tag(c, user, first, changes));
    for _ in 0..2 {
        watched.call("add_tag_to_entry", |c| {
            entry_tags::add_tag_to_entry(c, user, plain, first)
        });
    }
    watched.call("remove_tag_from_entry", |c| {
        entry_tags::remove_tag_from_entry(c, user, plain, first)
    });
    watched.call("take_tag_off_some", |c| {
        tags::take_tag_off_some(c, user, first)
    });
    watched.call("delete_tag", |c| tags::delete_tag(c, user, first));
    watched.call("delete_entry", |c| entries::delete_entry(c, user, linked));

    let imported = ImportedTag {
        name: "imported".to_owned(),
        description: None,
        created_at: None,
        updated_at: Some(now),
    };
    let tags = watched.call("import_tags", |c| {
        imports::import_tags(c, &ann, &[imported.clone(), imported])
    });
    let [TagImport::Added(tag), TagImport::There(same)] = tags[..] else {
        panic!("{tags:?}");
    };
    assert_eq!(tag, same);
    let imported = ImportedEntry {
        entry: NewEntry {
            tags: vec![tag],
            ..new_entry("imported")
        },
        created_at: now,
        updated_at: now,
    };
    let entries = watched.call("import_entries", |c| {
        imports::import_entries(c, &ann, &[imported.clone(), imported])
    });
    assert!(
        matches!(entries[..], [EntryImport::Added(_), EntryImport::There]),
        "{entries:?}"
    );

    let export = ExportId(7);
    watched.call("begin_export", |c| {
        exports::begin_export(c, user, export, ExportFormat::Json)
    });
    watched.call("next_entries", |c| {
        exports::next_entries(c, user, None, now, 1_000)
    });
    watched.call("append_to_export", |c| {
        exports::append_to_export(c, user, export, 0, "text")
    });
    watched.call("finish_export", |c| {
        exports::finish_export(c, user, export, 1)
    });
    watched.call("get_export", |c| exports::get_export(c, user, export));
    watched.call("read_export_part", |c| {
        exports::read_export_part(c, user, export, 0)
    });

    let session = StoredSession {
        user,
        name: SessionName::from_bytes([7; 12]),
        until: now + chrono::TimeDelta::days(1),
    };
    for change in [
        SessionChange::LogLevel(Level::Warning),
        SessionChange::Subscribed("uri".to_owned()),
        SessionChange::Unsubscribed("uri".to_owned()),
        SessionChange::Ended,
    ] {
        watched.call("change", |c| sessions::change(c, &session, &change));
    }
    watched.call("load", |c| sessions::load(c, user, session.name));
    watched.call("keep_answer", |c| {
        sessions::keep_answer(c, &session, "question", "{}")
    });
    watched.call("take_answer", |c| {
        sessions::take_answer(c, &session, "question")
    });
    watched.call("use_up", |c| request_states::use_up(c, user, [7; 12]));

    let count = |name: &str| {
        let key = ActivityKey {
            user,
            client: None,
            feature: Feature {
                kind: FeatureKind::Tool,
                name: name.to_owned().into(),
                writes: true,
            },
            outcome: Outcome::Done,
            hour: now,
        };
        (
            key,
            Tally {
                count: 1,
                first_at: now,
                last_at: now,
            },
        )
    };
    let counts = [count("a"), count("b")];
    for _ in 0..2 {
        watched.call("add_activity", |c| activity::add_activity(c, &counts));
    }
    for client in [None, Some("c")] {
        watched.call("list_activity", |c| {
            activity::list_activity(c, user, client, &page(10, None))
        });
    }
    watched.call("list_clients", |c| activity::list_clients(c, user));
}

/// The functions of `storage` that take a connection.
fn functions() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/storage");
    let mut found = BTreeSet::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        // Of nobody's rows, of everybody's, or of several users'.
        let of_others = [
            "pool.rs",
            "revocations.rs",
            "housekeeping.rs",
            "entry_batches.rs",
        ];
        if of_others.contains(&name) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for function in text.split("\npub fn ").skip(1) {
            let signature = function.split('{').next().unwrap();
            if signature.contains("connection: &mut PgConnection") {
                found.insert(signature.split(['(', '<']).next().unwrap().to_owned());
            }
        }
    }
    found
}

#[actix_rt::test]
async fn a_statement_with_a_user_reads_one_partition_of_each_table() {
    // A plan for any user, which a connection makes of a statement that it has run five times, and one for this one.
    for plans in ["force_generic_plan", "force_custom_plan"] {
        let database = divided();
        let mut watched = Watched {
            connection: database.connect(),
            called: BTreeSet::new(),
            read: BTreeSet::new(),
            faults: Vec::new(),
        };
        let settings = format!(
            "SET plan_cache_mode = {plans}; SET epicme.counts_tags = 'on'; SET epicme.keys_tags = 'on'"
        );
        watched.connection.batch_execute(&settings).unwrap();
        call_all(&mut watched);
        assert_eq!(watched.faults, [""; 0], "{plans}");
        let called: BTreeSet<_> = watched
            .called
            .iter()
            .map(|name| (*name).to_owned())
            .collect();
        assert_eq!(called, functions());
        assert!(watched.read.len() > 10, "{:?}", watched.read);
    }
    // What reads more than one is found.
    let database = divided();
    let mut watched = Watched {
        connection: database.connect(),
        called: BTreeSet::new(),
        read: BTreeSet::new(),
        faults: Vec::new(),
    };
    watched.call("all", |c| {
        let all = "SELECT count(*)::text AS line FROM entries WHERE id = 1";
        Ok(lines(c, all))
    });
    assert_eq!(watched.faults.len(), 1);
}
