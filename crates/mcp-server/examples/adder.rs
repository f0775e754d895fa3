//! A protected MCP server with one tool and one scope. `docs/BUILD_YOUR_OWN.md` walks through it.

#![allow(clippy::disallowed_methods, reason = "settings are the environment")]

use std::{env, io, net::TcpListener};

use mcp_server::{Context, Effect, Issuer, Server, Tool, ToolError, ToolResult};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, JsonSchema)]
struct Numbers {
    a: i64,
    b: i64,
}

#[derive(Serialize, JsonSchema)]
struct Sum {
    sum: i64,
}

struct Add;

impl Tool for Add {
    const NAME: &str = "add";
    const DESCRIPTION: &str = "Adds two numbers.";
    const SCOPES: &[&str] = &["math:use"];
    const EFFECT: Effect = Effect::ReadOnly;

    type Arguments = Numbers;
    type Output = Sum;

    async fn call(&self, context: Context, numbers: Numbers) -> Result<ToolResult<Sum>, ToolError> {
        let Numbers { a, b } = numbers;
        let sum = a.checked_add(b);
        let sum = sum.ok_or_else(|| ToolError::refused("The sum is too large."))?;
        let caller = &context.principal().subject;
        Ok(ToolResult::new(Sum { sum }).text(format!("{a} + {b} = {sum}, for user {caller}.")))
    }
}

#[actix_rt::main]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind(setting("BIND", "127.0.0.1:8787"))?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("{url}/mcp");
    Server::new("adder", url)
        .issuer(Issuer::introspecting(
            &setting("ISSUER", "http://127.0.0.1:7788"),
            setting("CLIENT_ID", "example"),
            setting("CLIENT_SECRET", "example-secret"),
        ))
        .scope("math:use", "Do sums for you")
        .tool(Add)
        .listen(listener)?
        .run()
        .await
}

fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}
