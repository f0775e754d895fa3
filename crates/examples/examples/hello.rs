//! The smallest protected MCP server. Chapter 10 of `docs/tutorial` explains it.

#![allow(clippy::disallowed_methods, reason = "settings are the environment")]

use std::{env, io, net::TcpListener};

use mcp_server::{Context, Effect, Issuer, Server, Tool, ToolError, ToolResult, telemetry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, JsonSchema)]
struct NoArguments {}

#[derive(Serialize, JsonSchema)]
struct Greeted {
    user: String,
}

struct Hello;

impl Tool for Hello {
    const NAME: &str = "hello";
    const DESCRIPTION: &str = "Greets the user.";
    const SCOPES: &[&str] = &["hello:read"];
    const EFFECT: Effect = Effect::ReadOnly;

    type Arguments = NoArguments;
    type Output = Greeted;

    async fn call(
        &self,
        context: Context,
        _: NoArguments,
    ) -> Result<ToolResult<Greeted>, ToolError> {
        let user = context.principal().subject.clone();
        let text = format!("Hello, user {user}.");
        Ok(ToolResult::new(Greeted { user }).text(text))
    }
}

#[actix_rt::main]
async fn main() -> io::Result<()> {
    telemetry::start("info", telemetry::LogFormat::Text);
    let listener = TcpListener::bind(setting("BIND", "127.0.0.1:8787"))?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("{url}/mcp");
    let mut server = Server::new("hello", url)
        .issuer(Issuer::introspecting(
            &setting("ISSUER", "http://127.0.0.1:7788"),
            "example",
            "example-secret",
        ))
        .tool(Hello);
    if env::args().all(|argument| argument != "--break") {
        server = server.scope("hello:read", "Greet you");
    }
    server.listen(listener)?.run().await
}

fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}
