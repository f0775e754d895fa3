//! Every statement of the journal is about one user's rows: read in the source of `storage`, so that a
//! condition that is forgotten is found before anybody's rows are.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// The files that may reach rows without a user: one deletes everybody's that have expired and returns a count,
/// the other has the revocations, which are the server's own.
const WITHOUT_A_USER: [&str; 2] = ["housekeeping.rs", "revocations.rs"];

/// The files whose statements write rows of several users, each row with its owner: entries of a group commit, and
/// counts of activity. With `EPICME_GROUP_COMMIT=off` each of these is run for one user.
const OF_SEVERAL_USERS: [&str; 2] = ["activity.rs", "entry_batches.rs"];

/// The table whose rows are the server's own.
const OF_THE_SERVER: &str = "revocations";

/// The files that speak of tables, roles and settings, and of no row.
const OF_TABLES: [&str; 6] = [
    "inspection.rs",
    "migration_session.rs",
    "migration_watch.rs",
    "migrations.rs",
    "row_security.rs",
    "row_security_inspection.rs",
];

/// The files of `storage` as they are compiled, by name.
fn sources() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/storage");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    files
        .map(|file| {
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            let text = fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let lines = code
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            (name, lines.collect::<Vec<_>>().join("\n"))
        })
        .collect()
}

/// The tables, and the column of each that says whose a row is.
fn tables(schema: &str) -> BTreeMap<String, &'static str> {
    let names = schema.lines().filter_map(|line| {
        let (name, _) = line.strip_prefix("    ")?.split_once(" (")?;
        (line.ends_with(") {") && !name.contains(' ')).then(|| name.to_owned())
    });
    names
        .map(|name| {
            let owner = if name == "users" { "id" } else { "user_id" };
            (name, owner)
        })
        .collect()
}

/// The body of each macro of a source.
fn macros(source: &str) -> BTreeMap<String, String> {
    source
        .split("macro_rules! ")
        .skip(1)
        .map(|rest| {
            let name = rest.split(' ').next().unwrap().to_owned();
            let body = rest.split("\n}\n").next().unwrap().to_owned();
            (name, body)
        })
        .collect()
}

/// The functions and constants of a source, by the first line of each, with the macros in them written
/// out.
fn items(source: &str, macros: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let mut items: Vec<(String, String)> = Vec::new();
    for line in source.lines() {
        let begins = !line.starts_with([' ', '}', ')', ']', '#']) && !line.is_empty();
        if begins || items.is_empty() {
            items.push((line.to_owned(), String::new()));
        }
        let (_, text) = items.last_mut().unwrap();
        text.push_str(line);
        text.push('\n');
    }
    items.retain(|(head, _)| !head.starts_with("macro_rules!"));
    for (_, text) in &mut items {
        while let Some((name, at)) = macros
            .keys()
            .find_map(|name| Some((name, text.find(&format!("{name}!("))?)))
        {
            text.replace_range(at..=at + name.len() + 1, &format!("{}(", macros[name]));
        }
    }
    items
}

/// The words of all string literals of a piece of code, with parentheses and commas as words.
fn words(code: &str) -> Vec<String> {
    let sql: Vec<_> = code.split('"').skip(1).step_by(2).collect();
    let mut spaced = sql.join(" ");
    for mark in ["(", ")", ","] {
        spaced = spaced.replace(mark, &format!(" {mark} "));
    }
    spaced.split_whitespace().map(str::to_owned).collect()
}

/// The tables that are named without a condition on whose the rows are.
fn unbound(words: &[String], tables: &BTreeMap<String, &'static str>) -> Vec<String> {
    let mut found = Vec::new();
    for (at, pair) in words.windows(2).enumerate() {
        let Some(owner) = tables.get(&pair[1]) else {
            continue;
        };
        let rest = &words[at + 2..];
        let is_bound = match pair[0].as_str() {
            "INTO" => {
                let columns = rest.iter().skip_while(|word| *word != "(").skip(1);
                columns
                    .take_while(|word| *word != ")")
                    .any(|word| word == owner)
            }
            "FROM" | "JOIN" | "UPDATE" => is_about_one_user(rest, owner),
            _ => continue,
        };
        if !is_bound {
            found.push(format!("{} {}", pair[0], pair[1]));
        }
    }
    found
}

