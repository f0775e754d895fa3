//! `docs/REQUIREMENTS.md` and the tests that it names, held together: what the page says of a test, the
//! test says of itself, in a doc comment such as `/// T-05, D-14.` And `docs/SECURITY.md`, whose tests
//! have to be there.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

const PAGE: &str = "docs/REQUIREMENTS.md";

/// What stands in the last column where there is no test.
const WITHOUT_A_TEST: [&str; 3] = ["does not apply: ", "left to the operator: ", "not held: "];

/// A test, by its file and its name.
type Named = (String, String);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The rows of the page: an id, and what holds it.
fn rows() -> Vec<(String, String)> {
    let page = fs::read_to_string(root().join(PAGE)).unwrap();
    page.lines().filter_map(row).collect()
}

fn row(line: &str) -> Option<(String, String)> {
    let cells: Vec<_> = line.strip_prefix("| ")?.split(" | ").collect();
    is_id(cells[0]).then(|| {
        assert_eq!(cells.len(), 6, "{line}");
        let held = cells[5].strip_suffix(" |").expect("the row has an end");
        (cells[0].to_owned(), held.to_owned())
    })
}

/// The tests that a cell names.
fn tests_of(held: &str) -> Vec<Named> {
    held.split("<br>")
        .map(|test| {
            let test = test
                .strip_prefix('`')
                .and_then(|test| test.strip_suffix('`'));
            let (file, name) = test
                .and_then(|test| test.split_once(": "))
                .unwrap_or_else(|| panic!("{held} names no test and gives no reason"));
            (file.to_owned(), name.to_owned())
        })
        .collect()
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
    let mut folders: Vec<PathBuf> = ["src", "crates", "tests"]
        .map(|name| root().join(name))
        .into();
    let mut sources = BTreeMap::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().path();
            if file.is_dir() {
                if !file.ends_with("node_modules") {
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

#[test]
fn every_requirement_has_a_row_and_every_row_is_held_or_says_why_not() {
    let mut numbers: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (id, held) in rows() {
        let (group, number) = id.split_once('-').unwrap();
        numbers
            .entry(group.to_owned())
            .or_default()
            .push(number.parse().unwrap());
        if let Some(reason) = WITHOUT_A_TEST
            .iter()
            .find_map(|start| held.strip_prefix(start))
        {
            assert!(reason.len() > 10, "{id} has no reason");
        } else {
            assert!(!tests_of(&held).is_empty(), "{id}");
        }
    }
    assert!(numbers.len() > 10, "the page is found");
    for (group, numbers) in numbers {
        let without_a_gap: Vec<_> = (1..=numbers.len()).collect();
        assert_eq!(numbers, without_a_gap, "{group}");
    }
}

#[test]
fn the_page_and_the_tests_say_the_same() {
    let mut by_the_page: BTreeMap<Named, BTreeSet<String>> = BTreeMap::new();
    for (id, held) in rows() {
        if WITHOUT_A_TEST.iter().any(|start| held.starts_with(start)) {
            continue;
        }
        for (file, name) in tests_of(&held) {
            if Path::new(&file)
                .extension()
                .is_some_and(|kind| kind == "rs")
            {
                by_the_page
                    .entry((file, name))
                    .or_default()
                    .insert(id.clone());
            } else {
                let script = fs::read_to_string(root().join(&file));
                let script = script.unwrap_or_else(|_| panic!("{id}: there is no {file}"));
                assert!(script.contains(&name), "{id}: {file} has no {name:?}");
            }
        }
    }
    let mut by_the_tests = BTreeMap::new();
    for (file, source) in sources() {
        let (tests, stray) = read(&source);
        assert_eq!(stray, [""; 0], "{file}: ids above what is no test");
        for (name, ids) in tests {
            let named = (file.clone(), name);
            match by_the_page.get(&named) {
                None => assert_eq!(ids, BTreeSet::new(), "{named:?} is not in {PAGE}"),
                Some(expected) => assert_eq!(&ids, expected, "{named:?}"),
            }
            by_the_tests.insert(named, ids);
        }
    }
    for named in by_the_page.keys() {
        assert!(by_the_tests.contains_key(named), "there is no {named:?}");
    }
}

const SECURITY_PAGE: &str = "docs/SECURITY.md";

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
fn every_test_that_the_page_about_security_names_is_there() {
    let page = fs::read_to_string(root().join(SECURITY_PAGE)).unwrap();
    let sources = sources();
    let tests: BTreeSet<Named> = sources
        .iter()
        .flat_map(|(file, source)| {
            let names = read(source).0.into_keys();
            names.map(|name| (file.clone(), name))
        })
        .collect();
    let named = named_in(&page);
    assert!(named.len() > 100, "the tests are found");
    for named in named {
        assert!(tests.contains(&named), "there is no {named:?}");
    }
}

#[test]
fn every_class_of_failure_has_a_test_and_every_ask_an_answer() {
    let page = fs::read_to_string(root().join(SECURITY_PAGE)).unwrap();
    let classes = parts(&page, "\n### ");
    assert!(classes.len() > 14, "the classes are found");
    for class in classes {
        assert!(!named_in(class).is_empty(), "{class}");
    }
    for (number, row) in (1..).zip(parts(&page, "\n| ").into_iter().skip(1)) {
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
    let row = row("| T-02 | MUST | both | what | where | `a.rs: b`<br>`c.mjs: d: e` |").unwrap();
    let named = [("a.rs", "b"), ("c.mjs", "d: e")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!((row.0.as_str(), tests_of(&row.1)), ("T-02", named.into()));
}
