//! The server for the official conformance suite: its `test_*` features on this library. The suite cannot send
//! a token, so a proxy adds one.

mod prompts;
mod proxy;
mod resources;
mod tools;

use std::{error::Error, num::NonZeroUsize};

use mcp_server::{
    server::{Server, SessionSettings, listen},
    telemetry::{self, LogFormat},
};
use resource_server::issuer::Issuer;

/// The suite opens a session per scenario and closes none.
const SESSIONS: usize = 1_000;

fn main() -> Result<(), Box<dyn Error>> {
    telemetry::start("warn", LogFormat::Text);
    actix_rt::System::new().block_on(serve())
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let issuer = listen(([127, 0, 0, 1], 0).into())?;
    let proxy = listen(([127, 0, 0, 1], 0).into())?;
    let server = listen(([127, 0, 0, 1], 0).into())?;
    let public = proxy.local_addr()?;
    let public_url = format!("http://{public}");
    let issuer_url = format!("http://{}", issuer.local_addr()?);
    let address = server.local_addr()?;
    proxy::authorization_server(issuer, issuer_url.clone(), format!("{public_url}/mcp"))?;
    proxy::start(proxy, address)?;
    let running = Server::new("conformance-fixture", public_url)
        .issuer(Issuer::introspecting(
            &issuer_url,
            "conformance",
            "conformance",
        ))
        .loopback_origins(true)
        .workers(NonZeroUsize::MIN)
        .sessions(Some(SessionSettings {
            per_user: SESSIONS,
            ..SessionSettings::default()
        }))
        .declared_tools(tools::all())
        .declared_resources(resources::all())
        .declared_templates(resources::templates())
        .declared_prompts(prompts::all())
        .listen(server)?
        .start()?;
    println!("http://{public}/mcp");
    tokio::signal::ctrl_c().await?;
    running.stop().await?;
    Ok(())
}
