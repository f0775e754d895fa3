//! Routes that are not MCP, each behind the scopes it needs: `GET /reports` for `reports:read`, `POST /reports` for
//! `reports:write`.

#![allow(clippy::disallowed_methods, reason = "settings are the environment")]

use std::{env, error::Error, net::TcpListener};

use actix_web::{App, HttpServer, web};
use resource_server::{Authorized, Guard, Issuer};

async fn read(caller: Authorized) -> String {
    format!("The reports of user {}.", caller.principal.subject)
}

async fn write(caller: Authorized, report: String) -> String {
    let length = report.len();
    format!("{length} bytes from user {}.", caller.principal.subject)
}

#[actix_rt::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(setting("BIND", "127.0.0.1:8787"))?;
    let url = format!("http://{}/reports", listener.local_addr()?);
    println!("{url}");
    // Tokens have to be issued for this URL (RFC 8707).
    let guard = Guard::builder(url)
        .issuer(Issuer::introspecting(
            &setting("ISSUER", "http://127.0.0.1:7788"),
            setting("CLIENT_ID", "example"),
            setting("CLIENT_SECRET", "example-secret"),
        ))
        .scope("reports:read", "Read your reports")
        .scope("reports:write", "Write reports")
        .build()?;
    let may_read = guard.protect(&["reports:read"])?;
    let may_write = guard.protect(&["reports:write"])?;
    HttpServer::new(move || {
        let reports = web::resource("/reports")
            .route(web::get().to(read).wrap(may_read.clone()))
            .route(web::post().to(write).wrap(may_write.clone()));
        // The metadata that challenges point to (RFC 9728).
        App::new().configure(guard.configure()).service(reports)
    })
    .listen(listener)?
    .run()
    .await?;
    Ok(())
}

fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}
