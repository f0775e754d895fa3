//! The code on the page is the code of the examples, and those are short.

use std::fs;

const EXAMPLES: [&str; 8] = [
    "../resource-server/examples/guard.rs",
    "../mcp-server/examples/adder.rs",
    "../mcp-server/examples/notes/main.rs",
    "../mcp-server/examples/notes/prompts.rs",
    "../mcp-server/examples/notes/resources.rs",
    "../mcp-server/examples/notes/store.rs",
    "../mcp-server/examples/notes/tools.rs",
    "examples/rmcp/main.rs",
];

/// The lines of a file that are neither blank nor a comment, nor about the lints of this workspace.
fn code(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| {
            let line = line.trim_start();
            !(line.is_empty() || line.starts_with("//") || line.starts_with("#![allow"))
        })
        .collect()
}

/// The blocks of Rust of the page from one heading to the next.
fn blocks<'a>(page: &'a str, heading: &str) -> Vec<&'a str> {
    let (_, section) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("```rust,ignore\n").skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap())
        .collect()
}

fn page() -> String {
    fs::read_to_string("../../docs/BUILD_YOUR_OWN.md").unwrap()
}

#[test]
fn the_steps_on_the_page_are_the_whole_adder() {
    let page = page();
    let steps = blocks(&page, "A server in steps").concat();
    let example = fs::read_to_string("../mcp-server/examples/adder.rs").unwrap();
    assert_eq!(code(&steps), code(&example));
}

#[test]
fn the_code_on_the_page_is_in_the_examples() {
    let page = page();
    let examples = EXAMPLES.map(|file| fs::read_to_string(file).unwrap());
    let blocks = blocks(&page, "Resources, prompts and changes");
    assert!(!blocks.is_empty());
    for block in blocks {
        assert!(
            examples.iter().any(|example| example.contains(block)),
            "{block}"
        );
    }
}

#[test]
fn an_example_is_read_in_a_minute() {
    for file in EXAMPLES
        .into_iter()
        .chain(["examples/rmcp/forward.rs", "examples/hello.rs"])
    {
        let text = fs::read_to_string(file).unwrap();
        let lines = code(&text).len();
        assert!(lines < 60, "{file} has {lines} lines of code");
    }
}
