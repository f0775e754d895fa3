//! The audit log in a file of its own: what `epicme audit verify` says of it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use mcp_server::audit::AddressDetail;
use serde_json::{Value, json};

use crate::support::{ALL, Reply, TestApp};

const KEY: &str = "a key that only this test has";

/// A folder of a test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("epicme-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn spawn(file: &Path, address: AddressDetail) -> TestApp {
    TestApp::spawn_with(|config| {
        config.audit.file = Some(file.to_owned());
        config.audit.address = address;
        config.audit.key = Some(KEY.into());
    })
}

fn lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// The line of a request, after its server has stopped.
fn line_of(file: &Path, reply: &Reply) -> Value {
    let id = reply.header("x-request-id").unwrap();
    let found = lines(file)
        .into_iter()
        .find(|line| line["request_id"] == id);
    found.unwrap()
}

/// Exit code and output of `epicme audit verify` with the key in a file.
fn verify(folder: &Folder, files: &[&PathBuf]) -> (i32, String) {
    let key = folder.0.join("key");
    fs::write(&key, KEY).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_epicme"))
        .args(["audit", "verify", "--key-file"])
        .arg(&key)
        .args(files)
        .env_clear()
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(said).unwrap(),
    )
}

#[actix_rt::test]
async fn who_did_what_is_in_the_file_and_a_removed_line_is_found() {
    let folder = Folder::new("audit-file");
    let (file, rotated) = (folder.0.join("audit.log"), folder.0.join("audit.log.1"));
    let app = spawn(&file, AddressDetail::Full);
    let token = app.token("ann", ALL);
    let create = |title: &str| {
        let arguments = json!({ "title": title, "content": "zq7-content" });
        app.tool(&token, "create_entry", &arguments)
    };
    let before = create("zq7-title").send().await;
    let id = before.result()["structuredContent"]["entry"]["id"].clone();
    // As logrotate does it, without a word to the program.
    fs::rename(&file, &rotated).unwrap();
    let after = app.ask("POST", "/mcp").send().await;
    drop(app);
    let line = [lines(&rotated), lines(&file)].concat();
    let line = line.iter().find(|line| line["event"] == "write").unwrap();
    assert_eq!(line["address"], "127.0.0.1");
    assert_eq!(line["object"], format!("entry:{id}"));
    assert_eq!(line["message"], "write done");
    assert_eq!(line_of(&file, &after)["event"], "token");
    let text = fs::read_to_string(&file).unwrap() + &fs::read_to_string(&rotated).unwrap();
    assert!(!text.contains("zq7"), "{text}");
    let (code, said) = verify(&folder, &[&file, &rotated]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("lines, 1 to "), "{said}");
    let whole = fs::read_to_string(&rotated).unwrap();
    let (_, said) = verify(&folder, &[&file]);
    assert!(
        said.contains("before the first are not in these files"),
        "{said}"
    );
    fs::write(&rotated, whole.replace("log opened", "log hidden")).unwrap();
    let (code, said) = verify(&folder, &[&file, &rotated]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("was altered"), "{said}");
    fs::write(&rotated, whole).unwrap();
    let whole = fs::read_to_string(&file).unwrap();
    let mut fewer: Vec<_> = whole.lines().collect();
    fewer.remove(1);
    fs::write(&file, fewer.join("\n") + "\n").unwrap();
    let (code, said) = verify(&folder, &[&file, &rotated]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("lines are missing"), "{said}");
}

#[actix_rt::test]
async fn a_hashed_address_groups_lines_and_is_not_the_address() {
    let folder = Folder::new("audit-hashed");
    let file = folder.0.join("audit.log");
    let app = spawn(&file, AddressDetail::Hashed);
    let one = app.ask("POST", "/mcp").send().await;
    let other = app.ask("POST", "/mcp").send().await;
    drop(app);
    let addresses = [one, other].map(|reply| line_of(&file, &reply)["address"].clone());
    assert_eq!(addresses[0], addresses[1]);
    assert_eq!(addresses[0].as_str().unwrap().len(), 16);
    assert!(!fs::read_to_string(&file).unwrap().contains("127.0.0"));
}

#[actix_rt::test]
async fn a_revocation_says_whom_it_is_about_and_from_where_it_came() {
    let folder = Folder::new("audit-revocation");
    let file = folder.0.join("audit.log");
    let app = TestApp::spawn_with(|config| {
        config.audit.file = Some(file.clone());
        config.http.revocation_secret = Some(KEY.into());
    });
    let reply = app
        .ask("POST", "/admin/revocations")
        .header("authorization", &format!("Bearer {KEY}"))
        .header("content-type", "application/json")
        .body(json!({ "issuer": app.issuer.url(), "client": "some-app" }).to_string())
        .send()
        .await;
    assert_eq!(reply.status, 204, "{}", reply.text());
    drop(app);
    let line = line_of(&file, &reply);
    let keys = ["kind", "revoked", "by", "address"].map(|key| line[key].as_str().unwrap());
    assert_eq!(keys, ["client", "some-app", "operator", "127.0.0.0/24"]);
}
