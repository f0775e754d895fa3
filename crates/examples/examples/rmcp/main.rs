//! A server of the official Rust SDK behind our guard: the guard checks tokens, rmcp speaks MCP, and its tool knows
//! who calls.

#![allow(clippy::disallowed_methods, reason = "settings are the environment")]

mod forward;

use std::{env, error::Error, net::TcpListener, sync::Arc};

use actix_web::{App, HttpServer, web};
use http::request::Parts;
use mcp_server::{Issuer, Principal, resource_server::Guard};
use rmcp::{
    ErrorData, handler::server::common::Extension, tool, tool_router,
    transport::StreamableHttpServerConfig,
};

use crate::forward::{Stateless, forward};

struct Greeter;

#[tool_router(server_handler)]
impl Greeter {
    #[tool(description = "Greets the user.")]
    fn greet(&self, Extension(request): Extension<Parts>) -> Result<String, ErrorData> {
        let caller = request.extensions.get::<Arc<Principal>>();
        let caller = caller.ok_or_else(|| ErrorData::internal_error("no caller", None))?;
        Ok(format!("Hello, user {}.", caller.subject))
    }
}

#[actix_rt::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(setting("BIND", "127.0.0.1:8787"))?;
    let url = format!("http://{}/mcp", listener.local_addr()?);
    println!("{url}");
    let guard = Guard::builder(url)
        .issuer(Issuer::introspecting(
            &setting("ISSUER", "http://127.0.0.1:7788"),
            setting("CLIENT_ID", "example"),
            setting("CLIENT_SECRET", "example-secret"),
        ))
        .scope("greetings:read", "Greet you")
        .build()?;
    let protected = guard.protect(&["greetings:read"])?;
    let config = StreamableHttpServerConfig::default().with_legacy_session_mode(false);
    let rmcp = Stateless::new(|| Ok(Greeter), Arc::default(), config);
    let rmcp = web::Data::new(rmcp);
    HttpServer::new(move || {
        let mcp = web::resource("/mcp").wrap(protected.clone());
        App::new()
            .configure(guard.configure())
            .app_data(rmcp.clone())
            .service(mcp.to(forward::<Greeter>))
    })
    .listen(listener)?
    .run()
    .await?;
    Ok(())
}

fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}
