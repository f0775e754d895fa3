//! Which room may know which: the table of `docs/ARCHITECTURE.md`, held against what the source says.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// A room, and the rooms that it may import.
const IMPORTS: [(&str, &[&str]); 25] = [
    ("domain", &[]),
    ("oauth", &["domain"]),
    ("mcp", &["domain"]),
    ("storage", &["domain"]),
    ("actors::gate", &[]),
    (
        "actors::journal",
        &["actors::gate", "domain", "metrics", "storage"],
    ),
    // Lines of the audit log are written where things happen, and shaped in one place.
    ("audit", &["domain", "mcp", "oauth"]),
    (
        "features",
        &["actors::journal", "audit", "domain", "mcp", "oauth"],
    ),
    (
        "actors::auth",
        &["actors::gate", "domain", "metrics", "oauth", "secret_file"],
    ),
    (
        "actors::session",
        &[
            "actors::auth",
            "actors::gate",
            "actors::journal",
            "domain",
            "features",
            "mcp",
        ],
    ),
    (
        "http",
        &[
            "actors::auth",
            "actors::journal",
            "actors::session",
            "audit",
            "domain",
            "features",
            "mcp",
            "metrics",
            "oauth",
            "otlp",
        ],
    ),
    ("config", &["domain", "oauth", "secret_file", "tls"]),
    ("cut_off", &["actors::auth", "oauth"]),
    ("healthcheck", &[]),
    ("metrics", &[]),
    ("otlp", &["actors::auth", "domain", "metrics"]),
    ("secret_file", &[]),
    ("telemetry", &[]),
    ("tls", &["domain", "secret_file"]),
    (
        "app",
        &[
            "actors::auth",
            "actors::journal",
            "actors::session",
            "config",
            "domain",
            "features",
            "http",
            "mcp",
            "metrics",
            "oauth",
            "otlp",
            "storage",
            "tls",
        ],
    ),
    ("mock_auth", &[]),
    // Nor has the load tester, which is to check the server by the protocol's text.
    ("load", &[]),
    (
        "dev",
        &[
            "actors::journal",
            "app",
            "config",
            "domain",
            "mock_auth",
            "storage",
        ],
    ),
    ("actors", &[]),
    ("lib", &[]),
];

/// A crate or a part of the standard library, and the rooms that may name it.
const TOOLS: [(&str, &[&str]); 17] = [
    (
        "actix",
        &["actors::auth", "actors::journal", "actors::session"],
    ),
    ("actix_web", &["actors::auth", "app", "http", "mock_auth"]),
    (
        "awc",
        &[
            "actors::auth",
            "cut_off",
            "healthcheck",
            "mock_auth",
            "otlp",
        ],
    ),
    (
        "clap",
        &["bin", "config", "dev", "load", "main", "telemetry"],
    ),
    ("diesel", &["storage"]),
    ("diesel_migrations", &["storage"]),
    ("env_logger", &["bin", "telemetry"]),
    ("hdrhistogram", &["load"]),
    ("hyper", &["load"]),
    ("jiff", &["config", "features"]),
    // Not of the mock authorization server, which is to check the other.
    ("jsonwebtoken", &["oauth"]),
    ("r2d2", &["storage"]),
    // The crate, not the provider of that name in rustls.
    ("ring::aead", &["mcp"]),
    ("ring::signature", &["mock_auth", "oauth"]),
    ("rmcp", &["features", "mcp"]),
    // Variables are read by way of clap; `main` reads the command line.
    ("std::env", &["config", "dev", "main"]),
    // A health check is a program of its own, in which nothing waits.
    ("std::net::TcpStream", &["bin"]),
];

#[test]
fn no_room_imports_what_it_must_not_know() {
    let allowed: BTreeMap<_, _> = IMPORTS.into_iter().collect();
    let mut seen = BTreeSet::new();
    for source in sources() {
        let room = source.room();
        if ["main", "bin"].contains(&room.as_str()) {
            // Programs stand outside and see what is public.
            continue;
        }
        let allowed = allowed
            .get(room.as_str())
            .unwrap_or_else(|| panic!("{room} is not in the table"));
        for path in &source.paths {
            let Some(import) = source.import(path) else {
                continue;
            };
            if import != room {
                assert!(
                    allowed.contains(&import.as_str()),
                    "{} imports {path}: {room} must not know {import}",
                    source.file.display()
                );
            }
        }
        seen.insert(room);
    }
    let listed: BTreeSet<_> = allowed.keys().map(ToString::to_string).collect();
    assert_eq!(listed, seen, "the table lists the rooms that there are");
}

#[test]
fn no_room_uses_a_tool_of_another() {
    for source in sources() {
        for (tool, rooms) in TOOLS {
            let used = source
                .paths
                .iter()
                .find(|path| path == &tool || path.starts_with(&format!("{tool}::")));
            if let Some(path) = used {
                assert!(
                    rooms.contains(&source.room().as_str()),
                    "{} names {path}, which belongs to {rooms:?}",
                    source.file.display()
                );
            }
        }
    }
}

/// A file outside `mcp` that tells the eras apart, and what for: it routes a request, and no more. What
/// an era's answers look like, and with which codes and statuses they come, stands in `mcp`.
const ERAS: [(&str, &str); 2] = [
    ("http/endpoint.rs", "routes by era"),
    ("http/legacy.rs", "is the legacy era's route"),
];

