//! A chapter, read as a reader does: paste the commands, compare what they print, look at the log.

use std::{fs, path::Path, sync::mpsc, time::Duration};

use super::{
    page::{self, Block, Kind},
    shape,
    shell::Shell,
};

/// How long a line of the log may take to appear.
const PATIENCE: Duration = Duration::from_secs(5);

/// The terminal of the server: the lines that it logs, from now on.
pub(crate) struct Log(pub(crate) mpsc::Receiver<String>);

impl Log {
    /// Forgets the lines that are there.
    fn forget(&self) {
        while self.0.try_recv().is_ok() {}
    }

    /// Waits for lines of these shapes, in any order.
    fn expect(&self, mut shapes: Vec<&str>) -> Result<(), String> {
        let mut seen = Vec::new();
        while !shapes.is_empty() {
            let Ok(line) = self.0.recv_timeout(PATIENCE) else {
                return Err(format!("not logged: {shapes:#?}\nlogged: {seen:#?}"));
            };
            shapes.retain(|shape| !shape::line_matches(shape, &line));
            seen.push(line);
        }
        Ok(())
    }
}

/// The terminals in which servers run.
pub(crate) trait Terminals {
    /// Runs a command that goes on, and compares what it prints at its start with what the chapter shows.
    fn serve(&mut self, command: &str, shown: &str) -> Result<(), String>;

    /// What the servers log.
    fn log(&self) -> &Log;
}

/// What differs between a page and a run of its commands: pairs of what the page says and what this run has in its place.
pub(crate) type Differences<'a> = [(&'a str, &'a str)];

/// The blocks of a chapter, as this run has them.
pub(crate) fn read(file: &Path, differences: &Differences<'_>) -> Vec<Block> {
    let text = fs::read_to_string(file).unwrap();
    let mut blocks = page::blocks(&text).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
    for block in &mut blocks {
        for (page, run) in differences {
            block.text = block.text.replace(page, run);
        }
    }
    blocks
}

/// Runs the commands of a chapter, those of the reader in one shell, and compares.
///
/// # Errors
/// The first command that prints or causes something else, with both.
pub(crate) fn follow(
    blocks: &[Block],
    shell: &mut Shell,
    terminals: &mut dyn Terminals,
) -> Result<(), String> {
    let blocks = blocks.iter().filter(|block| block.kind != Kind::Code);
    let mut blocks = blocks.peekable();
    while let Some(commands) = blocks.next() {
        let shown = blocks.next_if(|block| matches!(block.kind, Kind::Lines | Kind::Json));
        let mut logged = Vec::new();
        while let Some(block) = blocks.next_if(|block| block.kind == Kind::Log) {
            logged.extend(block.text.lines());
        }
        terminals.log().forget();
        match commands.kind {
            Kind::Server => {
                let shown = shown.map_or("", |block| &*block.text);
                terminals.serve(&commands.text, shown)
            }
            Kind::Commands => run(&commands.text, shown, shell),
            _ => Err("a block that belongs to no command".to_owned()),
        }
        .and_then(|()| terminals.log().expect(logged))
        .map_err(|error| format!("line {}: {error}", commands.line))?;
    }
    Ok(())
}

fn run(commands: &str, shown: Option<&Block>, shell: &mut Shell) -> Result<(), String> {
    let printed = shell.run(commands)?;
    let (shape, is_right) = match shown {
        Some(block) if block.kind == Kind::Json => {
            (&*block.text, shape::has_json(&block.text, &printed))
        }
        Some(block) => (&*block.text, shape::has_lines(&block.text, &printed)),
        None => ("", shape::has_lines("", &printed)),
    };
    if is_right {
        return Ok(());
    }
    Err(format!(
        "\n{commands}\n-- prints\n{printed}\n-- the chapter shows\n{shape}\n"
    ))
}
