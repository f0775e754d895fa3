//! Fixtures of unit tests.

use std::{cell::RefCell, rc::Rc};

use actix::{Actor, Context, Handler};
use mcp_protocol::server_info::ServerInfo;
use resource_server::{
    principal::{Credential, Principal, UserId},
    scope::{ScopeSet, Scopes},
};

use crate::features::{
    catalogue::{Catalogue, Features},
    changes::{ChangePublished, Published},
    context::ReadContext,
    presentation::Presentation,
    resource::{Contents, DeclaredTemplate, ResourceTemplate},
    tool_error::ToolError,
};

/// The scopes of a file server.
pub(crate) fn scopes() -> Scopes {
    let names = ["files:read", "files:write", "people:read"];
    Scopes::declare(names.map(|name| (name, ""))).expect("they are scope tokens")
}

/// A user with all scopes.
pub(crate) fn principal(subject: &str) -> Principal {
    Principal {
        issuer: "i".to_owned(),
        subject: subject.to_owned(),
        fingerprint: resource_server::fingerprint::fingerprint(subject),
        client: None,
        username: None,
        scopes: scopes().all(),
        withheld: ScopeSet::EMPTY,
        expires_at: None,
        issued_at: None,
        bound_key: None,
        credential: Credential([0; 32]),
        user: UserId::derive("i", subject),
    }
}

struct Report;

impl ResourceTemplate for Report {
    const URI_TEMPLATE: &'static str = "files://reports/{id}";
    const NAME: &'static str = "report";
    const DESCRIPTION: &'static str = "A report.";
    const SCOPES: &'static [&'static str] = &["files:read"];
    const LISTED: bool = true;

    type Id = i64;

    async fn read(&self, _: ReadContext, _: i64) -> Result<Contents, ToolError> {
        Ok(Contents::text(""))
    }
}

/// The features of a file server: one template, whose resources are listed.
pub(crate) fn catalogue() -> Catalogue {
    let features = Features {
        templates: vec![DeclaredTemplate::new(Report)],
        ..Features::default()
    };
    Catalogue::new(
        features,
        scopes(),
        ServerInfo::new("files", "1.0.0"),
        Presentation::default(),
    )
    .expect("the declarations are right")
}

/// Records what is published to it, as a session or stream would receive it.
#[derive(Default)]
pub(crate) struct ChangeRecorder(pub(crate) Rc<RefCell<Vec<Published>>>);

impl Actor for ChangeRecorder {
    type Context = Context<Self>;
}

impl Handler<ChangePublished> for ChangeRecorder {
    type Result = ();

    fn handle(&mut self, ChangePublished(published, _): ChangePublished, _: &mut Context<Self>) {
        self.0.borrow_mut().push(published);
    }
}
