//! Backup and restore with the commands of `docs/OPERATIONS.md`, to the letter, on two clusters with the two roles
//! of `docker/postgres/roles.sql`.

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use chrono::{TimeDelta, Utc};
use private_postgres::{Cluster, ClusterOptions};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::support::{ALL, Answer, Issuer, Program, envelope, said};

const RESOURCE: &str = "http://127.0.0.1:8787/mcp";

/// The text of a section of `docs/OPERATIONS.md`.
fn section(heading: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/OPERATIONS.md");
    let text = fs::read_to_string(path).unwrap();
    let (_, after) = text.split_once(&format!("\n## {heading}\n")).unwrap();
    after.split("\n## ").next().unwrap().to_owned()
}

/// The commands of the section, by the word that stands in the line before: `To back up:`.
fn commands(section: &str, what: &str) -> String {
    let (_, after) = section.split_once(what).unwrap();
    let (_, block) = after.split_once("```sh\n").unwrap();
    block.split("```").next().unwrap().to_owned()
}

/// A machine with a PostgreSQL and an administrator's shell.
struct Machine {
    cluster: Cluster,
    directory: PathBuf,
}

impl Machine {
    /// A fresh cluster: it has no role but its superuser.
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("epicme-restore-{}-{number}", std::process::id());
        let cluster = Cluster::start(ClusterOptions {
            directory: env::temp_dir().join(&name),
            durable: false,
            name: "admin",
        });
        let directory = env::temp_dir().join(format!("{name}-shell"));
        fs::create_dir(&directory).unwrap();
        let docker = concat!(env!("CARGO_MANIFEST_DIR"), "/docker");
        symlink(docker, directory.join("docker")).unwrap();
        Self {
            cluster: cluster.unwrap(),
            directory,
        }
    }

    /// The URL of a database for this role, which needs no password here.
    fn url(&self, role: &str, database: &str) -> String {
        let url = self.cluster.url(database);
        url.expose_secret().replacen("admin", role, 1)
    }

    /// Runs commands as the administrator does, and panics if one fails.
    fn run(&self, commands: &str) {
        let output = self.command(commands).output().unwrap();
        assert!(output.status.success(), "{commands}\n{}", said(&output));
    }

    fn command(&self, commands: &str) -> Command {
        let url = self.cluster.url("epicme");
        let (_, address) = url.expose_secret().split_once('@').unwrap();
        let (socket, _) = address.rsplit_once(':').unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_epicme")).parent().unwrap();
        let commands = format!("PATH='{}':$PATH\n{commands}", program.display());
        let mut command = Command::new("/bin/sh");
        command
            .args(["-euc", &commands])
            .current_dir(&self.directory)
            .env("PGHOST", socket.replace("%2F", "/"))
            .env("PGUSER", "admin")
            .env("OWNER_URL", self.url("epicme_owner", "epicme"))
            .env("OWNER_PASSWORD", "of-the-owner")
            .env("SERVING_PASSWORD", "of-the-server");
        command
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A program that serves a database as the role that may change rows alone.
struct Server {
    program: Program,
    token: String,
}

impl Server {
    async fn start(machine: &Machine, issuer: &Issuer) -> Self {
        let token = "token-of-ann";
        let claims = json!({
            "active": true, "sub": "ann", "client_id": "notebook", "scope": ALL, "aud": RESOURCE,
            "iss": issuer.url(), "token_type": "Bearer",
            "exp": (Utc::now() + TimeDelta::hours(1)).timestamp(),
        });
        issuer.answer(token, Answer::json(claims));
        let url = machine.url("epicme", "epicme");
        let program = Program::serve(&[("DATABASE_URL", &url), ("EPICME_ISSUER", issuer.url())]);
        while program.get("/readyz").await.0 != 200 {
            tokio::task::yield_now().await;
        }
        Self {
            program,
            token: token.to_owned(),
        }
    }

    /// The result of a tool's call.
    async fn call(&self, tool: &str, arguments: Value) -> Value {
        let params = json!({ "name": tool, "arguments": arguments, "_meta": envelope() });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let answer = self
            .program
            .http
            .post(format!("http://{}/mcp", self.program.address))
            .header("host", "127.0.0.1:8787")
            .bearer_auth(&self.token)
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", tool)
            .json(&body)
            .send()
            .await
            .unwrap();
        let text = answer.text().await.unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["result"]["isError"], Value::Null, "{text}");
        answer["result"]["structuredContent"].clone()
    }

    async fn titles(&self) -> Vec<String> {
        let list = self.call("list_entries", json!({})).await;
        let entries = list["entries"].as_array().unwrap().iter();
        entries
            .map(|entry| entry["title"].as_str().unwrap().to_owned())
            .collect()
    }
}

#[actix_rt::test]
async fn what_was_backed_up_is_served_from_a_fresh_cluster_after_the_documented_commands() {
    let section = section("Backup and restore");
    let (backup, restore) = (
        commands(&section, "To back up"),
        commands(&section, "To restore"),
    );
    let (issuer, handle) = Issuer::bystander();
    let old = Machine::new();
    // As an operator sets it up: docs/DOCKER.md.
    old.run(
        "createdb epicme
         psql --quiet --dbname=epicme --file=docker/postgres/roles.sql
         DATABASE_URL=\"$OWNER_URL\" epicme migrate",
    );
    let server = Server::start(&old, &issuer).await;
    let tag = server.call("create_tag", json!({ "name": "rain" })).await;
    let entry = json!({ "title": "Before", "content": "It rained.", "tags": [tag["tag"]["id"]], "idempotencyKey": "once" });
    server.call("create_entry", entry.clone()).await;
    // Documents of the last hour, which are left out.
    server
        .call("export_journal", json!({ "format": "json" }))
        .await;
    old.run(&backup);
    let after = json!({ "title": "After", "content": "Not in the dump." });
    server.call("create_entry", after).await;
    drop(server);
    let new = Machine::new();
    fs::copy(
        old.directory.join("epicme.dump"),
        new.directory.join("epicme.dump"),
    )
    .unwrap();
    drop(old);
    new.run(&restore);
    let server = Server::start(&new, &issuer).await;
    assert_eq!(server.titles().await, ["Before"]);
    let query = json!({ "query": "rained" });
    let found = server.call("search_entries", query).await;
    assert_eq!(found["entries"][0]["title"], "Before");
    let id = found["entries"][0]["id"].clone();
    let read = server.call("get_entry", json!({ "id": id })).await;
    assert_eq!(read["entry"]["tags"][0]["name"], "rain");
    // What was done is not done again, and numbers go on where they were.
    server.call("create_entry", entry).await;
    assert_eq!(server.titles().await, ["Before"]);
    let next = json!({ "title": "Next", "content": "x" });
    server.call("create_entry", next).await;
    assert_eq!(server.titles().await, ["Next", "Before"]);
    server
        .call("export_journal", json!({ "format": "json" }))
        .await;
    let rights =
        "SELECT string_agg(DISTINCT tableowner, ',') FROM pg_tables WHERE schemaname = 'public'";
    let owners = new.cluster.execute("epicme", rights).unwrap();
    assert_eq!(owners.trim(), "epicme_owner");
    drop(server);
    // The role that serves still changes rows alone.
    let drop_table = format!(
        "psql --no-psqlrc --command='DROP TABLE entries' '{}'",
        new.url("epicme", "epicme")
    );
    let refused = new.command(&drop_table).output().unwrap();
    assert!(said(&refused).contains("must be owner of table entries"));
    handle.stop(false).await;
}
