//! The page about scopes says what the program does.

#![cfg(feature = "dev")]

/// `cargo run -- scopes > docs/SCOPES.md` brings the page up to date.
#[test]
fn the_page_about_scopes_is_written_from_the_declarations() {
    let page = include_str!("../docs/SCOPES.md");
    let table = actix_rt::System::new().block_on(async { epicme::app::scope_table() });
    assert_eq!(page, table);
}
