//! Pages that name tests. `docs/REQUIREMENTS.md` says which tests hold each requirement: that column is
//! written from the tests, whose doc comments name the requirement: `/// T-05, D-14.` `docs/SECURITY.md`,
//! `docs/THREATS.md` and `docs/REQUESTS.md` are written by hand, and every test that they name has to be there.
//!
//! `UPDATE_PAGES=1 cargo test --test requirements` writes the column anew, and corrects the files of tests
//! that have moved in the other page.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

const PAGE: &str = "docs/REQUIREMENTS.md";
const SECURITY_PAGE: &str = "docs/SECURITY.md";
const THREATS_PAGE: &str = "docs/THREATS.md";
const REQUESTS_PAGE: &str = "docs/REQUESTS.md";

/// What brings the pages up to date.
const UPDATE: &str = "UPDATE_PAGES=1 cargo test --test requirements";

/// What stands in the last column where there is no test.
const WITHOUT_A_TEST: [&str; 3] = ["does not apply: ", "left to the operator: ", "not held: "];

/// A test, by its file and its name.
type Named = (String, String);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn is_to_update() -> bool {
    std::env::var_os("UPDATE_PAGES").is_some()
}

/// Holds a page against what it has to be, or writes it.
fn hold(page: &str, is: &str, has_to_be: &str) {
    if is_to_update() {
        fs::write(root().join(page), has_to_be).unwrap();
        return;
    }
    for (is, has_to_be) in is.lines().zip(has_to_be.lines()) {
        assert_eq!(is, has_to_be, "{page} is out of date: run `{UPDATE}`");
    }
    assert_eq!(is.lines().count(), has_to_be.lines().count());
}

/// A row of the table: the requirement, and what is said in the last column.
struct Row<'a> {
    id: &'a str,
    /// The line up to the last column.
    start: &'a str,
    held: &'a str,
}

fn row(line: &str) -> Option<Row<'_>> {
    let cells: Vec<_> = line.strip_prefix("| ")?.split(" | ").collect();
    is_id(cells[0]).then(|| {
        assert_eq!(cells.len(), 6, "{line}");
        let held = cells[5].strip_suffix(" |").expect("the row has an end");
        let start = line
            .strip_suffix(" |")
            .and_then(|line| line.strip_suffix(held));
        Row {
            id: cells[0],
            start: start.expect("the last cell is at the end"),
            held,
        }
    })
}

impl Row<'_> {
    /// Why there is no test.
    fn reason(&self) -> Option<&str> {
        WITHOUT_A_TEST
            .iter()
            .find_map(|start| self.held.strip_prefix(start))
    }

    /// The checks of scripts that the cell names, which have no doc comments: a file and a text in it.
    fn checks_of_scripts(&self) -> Vec<(&str, &str)> {
        let checks = self.held.split("<br>").filter_map(|check| {
            let check = check.strip_prefix('`')?.strip_suffix('`')?;
            check
                .split_once(": ")
                .filter(|(file, _)| !file.ends_with(".rs"))
        });
        checks.collect()
    }

    /// The row with these tests.
    fn with(&self, tests: &BTreeSet<Named>) -> String {
        if self.reason().is_some() {
            return format!("{}{} |", self.start, self.held);
        }
        let tests = tests.iter().map(|(file, name)| format!("`{file}: {name}`"));
        let scripts = self.checks_of_scripts().into_iter();
        let scripts = scripts.map(|(file, text)| format!("`{file}: {text}`"));
        let held: Vec<_> = tests.chain(scripts).collect();
        format!("{}{} |", self.start, held.join("<br>"))
    }
}