/// Whether what follows a table's name compares its owner with the caller, or with the owner of a table
/// that is compared itself: in the same query, not in one within it.
fn is_about_one_user(rest: &[String], owner: &str) -> bool {
    let alias = rest.first().filter(|word| {
        word.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    });
    let column = alias.map_or(owner.to_owned(), |alias| format!("{alias}.{owner}"));
    let is_owner = |word: &str| word == "$1" || word.ends_with(".user_id");
    let mut depth = 0;
    for (at, word) in rest.iter().enumerate() {
        match word.as_str() {
            "(" => depth += 1,
            ")" if depth == 0 => return false,
            ")" => depth -= 1,
            "SELECT" | "INSERT" | "DELETE" if depth == 0 => return false,
            "=" if depth == 0 && at > 0 => {
                let (left, right) = (&rest[at - 1], rest.get(at + 1).map_or("", String::as_str));
                if (*left == column && is_owner(right)) || (right == column && is_owner(left)) {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

#[test]
fn every_statement_is_about_the_rows_of_one_user() {
    let sources = sources();
    let mut tables = tables(&sources["schema.rs"]);
    assert!(tables.remove(OF_THE_SERVER).is_some());
    // A view of `entries`.
    tables.insert("own_entries".to_owned(), "user_id");
    let macros: BTreeMap<_, _> = sources.values().flat_map(|source| macros(source)).collect();
    let (mut named, mut faults) = (BTreeSet::new(), Vec::new());
    for (file, source) in sources
        .iter()
        .filter(|(file, _)| !WITHOUT_A_USER.contains(&file.as_str()))
    {
        assert!(!source.contains("INTO revocations") && !source.contains("FROM revocations"));
        for (head, text) in items(source, &macros) {
            let words = words(&text);
            named.extend(
                words
                    .iter()
                    .filter(|word| tables.contains_key(*word))
                    .cloned(),
            );
            for fault in unbound(&words, &tables) {
                faults.push(format!("{file}, {head}: {fault}"));
            }
            // Diesel's own language.
            let (queries, filters) = (
                text.matches("::table\n").count(),
                text.matches("::user_id.eq(user.as_uuid())").count(),
            );
            let is_free = text.contains("insert_into(")
                || (text.contains("sql_query(") && !OF_TABLES.contains(&file.as_str()));
            if queries > filters || is_free {
                faults.push(format!(
                    "{file}, {head}: a query that is not filtered by its user"
                ));
            }
        }
    }
    assert_eq!(faults, [""; 0]);
    let all: BTreeSet<_> = tables.into_keys().collect();
    assert_eq!(named, all, "the statements on every table are found");
}

/// Whoever divides the tables by user has each statement go to one part. A statement for several users names them by
/// an array.
#[test]
fn only_group_commit_writes_for_several_users() {
    let sources = sources();
    let several = sources.iter().filter(|(_, source)| {
        source.contains("Array<Uuid>") || source.contains("Array<diesel::sql_types::Uuid>")
    });
    let several: Vec<_> = several.map(|(file, _)| file.as_str()).collect();
    assert_eq!(several, OF_SEVERAL_USERS);
}

#[test]
fn a_statement_without_its_user_is_found() {
    let tables = [("users", "id"), ("entries", "user_id"), ("tags", "user_id")];
    let tables = tables.map(|(name, owner)| (name.to_owned(), owner)).into();
    let unbound = |sql: &str| unbound(&words(&format!("\"{sql}\"")), &tables);
    for bound in [
        "SELECT id FROM entries WHERE user_id = $1 AND id = $2",
        "SELECT e.id FROM entries e JOIN tags t ON t.user_id = e.user_id WHERE e.user_id = $1",
        "INSERT INTO tags AS t (user_id, name) VALUES ($1, $2)",
        "UPDATE entries e SET title = coalesce($2, title) WHERE e.user_id = $1",
        "INSERT INTO users (id) SELECT $1 WHERE NOT EXISTS (SELECT FROM users WHERE id = $1)",
    ] {
        assert_eq!(unbound(bound), [""; 0], "{bound}");
    }
    for (sql, fault) in [
        ("SELECT id FROM entries WHERE id = $2", "FROM entries"),
        (
            "DELETE FROM tags WHERE id IN (SELECT id FROM entries WHERE user_id = $1)",
            "FROM tags",
        ),
        (
            "SELECT id FROM tags UNION SELECT id FROM entries WHERE user_id = $1",
            "FROM tags",
        ),
        ("UPDATE entries SET title = $1", "UPDATE entries"),
        (
            "UPDATE entries SET user_id = $2 WHERE id = $1",
            "UPDATE entries",
        ),
        ("INSERT INTO tags (name) VALUES ($1)", "INTO tags"),
        (
            "SELECT FROM entries e JOIN tags t ON t.id = e.id WHERE e.user_id = $1",
            "JOIN tags",
        ),
        ("SELECT FROM entries e WHERE user_id = $1", "FROM entries"),
    ] {
        assert_eq!(unbound(sql), [fault], "{sql}");
    }
}
