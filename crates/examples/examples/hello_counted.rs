//! `hello`, which counts how often each user was greeted: the exercise of chapter 10 of `docs/tutorial`.

#![allow(clippy::disallowed_methods, reason = "settings are the environment")]

use std::{collections::HashMap, env, io, net::TcpListener};

use mcp_server::{Context, Effect, Issuer, Server, Tool, ToolError, ToolResult, UserId, telemetry};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, JsonSchema)]
struct NoArguments {}

#[derive(Serialize, JsonSchema)]
struct Greeted {
    count: u64,
}

#[derive(Default)]
struct Hello {
    counts: Mutex<HashMap<UserId, u64>>,
}

impl Hello {
    fn count(&self, user: UserId) -> u64 {
        let mut counts = self.counts.lock();
        let count = counts.entry(user).or_default();
        *count += 1;
        *count
    }
}

impl Tool for Hello {
    const NAME: &str = "hello";
    const DESCRIPTION: &str = "Greets the user, and counts.";
    const SCOPES: &[&str] = &["hello:read"];
    const EFFECT: Effect = Effect::Additive;

    type Arguments = NoArguments;
    type Output = Greeted;

    async fn call(
        &self,
        context: Context,
        _: NoArguments,
    ) -> Result<ToolResult<Greeted>, ToolError> {
        let principal = context.principal();
        let count = self.count(principal.user);
        let text = format!("Hello, user {}. Calls so far: {count}.", principal.subject);
        Ok(ToolResult::new(Greeted { count }).text(text))
    }
}

#[actix_rt::main]
async fn main() -> io::Result<()> {
    telemetry::start("info", telemetry::LogFormat::Text);
    let listener = TcpListener::bind(setting("BIND", "127.0.0.1:8787"))?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("{url}/mcp");
    Server::new("hello", url)
        .issuer(Issuer::introspecting(
            &setting("ISSUER", "http://127.0.0.1:7788"),
            "example",
            "example-secret",
        ))
        .scope("hello:read", "Greet you")
        .tool(Hello::default())
        .listen(listener)?
        .run()
        .await
}

fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}
