//! A server with data of its users: two tools, a resource for each note, a prompt, and changes that subscribers are
//! notified of.

#![allow(clippy::disallowed_methods, reason = "settings are the environment")]

mod prompts;
mod resources;
mod store;
mod tools;

use std::{env, io, net::TcpListener, sync::Arc};

use actix_rt::Arbiter;
use mcp_server::{Changes, Issuer, Server};

use crate::{
    prompts::Recall,
    resources::Note,
    store::Store,
    tools::{DeleteNote, WriteNote},
};

#[actix_rt::main]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind(setting("BIND", "127.0.0.1:8787"))?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("{url}/mcp");
    let changes = Changes::start(&Arbiter::current());
    let store = Arc::new(Store::new(changes.clone()));
    Server::new("notes", url)
        .issuer(Issuer::introspecting(
            &setting("ISSUER", "http://127.0.0.1:7788"),
            setting("CLIENT_ID", "example"),
            setting("CLIENT_SECRET", "example-secret"),
        ))
        .scope("notes:read", "Read your notes")
        .scope("notes:write", "Write and delete notes")
        .changes(changes)
        .tool(WriteNote(Arc::clone(&store)))
        .tool(DeleteNote(Arc::clone(&store)))
        .resource_template(Note(Arc::clone(&store)))
        .prompt(Recall(store))
        .listen(listener)?
        .run()
        .await
}

fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}
