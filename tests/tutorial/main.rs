//! `docs/tutorial`: every command is run, in one shell per chapter, against `epicme dev`, and what it prints and causes in the log
//! is compared with what the chapter shows. `crates/examples/tests/tutorial.rs` does so with the last chapter, whose server is
//! an example.

#![cfg(feature = "dev")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{collections::BTreeSet, fs, path::Path, process};

mod chapter;
mod drawing;
mod links;
mod page;
mod program;
mod shape;
mod shell;

use page::Kind;
use program::Program;
use shell::Shell;

/// The chapters that `epicme dev` is enough for.
const CHAPTERS: [&str; 9] = [
    "1-the-knock.md",
    "2-authorize.md",
    "3-the-token.md",
    "4-introspection.md",
    "5-who-am-i.md",
    "6-scopes.md",
    "7-caching.md",
    "8-outages.md",
    "9-revocation.md",
];

/// The one that `crates/examples` runs.
const LAST: &str = "10-your-own-server.md";

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn tutorial() -> std::path::PathBuf {
    repository().join("docs/tutorial")
}

/// The command with which the first page starts the program.
fn command() -> String {
    let blocks = chapter::read(&tutorial().join("README.md"), &[]);
    let start = blocks.into_iter().find(|block| block.kind == Kind::Server);
    start.unwrap().text
}

/// Follows chapters one after the other in one run of the program, each in a shell of its own.
fn follow(files: &[&str]) {
    let mut program = Program::start(&command());
    let server = program.says("MCP server");
    let server = server.strip_suffix("/mcp").unwrap();
    let issuer = program.says("Authorization server");
    let host = |url: &str| url.strip_prefix("http://").unwrap().to_owned();
    let differences = [
        ("127.0.0.1:8787", &*host(server)),
        ("127.0.0.1:7788", &*host(&issuer)),
        (
            "PASTE-THE-INTROSPECTION-SECRET",
            &*program.says("Introspection secret"),
        ),
        (
            "PASTE-THE-REVOCATION-SECRET",
            &*program.says("Revocation secret"),
        ),
    ];
    let variables = [("EPICME", server), ("ISSUER", &*issuer)];
    for file in files {
        let blocks = chapter::read(&tutorial().join(file), &differences);
        let commands =
            std::env::temp_dir().join(format!("{}-{}-{file}", process::id(), host(server)));
        let mut shell = Shell::start(repository(), commands, &variables);
        if let Err(why) = chapter::follow(&blocks, &mut shell, &mut program) {
            panic!("docs/tutorial/{file}, {why}");
        }
    }
}

#[test]
fn the_first_page_starts_the_program_and_shows_its_banner() {
    follow(&["README.md"]);
}

#[test]
fn chapter_1_shows_how_a_request_without_a_token_is_refused() {
    follow(&CHAPTERS[0..=0]);
}

#[test]
fn chapter_2_gets_a_token_with_pkce() {
    follow(&CHAPTERS[1..=1]);
}

#[test]
fn chapter_3_shows_where_a_token_belongs() {
    follow(&CHAPTERS[2..=2]);
}

#[test]
fn chapter_4_asks_about_a_token_as_the_server_does() {
    follow(&CHAPTERS[3..=3]);
}

#[test]
fn chapter_5_keeps_two_users_apart() {
    follow(&CHAPTERS[4..=4]);
}

#[test]
fn chapter_6_asks_for_more_scopes() {
    follow(&CHAPTERS[5..=5]);
}

#[test]
fn chapter_7_shows_what_is_cached_and_for_how_long() {
    follow(&CHAPTERS[6..=6]);
}

#[test]
fn chapter_8_lets_the_authorization_server_fail() {
    follow(&CHAPTERS[7..=7]);
}

#[test]
fn chapter_9_revokes_a_token_while_a_stream_is_open() {
    follow(&CHAPTERS[8..=8]);
}

#[test]
fn a_reader_gets_through_all_chapters_without_a_restart() {
    follow(&CHAPTERS);
}

#[test]
fn every_chapter_is_run() {
    let files = fs::read_dir(tutorial()).unwrap();
    let pages: BTreeSet<_> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".md"))
        .collect();
    let run = CHAPTERS.into_iter().chain([LAST, "README.md"]);
    assert_eq!(pages, run.map(str::to_owned).collect());
}
