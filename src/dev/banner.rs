//! The text that `epicme dev` prints when everything runs.

use std::{fmt, path::PathBuf};

use mock_auth::User;
use secrecy::{ExposeSecret, SecretString};

pub(super) struct Banner<'a> {
    pub(super) mcp_url: &'a str,
    pub(super) issuer: &'a str,
    pub(super) token: &'a str,
    pub(super) users: &'a [User],
    pub(super) kept: &'a Kept,
    /// `None` unless the user asked to see them.
    pub(super) secrets: Option<&'a Secrets>,
    /// The URL of the private database. `None` for a database of your own, whose URL may contain a password.
    pub(super) database: Option<&'a str>,
}

/// The secrets of one run.
pub(super) struct Secrets {
    /// With which the client `epicme` authenticates at the introspection endpoint.
    pub(super) introspection: SecretString,
    /// With which revoked tokens are reported to EpicMe.
    pub(super) revocation: SecretString,
}

/// Where the journal is kept.
pub(super) enum Kept {
    /// In the database of `DATABASE_URL`.
    InYourDatabase,
    /// In this directory.
    In(PathBuf),
    /// Deleted when the program ends.
    Nowhere,
}

impl fmt::Display for Banner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            mcp_url,
            issuer,
            token,
            users,
            kept,
            secrets,
            database,
        } = self;
        let names: Vec<_> = users
            .iter()
            .map(|user| format!("{} ({})", user.name, user.username))
            .collect();
        let kept = match kept {
            Kept::InYourDatabase => "in the database of DATABASE_URL".to_owned(),
            Kept::In(directory) => format!("in {}", directory.display()),
            Kept::Nowhere => "nowhere: it is deleted when this program ends".to_owned(),
        };
        let database = database.map_or_else(String::new, |url| {
            format!("  Database shell        psql {url}\n")
        });
        let secrets = secrets.map_or_else(String::new, |secrets| {
            format!(
                "  Introspection secret  {}   (of the client epicme)\n  Revocation secret     {}\n",
                secrets.introspection.expose_secret(),
                secrets.revocation.expose_secret()
            )
        });
        write!(
            f,
            r#"
EpicMe is running. Press Ctrl-C to stop it.

  MCP server            {mcp_url}
  Authorization server  {issuer}   (a mock: pick a demo user, no password needed)
  Demo users            {names}
  The journal is kept   {kept}
{database}{secrets}
Write a first entry, as {first}:

curl -sS {mcp_url} \
  -H 'Authorization: Bearer {token}' \
  -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \
  -H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: tools/call' -H 'Mcp-Name: create_entry' \
  -d '{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"create_entry","arguments":{{"title":"First light","content":"It works."}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}'

Or connect an MCP host; it discovers the sign-in by itself:

  VS Code        code --add-mcp '{{"name":"epicme","type":"http","url":"{mcp_url}"}}'
  Claude Code    claude mcp add --transport http epicme {mcp_url}
  Cursor         put into ~/.cursor/mcp.json:  {{"mcpServers":{{"epicme":{{"url":"{mcp_url}"}}}}}}
  MCP Inspector  npx @modelcontextprotocol/inspector --transport http --server-url {mcp_url}

"#,
            names = names.join(", "),
            first = users.first().map_or("nobody", |user| user.name.as_str()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn banner(kept: &Kept, database: Option<&str>) -> String {
        let banner = Banner {
            mcp_url: "http://127.0.0.1:1/mcp",
            issuer: "http://127.0.0.1:2",
            token: "token",
            users: &[],
            kept,
            secrets: None,
            database,
        };
        banner.to_string()
    }

    #[test]
    fn a_database_that_is_its_own_is_named_and_another_is_not() {
        let own = banner(&Kept::Nowhere, Some("postgresql://epicme@host/epicme"));
        let line = "  Database shell        psql postgresql://epicme@host/epicme\n\nWrite a";
        assert!(own.contains(line), "{own}");
        let another = banner(&Kept::InYourDatabase, None);
        assert!(another.contains("DATABASE_URL\n\nWrite a"), "{another}");
        assert!(!another.contains("psql"), "{another}");
    }

    #[test]
    fn secrets_are_shown_to_those_who_asked_for_them() {
        let without = banner(&Kept::Nowhere, None);
        assert!(!without.contains("secret"), "{without}");
        let secrets = Secrets {
            introspection: "first-secret".into(),
            revocation: "second-secret".into(),
        };
        let banner = Banner {
            mcp_url: "http://127.0.0.1:1/mcp",
            issuer: "http://127.0.0.1:2",
            token: "token",
            users: &[],
            kept: &Kept::Nowhere,
            secrets: Some(&secrets),
            database: None,
        };
        let with = banner.to_string();
        assert!(
            with.contains("  Introspection secret  first-secret   (of"),
            "{with}"
        );
        assert!(
            with.contains("  Revocation secret     second-secret\n\nWrite a"),
            "{with}"
        );
    }
}