/// Whether it is an id: letters, a dash, two digits.
fn is_id(text: &str) -> bool {
    text.split_once('-').is_some_and(|(group, number)| {
        !group.is_empty()
            && group.bytes().all(|byte| byte.is_ascii_uppercase())
            && number.len() == 2
            && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// The ids of a line of a doc comment that has nothing else.
fn ids(comment: &str) -> Option<Vec<&str>> {
    let ids: Vec<_> = comment
        .trim()
        .trim_end_matches([',', '.'])
        .split(", ")
        .collect();
    ids.iter().all(|id| is_id(id)).then_some(ids)
}

/// Every test of a source file with the ids above it, and the ids that stand above no test.
fn read(source: &str) -> (BTreeMap<String, BTreeSet<String>>, Vec<String>) {
    let (mut tests, mut stray) = (BTreeMap::new(), Vec::new());
    let (mut above, mut is_test) = (BTreeSet::new(), false);
    for line in source.lines().map(str::trim_start) {
        if let Some(comment) = line.strip_prefix("///") {
            above.extend(ids(comment).into_iter().flatten().map(str::to_owned));
        } else if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[actix_rt::test]");
        } else {
            let name = line.trim_start_matches("async ").strip_prefix("fn ");
            match name.and_then(|name| name.split_once('(')) {
                Some((name, _)) if is_test => {
                    tests.insert(name.to_owned(), std::mem::take(&mut above));
                }
                _ => stray.extend(std::mem::take(&mut above)),
            }
            is_test = false;
        }
    }
    (tests, stray)
}

/// Every file of Rust, by its path from the root, but this one, which has samples in it.
fn sources() -> BTreeMap<String, String> {
    let mut folders: Vec<PathBuf> = ["src", "crates", "fuzz", "tests"]
        .map(|name| root().join(name))
        .into_iter()
        .filter(|folder| folder.is_dir())
        .collect();
    let mut sources = BTreeMap::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().path();
            if file.is_dir() {
                if !file.ends_with("node_modules") && !file.ends_with("target") {
                    folders.push(file);
                }
            } else if file.extension().is_some_and(|extension| extension == "rs") {
                let name = file.strip_prefix(root()).unwrap().to_str().unwrap();
                if name != file!() {
                    sources.insert(name.to_owned(), fs::read_to_string(&file).unwrap());
                }
            }
        }
    }
    sources
}

/// The tests that name each requirement.
fn tests_by_id() -> BTreeMap<String, BTreeSet<Named>> {
    let mut by_id: BTreeMap<String, BTreeSet<Named>> = BTreeMap::new();
    for (file, source) in sources() {
        let (tests, stray) = read(&source);
        assert_eq!(
            stray, [""; 0],
            "{file}: requirements named above what is no test"
        );
        for (name, ids) in tests {
            for id in ids {
                let named = (file.clone(), name.clone());
                by_id.entry(id).or_default().insert(named);
            }
        }
    }
    by_id
}

#[test]
fn every_requirement_has_a_test_or_a_reason_why_not() {
    let page = fs::read_to_string(root().join(PAGE)).unwrap();
    let mut by_id = tests_by_id();
    let mut numbers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for row in page.lines().filter_map(row) {
        let (group, number) = row.id.split_once('-').unwrap();
        numbers
            .entry(group)
            .or_default()
            .push(number.parse().unwrap());
        let id = row.id;
        let tests = by_id.remove(id).unwrap_or_default();
        let scripts = row.checks_of_scripts();
        for (file, text) in &scripts {
            let script = fs::read_to_string(root().join(file));
            let script = script.unwrap_or_else(|_| panic!("{id}: there is no {file}"));
            assert!(
                script.contains(text),
                "{id}: {file} does not contain {text:?}"
            );
        }
        match row.reason() {
            None => assert!(
                !tests.is_empty() || !scripts.is_empty(),
                "{id}: no test names it in its doc comment; {PAGE} says what it asks for"
            ),
            Some(reason) => {
                assert!(reason.len() > 10, "{id} has no reason");
                assert!(
                    tests.is_empty(),
                    "{id}: {PAGE} says that there is no test, but {tests:?}"
                );
            }
        }
    }
    assert!(
        by_id.is_empty(),
        "named by tests and not in {PAGE}: {by_id:?}"
    );
    for (group, numbers) in numbers {
        let without_a_gap: Vec<_> = (1..=numbers.len()).collect();
        assert_eq!(numbers, without_a_gap, "{group}");
    }
}

#[test]
fn the_page_names_the_tests_that_hold_each_requirement() {
    let page = fs::read_to_string(root().join(PAGE)).unwrap();
    let by_id = tests_by_id();
    let none = BTreeSet::new();
    let lines = page
        .split_inclusive('\n')
        .map(|line| match row(line.trim_end()) {
            Some(row) => row.with(by_id.get(row.id).unwrap_or(&none)) + "\n",
            None => line.to_owned(),
        });
    hold(PAGE, &page, &lines.collect::<String>());
}

