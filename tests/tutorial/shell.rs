//! The shell of a reader: one for a chapter, so that later commands know the variables of earlier ones.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// How long one block of commands may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Printed after each block. Nothing else prints it.
const END: &str = "-- the end of a block of commands --";

pub(crate) struct Shell {
    process: Child,
    input: ChildStdin,
    lines: mpsc::Receiver<String>,
    /// Where the block is written that is run.
    block: PathBuf,
}

impl Shell {
    /// A shell in the folder of the repository. `block` is a file of its own.
    pub(crate) fn start(repository: &Path, block: PathBuf, variables: &[(&str, &str)]) -> Self {
        #[expect(clippy::disallowed_methods, reason = "of the test, not of the program")]
        let program = std::env::var("TUTORIAL_SHELL").unwrap_or_else(|_| "bash".to_owned());
        let mut command = Command::new(&program);
        // Without the files of the person who runs the test.
        match &*program {
            "bash" => command.args(["--noprofile", "--norc"]),
            "zsh" => command.args(["-f"]),
            other => panic!("TUTORIAL_SHELL is bash or zsh, not {other}"),
        };
        let mut process = command
            .current_dir(repository)
            .envs(variables.iter().copied())
            .env("NO_PROXY", "*")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program} cannot be started: {error}"));
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (tell, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in output.lines() {
                if line.is_ok_and(|line| tell.send(line).is_err()) {
                    return;
                }
            }
        });
        Self {
            process,
            input,
            lines,
            block,
        }
    }

    /// Runs commands, and returns what they print on both outputs.
    pub(crate) fn run(&mut self, commands: &str) -> Result<String, String> {
        fs::write(&self.block, format!("{commands}\n")).unwrap();
        let file = self.block.display();
        let line = format!(". '{file}' </dev/null 2>&1; printf '\\n%s\\n' '{END}'\n");
        self.input.write_all(line.as_bytes()).unwrap();
        let (mut printed, deadline) = (String::new(), Instant::now() + TIMEOUT);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line == END => return Ok(printed),
                Ok(line) => printed += &format!("{line}\n"),
                Err(error) => return Err(format!("{error} after: {printed}")),
            }
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_file(&self.block);
    }
}