#[test]
fn what_differs_between_eras_stands_in_mcp() {
    let mut telling = BTreeSet::new();
    // A label of the metrics is a word for an era, and decides nothing.
    let rooms = ["mcp", "metrics"];
    let elsewhere = |source: &&Source| !rooms.contains(&source.room().as_str());
    for source in sources().iter().filter(elsewhere) {
        let file = source.relative();
        let named = source
            .paths
            .iter()
            .filter(|path| !path.starts_with("metrics::"))
            .find(|path| path.contains("ProtocolVersion::V2") || path.contains("Era::"));
        let asked = ["is_modern", "NEWEST_LEGACY", "MODERN"]
            .into_iter()
            .find(|name| source.names.contains(*name));
        if let Some(what) = named.map(String::as_str).or(asked) {
            assert!(
                ERAS.iter().any(|(allowed, _)| *allowed == file),
                "{file} tells the eras apart ({what}), which belongs to mcp"
            );
            telling.insert(file);
        }
    }
    let listed: BTreeSet<_> = ERAS.iter().map(|(file, _)| (*file).to_owned()).collect();
    assert_eq!(listed, telling, "the list names the files that do");
}

#[test]
fn the_reader_of_imports_reads_trees() {
    let paths = paths(
        "use crate::{\n    a::{b, C as D},\n    e::*,\n};\nlet x = std::env::var(y)::<z::w>();",
    );
    assert_eq!(
        paths,
        [
            "crate::a::b",
            "crate::a::C",
            "crate::e",
            "std::env::var",
            "z::w"
        ]
    );
}

/// One file of `src/`, without its comments and its unit tests.
struct Source {
    file: PathBuf,
    /// Its module, as a path.
    module: Vec<String>,
    /// Every path of two names or more that it writes.
    paths: Vec<String>,
    /// Every name that it writes.
    names: BTreeSet<String>,
}

impl Source {
    /// Its place within `src/`.
    fn relative(&self) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let relative = self.file.strip_prefix(root).unwrap();
        relative.to_str().unwrap().to_owned()
    }

    fn room(&self) -> String {
        room(&self.module)
    }

    /// The room that a path leads to, if it stays within this crate.
    fn import(&self, path: &str) -> Option<String> {
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
        Some(room(&module))
    }
}

/// The room of a module: the first name, and of the actors the second as well.
fn room(module: &[String]) -> String {
    match module {
        [] => "lib".to_owned(),
        [first, second, ..] if first == "actors" => format!("actors::{second}"),
        [first, ..] => first.clone(),
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
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
                let relative = file.strip_prefix(&root).unwrap().with_extension("");
                let mut module: Vec<String> = relative
                    .iter()
                    .map(|name| name.to_str().unwrap().to_owned())
                    .filter(|name| name != "mod")
                    .collect();
                if module == ["lib"] {
                    module.clear();
                }
                let code = code(&fs::read_to_string(&file).unwrap());
                let names = code.split(|character| !is_name(character));
                sources.push(Source {
                    file,
                    module,
                    paths: paths(&code),
                    names: names.map(str::to_owned).collect(),
                });
            }
        }
    }
    assert!(sources.len() > 50, "the source is found");
    sources
}

/// A file of its own for the unit tests of the file beside it.
fn is_of_unit_tests(file: &Path) -> bool {
    file.file_stem()
        .is_some_and(|stem| stem.to_string_lossy().ends_with("_tests"))
}

/// The text without comments and without unit tests, which may import what they like.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    text.lines()
        .map(|line| line.split("//").next().unwrap())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Every path in a piece of code, with the trees of `use` written out.
fn paths(code: &str) -> Vec<String> {
    let mut reader = Reader {
        rest: code,
        found: Vec::new(),
    };
    let mut before = ' ';
    while let Some(character) = reader.rest.chars().next() {
        if !is_name(before) && before != ':' && is_name(character) && !character.is_ascii_digit() {
            let name = reader.name();
            if reader.rest.starts_with("::") {
                reader.tree(name);
            }
            before = 'x';
        } else {
            before = character;
            reader.rest = &reader.rest[character.len_utf8()..];
        }
    }
    reader.found
}

struct Reader<'a> {
    rest: &'a str,
    found: Vec<String>,
}

impl Reader<'_> {
    fn name(&mut self) -> String {
        let end = self
            .rest
            .find(|character| !is_name(character))
            .unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        name.to_owned()
    }

    /// Reads on from a name, up to the end of its path or of its tree.
    fn tree(&mut self, mut path: String) {
        while let Some(rest) = self.rest.strip_prefix("::") {
            self.rest = rest;
            if let Some(rest) = rest.strip_prefix('{') {
                self.rest = rest;
                return self.branches(&path);
            }
            let name = self.name();
            if name.is_empty() {
                self.rest = self.rest.strip_prefix('*').unwrap_or(self.rest);
                break;
            }
            path = format!("{path}::{name}");
        }
        self.found.push(path);
    }

    fn branches(&mut self, path: &str) {
        loop {
            self.rest = self.rest.trim_start_matches(|character: char| {
                character.is_whitespace() || character == ','
            });
            if let Some(rest) = self.rest.strip_prefix('}') {
                self.rest = rest;
                return;
            }
            let name = self.name();
            if name.is_empty() {
                // A star.
                self.rest = &self.rest[1..];
                self.found.push(path.to_owned());
            } else {
                self.tree(format!("{path}::{name}"));
            }
            let rest = self.rest.trim_start();
            if let Some(rest) = rest.strip_prefix("as ") {
                self.rest = rest;
                self.name();
            }
        }
    }
}

fn is_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}
