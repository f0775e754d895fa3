//! What the crates and their modules may know of each other: the rules of `docs/ARCHITECTURE.md`, held
//! against the source.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

#[path = "architecture/paths.rs"]
mod paths;

/// The longest file, in lines: what a person reads in one sitting.
const LONGEST: usize = 500;

/// Nine files of ten are no longer.
const LONG: usize = 370;

/// The libraries, from the one that knows least.
const LIBRARIES: [&str; 3] = ["mcp-protocol", "resource-server", "mcp-server"];

/// What none of the libraries is about.
const OF_THE_JOURNAL: [&str; 4] = ["epicme", "journal", "postgres", "diesel"];

#[test]
fn the_libraries_know_nothing_of_the_journal() {
    let mut found = Vec::new();
    for library in LIBRARIES {
        for source in sources_of(&format!("crates/{library}/src")) {
            // Examples in tests may speak of anything.
            let text = source.text.to_lowercase();
            for word in OF_THE_JOURNAL {
                if text.contains(word) {
                    found.push(format!("{word} in {}", source.file.display()));
                }
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_libraries_bring_no_database() {
    for library in LIBRARIES {
        let tree = Command::new(env!("CARGO"))
            .args(["tree", "--locked", "--offline", "-p", library])
            .args(["-e", "normal", "--prefix", "none"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(tree.status.success(), "{tree:?}");
        let tree = String::from_utf8(tree.stdout).unwrap();
        assert!(tree.starts_with(library), "{tree}");
        let database = ["diesel", "pq-sys", "r2d2", "private-postgres"]
            .into_iter()
            .find(|name| {
                tree.lines()
                    .any(|line| line.split(' ').next() == Some(name))
            });
        assert_eq!(database, None, "{library}");
    }
}

/// The protocol and the rules about tokens are of use without each other.
#[test]
fn no_library_depends_on_one_above_it() {
    for (library, others) in [
        ("mcp-protocol", &["mcp-server", "resource-server"][..]),
        ("resource-server", &["mcp-protocol", "mcp-server"]),
    ] {
        let manifest = format!("crates/{library}/Cargo.toml");
        let manifest = fs::read_to_string(root().join(manifest)).unwrap();
        let (_, dependencies) = manifest.split_once("\n[dependencies]\n").unwrap();
        for other in others {
            let depends = dependencies.lines().any(|line| line.starts_with(other));
            assert!(!depends, "{library} depends on {other}");
        }
    }
}

#[test]
fn what_differs_between_eras_stands_in_the_protocol() {
    // The route of each era, and a label of the metrics, which decides nothing.
    let may = ["http/mcp/endpoint.rs", "http/mcp/legacy.rs", "metrics/"];
    for source in sources_of("crates/mcp-server/src") {
        let path = source.file.to_str().unwrap().to_owned();
        if may.iter().any(|part| path.contains(part)) {
            continue;
        }
        let named = source
            .paths
            .iter()
            .filter(|path| !path.starts_with("metrics::"))
            .find(|path| path.contains("ProtocolVersion::V2") || path.contains("Era::Modern"));
        assert_eq!(named, None, "{path} tells the eras apart");
    }
}

#[test]
fn a_file_can_be_read_in_one_sitting() {
    let mut lengths: Vec<_> = source_folders()
        .iter()
        .flat_map(|folder| sources_of(folder))
        .map(|source| (source.lines, source.file))
        .collect();
    lengths.sort();
    let (longest, file) = lengths.last().unwrap();
    assert!(
        *longest <= LONGEST,
        "{} has {longest} lines",
        file.display()
    );
    let (long, file) = &lengths[lengths.len() * 9 / 10];
    assert!(*long <= LONG, "{} has {long} lines", file.display());
}

#[test]
fn no_two_files_import_each_other() {
    let mut pairs = Vec::new();
    for folder in source_folders() {
        let sources = sources_of(&folder);
        let by_module: BTreeMap<_, _> = sources
            .iter()
            .map(|source| (source.module.clone(), source))
            .collect();
        let imports: BTreeMap<_, BTreeSet<_>> = sources
            .iter()
            .map(|source| (source.module.clone(), source.imports(&by_module)))
            .collect();
        for (module, others) in &imports {
            for other in others {
                // A module and those in it are one thing that is spread over files.
                let within = other.starts_with(module) || module.starts_with(other);
                if !within && module < other && imports[other].contains(module) {
                    let (one, other) = (module.join("::"), other.join("::"));
                    pairs.push(format!("{folder}: {one} and {other}"));
                }
            }
        }
    }
    assert!(pairs.is_empty(), "these import each other: {pairs:#?}");
}

#[test]
fn the_reader_of_imports_reads_trees() {
    let paths = paths::of(
        "use crate::{\n    a::{b, C as D},\n    e::*,\n};\nlet x = std::env::var(y)::<z::w>();",
    );
    let names = [
        "crate::a::b",
        "crate::a::C",
        "crate::e",
        "std::env::var",
        "z::w",
    ];
    assert_eq!(paths, names);
}

/// One file, without its comments and its unit tests.
struct Source {
    file: PathBuf,
    lines: usize,
    text: String,
    /// Its module, as a path.
    module: Vec<String>,
    /// Every path of two names or more that it writes.
    paths: Vec<String>,
}

impl Source {
    /// The modules of this crate that it names.
    fn imports(&self, modules: &BTreeMap<Vec<String>, &Source>) -> BTreeSet<Vec<String>> {
        let paths = self.paths.iter();
        paths
            .filter_map(|path| self.module_of(path, modules))
            .filter(|module| *module != self.module)
            .collect()
    }

    /// The module that a path leads to, if it stays within this crate.
    fn module_of(
        &self,
        path: &str,
        modules: &BTreeMap<Vec<String>, &Source>,
    ) -> Option<Vec<String>> {
        let mut names = path.split("::").map(str::to_owned).peekable();
        let mut module = match names.next()?.as_str() {
            "crate" => Vec::new(),
            "super" => {
                let mut module = self.module.clone();
                module.pop();
                while names.next_if(|name| name == "super").is_some() {
                    module.pop();
                }
                module
            }
            _ => return None,
        };
        module.extend(names);
        while !modules.contains_key(&module) {
            module.pop()?;
        }
        Some(module)
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `src` of every crate.
fn source_folders() -> Vec<String> {
    let mut folders = vec!["src".to_owned()];
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let name = entry.unwrap().file_name();
        folders.push(format!("crates/{}/src", name.to_str().unwrap()));
    }
    folders
}

fn sources_of(folder: &str) -> Vec<Source> {
    let root = root().join(folder);
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().path();
            if file.is_dir() {
                folders.push(file);
            } else if file.extension().is_some_and(|extension| extension == "rs")
                && !is_of_unit_tests(&file)
            {
                sources.push(source(&root, file));
            }
        }
    }
    assert!(!sources.is_empty(), "{folder} has source");
    sources
}

fn source(root: &Path, file: PathBuf) -> Source {
    let relative = file.strip_prefix(root).unwrap().with_extension("");
    let names = relative
        .iter()
        .map(|name| name.to_str().unwrap().to_owned());
    let mut module: Vec<String> = names.filter(|name| name != "mod").collect();
    if module == ["lib"] {
        module.clear();
    }
    let text = fs::read_to_string(&file).unwrap();
    let code = without_tests(&text);
    Source {
        lines: text.lines().count(),
        paths: paths::of(&without_comments(code)),
        text: code.to_owned(),
        file,
        module,
    }
}

/// A file of its own for the unit tests of the file beside it.
fn is_of_unit_tests(file: &Path) -> bool {
    file.file_stem()
        .is_some_and(|stem| stem.to_string_lossy().ends_with("_tests"))
}

/// Unit tests may import what they like.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap()
}

fn without_comments(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("//").next().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}