/// The tests that a page names anywhere: `file.rs: name`.
fn named_in(page: &str) -> Vec<Named> {
    page.split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|code| code.split_once(".rs: "))
        .map(|(file, name)| (format!("{file}.rs"), name.to_owned()))
        .collect()
}

/// The sections of a page, or the rows of its table, by how each begins.
fn parts<'a>(page: &'a str, mark: &str) -> Vec<&'a str> {
    page.split(mark).skip(1).collect()
}

#[test]
fn every_test_that_the_pages_about_security_name_is_there() {
    let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (file, source) in sources() {
        for name in read(&source).0.into_keys() {
            files.entry(name).or_default().push(file.clone());
        }
    }
    for title in [SECURITY_PAGE, THREATS_PAGE, REQUESTS_PAGE] {
        let page = fs::read_to_string(root().join(title)).unwrap();
        let mut up_to_date = page.clone();
        for (file, name) in named_in(&page) {
            let files = files.get(&name).map_or(&[][..], Vec::as_slice);
            match files {
                _ if files.contains(&file) => {}
                [moved] => {
                    let (before, after) =
                        (format!("`{file}: {name}`"), format!("`{moved}: {name}`"));
                    up_to_date = up_to_date.replace(&before, &after);
                }
                _ => panic!("{title}: there is no test `{name}` in {file}, but in {files:?}"),
            }
        }
        hold(title, &page, &up_to_date);
    }
}

#[test]
fn every_class_of_failure_has_a_test() {
    let page = fs::read_to_string(root().join(SECURITY_PAGE)).unwrap();
    let classes = parts(&page, "\n### ");
    assert!(!classes.is_empty(), "the classes are found");
    for class in classes {
        assert!(!named_in(class).is_empty(), "{class}");
    }
}

#[test]
fn every_request_has_an_answer() {
    let page = fs::read_to_string(root().join(REQUESTS_PAGE)).unwrap();
    let rows = parts(&page, "\n| ");
    assert!(rows.len() > 1, "the table is found");
    for (number, row) in (1..).zip(rows.into_iter().skip(1)) {
        let cells: Vec<_> = row.lines().next().unwrap().split(" | ").collect();
        assert_eq!((cells[0], cells.len()), (&*number.to_string(), 5), "{row}");
        let answer = ["done", "partly: ", "not: ", "does not apply: "];
        assert!(
            answer.iter().any(|start| cells[3].starts_with(start)),
            "{row}"
        );
        let is_shown = !named_in(cells[4]).is_empty() || cells[4].contains(".md)");
        assert_eq!(is_shown, !cells[4].starts_with("none"), "{row}");
    }
}

#[test]
fn every_threat_has_a_test_or_is_left_to_somebody() {
    let page = fs::read_to_string(root().join(THREATS_PAGE)).unwrap();
    let rows = parts(&page, "\n| ");
    assert!(rows.len() > 10, "the table is found");
    for row in rows.into_iter().skip(1) {
        let row = row.lines().next().unwrap();
        let is_left = row.contains("left to the operator: ");
        assert!(is_left || !named_in(row).is_empty(), "{row}");
    }
}

#[test]
fn ids_are_read_where_they_stand_alone() {
    let source = "
        /// What it is about. T-01
        /// T-02, SEC-03,
        /// D-04.
        #[actix_rt::test]
        async fn one() {
            /// L-05.
            let no_test = 1;
        }

        #[test]
        fn two(x in any::<u8>()) {}
    ";
    let (tests, stray) = read(source);
    let one: BTreeSet<_> = ["T-02", "SEC-03", "D-04"].map(str::to_owned).into();
    assert_eq!(
        tests,
        [("one".to_owned(), one), ("two".to_owned(), BTreeSet::new())].into()
    );
    assert_eq!(stray, ["L-05"]);
    let line = "| T-02 | MUST | both | what | where | `a.rs: b`<br>`c.mjs: d: e` |";
    let row = row(line).unwrap();
    assert_eq!((row.id, row.reason()), ("T-02", None));
    assert_eq!(row.checks_of_scripts(), [("c.mjs", "d: e")]);
    let tests = [("a.rs".to_owned(), "z".to_owned())].into();
    assert_eq!(row.with(&tests), line.replace("b`<", "z`<"));
}
