//! One client for every revision, so that a promise can be held in all of them.

use serde_json::Value;

use super::{Ask, Reply, Session, TestApp, parse_challenge};

pub(crate) const MODERN: &str = "2026-07-28";
pub(crate) const OLDEST: &str = "2025-03-26";
pub(crate) const REVISIONS: [&str; 4] = [MODERN, "2025-11-25", "2025-06-18", OLDEST];

/// One revision of each era, for what does not differ between the legacy revisions.
pub(crate) const ERAS: [&str; 2] = [MODERN, "2025-11-25"];

/// A client of one revision, with one token.
pub(crate) struct Client<'a> {
    app: &'a TestApp,
    pub(crate) revision: &'static str,
    session: Option<Session>,
    token: String,
}

impl TestApp {
    pub(crate) async fn client(&self, revision: &'static str, token: &str) -> Client<'_> {
        Client {
            app: self,
            revision,
            session: if revision == MODERN {
                None
            } else {
                Some(self.open(token, revision).await)
            },
            token: token.to_owned(),
        }
    }
}

impl Client<'_> {
    pub(crate) fn ask(&self, method: &str, params: Value) -> Ask<'_> {
        let uri = params["uri"].as_str().map(str::to_owned);
        match (&self.session, uri) {
            (Some(session), _) => self.app.within(session, method, params),
            (None, None) => self.app.modern(&self.token, method, params),
            (None, Some(uri)) => self
                .app
                .modern(&self.token, method, params)
                .header("mcp-name", &uri),
        }
    }

    /// The result without what every result of a modern revision has, and none of the others.
    pub(crate) async fn result(&self, method: &str, params: Value) -> Value {
        let mut result = self.ask(method, params).send().await.result();
        let members = result.as_object_mut().unwrap();
        let (kind, meta) = (members.remove("resultType"), members.remove("_meta"));
        if self.revision == MODERN {
            assert_eq!(kind, Some("complete".into()));
            let server = &meta.unwrap()["io.modelcontextprotocol/serverInfo"];
            assert_eq!(server["name"], "epicme");
        } else {
            assert_eq!((kind, meta), (None, None));
        }
        result
    }

    /// The same without what says how long it may be kept, which is for a modern client to know.
    pub(crate) async fn kept_for(&self, method: &str, params: Value) -> (Value, Option<u64>) {
        let mut result = self.result(method, params).await;
        let members = result.as_object_mut().unwrap();
        let (ttl, scope) = (members.remove("ttlMs"), members.remove("cacheScope"));
        if self.revision == MODERN {
            assert_eq!(scope, Some("private".into()));
            (result, Some(ttl.unwrap().as_u64().unwrap()))
        } else {
            assert_eq!((ttl, scope), (None, None));
            (result, None)
        }
    }

    /// The sentence of a refusal for wrong parameters.
    pub(crate) async fn refused(&self, method: &str, params: Value) -> String {
        let reply = self.ask(method, params).send().await;
        assert_eq!(reply.error(), (200, -32602), "{}", reply.text());
        let message = &reply.json()["error"]["message"];
        message.as_str().unwrap().to_owned()
    }
}

/// The scopes that a 403 asks for.
pub(crate) fn asked_for(reply: &Reply) -> String {
    assert_eq!(reply.status, 403, "{}", reply.text());
    let challenge = parse_challenge(reply.header("www-authenticate").unwrap()).unwrap();
    assert_eq!(challenge.get("error"), Some("insufficient_scope"));
    challenge.get("scope").unwrap().to_owned()
}

/// A value without its `title` members, as the oldest revision has it.
pub(crate) fn untitled(mut value: Value) -> Value {
    match &mut value {
        Value::Array(items) => {
            for item in items {
                *item = untitled(item.take());
            }
        }
        Value::Object(members) => {
            members.remove("title");
            for member in members.values_mut() {
                *member = untitled(member.take());
            }
        }
        _ => {}
    }
    value
}
