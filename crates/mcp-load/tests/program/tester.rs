//! Runs the program, and reads its report.

use std::{
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::Value;

/// What a run came to.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Nothing if there was no test.
    pub(crate) report: Value,
    pub(crate) page: String,
}

/// Runs it to its end, on a thread of its own: the server is on this one.
pub(crate) async fn run(arguments: &[&str]) -> Run {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let file = |kind: &str| -> PathBuf {
        std::env::temp_dir().join(format!("mcp-load-{}-{number}.{kind}", std::process::id()))
    };
    let (json, html) = (file("json"), file("html"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-load"));
    command
        .args(arguments)
        .arg("--json")
        .arg(&json)
        .arg("--html")
        .arg(&html)
        .stdin(Stdio::null());
    let output: Output = actix_rt::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    let taken = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let _ = std::fs::remove_file(path);
        text
    };
    let report = serde_json::from_str(&taken(&json)).unwrap_or_default();
    Run {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        report,
        page: taken(&html),
    }
}

impl Run {
    /// All that there is to know of a run that did not go as it should.
    pub(crate) fn shown(&self) -> String {
        format!("exit {}\n{}\n{}", self.code, self.stderr, self.stdout)
    }

    pub(crate) fn number(&self, pointer: &str) -> u64 {
        let value = self.report.pointer(pointer);
        let number = value.and_then(Value::as_u64);
        number.unwrap_or_else(|| panic!("no {pointer}: {}", self.shown()))
    }

    /// How many errors of a kind there were.
    pub(crate) fn errors(&self, kind: &str) -> u64 {
        let all = self.report["errors"].as_array().unwrap();
        let found = all.iter().find(|error| error["kind"] == kind);
        found.map_or(0, |error| error["count"].as_u64().unwrap())
    }

    pub(crate) fn kinds(&self) -> Vec<&str> {
        let all = self.report["errors"].as_array().unwrap();
        all.iter()
            .map(|error| error["kind"].as_str().unwrap())
            .collect()
    }

    /// Of a step or an operation: right answers, and failures.
    pub(crate) fn row(&self, name: &str) -> (u64, u64) {
        let lists = ["operations", "steps"].map(|list| self.report[list].as_array().unwrap());
        let mut rows = lists.into_iter().flatten();
        rows.find(|row| row["name"] == name).map_or((0, 0), |row| {
            let number = |field: &str| row[field].as_u64().unwrap();
            (number("count"), number("failed"))
        })
    }
}
