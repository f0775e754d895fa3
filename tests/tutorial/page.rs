//! The fenced blocks of a chapter.

/// What a block is, by its info string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `sh`: commands that the reader pastes.
    Commands,
    /// `sh server`: a command that runs in a terminal of its own, until it is stopped.
    Server,
    /// `text`: what the commands before it print.
    Lines,
    /// `json`: the same, a JSON text that is broken into lines here.
    Json,
    /// `log`: a line that the commands before it cause in the terminal of the server.
    Log,
    /// `rust`: a part of an example.
    Code,
}

#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) kind: Kind,
    /// The number of its first line.
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// All blocks of a page, from its first to its last.
///
/// # Errors
/// The line that cannot be understood: nothing on a page may look like a command and not be run.
pub(crate) fn blocks(page: &str) -> Result<Vec<Block>, String> {
    let mut blocks = Vec::new();
    let mut lines = page.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        let Some(info) = line.trim_start().strip_prefix("```") else {
            continue;
        };
        if line.starts_with(' ') {
            return Err(format!("line {number}: an indented block"));
        }
        let kind = match info {
            "sh" => Kind::Commands,
            "sh server" => Kind::Server,
            "text" => Kind::Lines,
            "json" => Kind::Json,
            "log" => Kind::Log,
            "rust,ignore" => Kind::Code,
            other => return Err(format!("line {number}: a block of the kind {other:?}")),
        };
        let inside = lines
            .by_ref()
            .map(|(line, _)| line)
            .take_while(|line| *line != "```");
        let text = inside.collect::<Vec<_>>().join("\n");
        blocks.push(Block {
            kind,
            line: number + 1,
            text,
        });
    }
    Ok(blocks)
}

#[test]
fn a_block_that_would_not_be_run_is_an_error() {
    let page = "A\n\n```sh\none\ntwo\n```\n\n```text\nthree\n```\n";
    let read = blocks(page).unwrap();
    let read: Vec<_> = read
        .iter()
        .map(|it| (it.kind, it.line, &*it.text))
        .collect();
    let expected = [(Kind::Commands, 4, "one\ntwo"), (Kind::Lines, 9, "three")];
    assert_eq!(read, expected);
    assert!(blocks("```bash\none\n```").is_err());
    assert!(blocks("- a\n\n  ```sh\n  one\n  ```").is_err());
}
