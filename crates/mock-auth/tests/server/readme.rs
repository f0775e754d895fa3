//! The commands of README.md, run as they stand there but for the port.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::program::free_address;

/// The code blocks, each with its language.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    let parts = page.split("\n```").skip(1).step_by(2);
    parts.map(|block| block.split_once('\n').unwrap()).collect()
}

/// Ended with the test, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn keys(json: &Value) -> BTreeSet<&String> {
    json.as_object().unwrap().keys().collect()
}

#[cfg(unix)]
#[test]
fn its_commands_answer_as_it_says() {
    let address = free_address();
    let page = include_str!("../../README.md").replace("127.0.0.1:7788", &address);
    let blocks = blocks(&page);
    let mut commands = blocks.iter().enumerate().filter(|(_, it)| it.0 == "sh");
    let (_, (_, start)) = commands.next().unwrap();
    let program = format!(
        "exec '{}' --bind {address}",
        env!("CARGO_BIN_EXE_mock-auth")
    );
    let start = start.replace("cargo run -q -p mock-auth --", &program);
    let server = Command::new("sh")
        .args(["-c", &start])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut server = Running(server.unwrap());
    let mut first = String::new();
    let mut output = BufReader::new(server.0.stdout.take().unwrap());
    output.read_line(&mut first).unwrap();
    assert!(first.contains(&address), "{first}");

    let mut token = String::new();
    for (at, (_, command)) in commands {
        let done = Command::new("sh")
            .args(["-euc", command])
            .env("TOKEN", &token)
            .env("NO_PROXY", "127.0.0.1")
            .output()
            .unwrap();
        let said = String::from_utf8(done.stdout).unwrap();
        assert!(done.status.success(), "{command}: {said}");
        let answer: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(answer.get("error"), None, "{command}");
        if let Some(("json", shown)) = blocks.get(at + 1) {
            let shown: Value = serde_json::from_str(shown).unwrap();
            assert_eq!(keys(&answer), keys(&shown), "{command}");
        }
        if let Some(issued) = answer["access_token"].as_str() {
            token = issued.to_owned();
        }
    }
}
