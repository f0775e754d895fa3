//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{ArgGroup, Parser};
use url::Url;

use crate::{duration, failure::Kind, mix::Mix};

/// How many of something: a part of all, or so many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Share {
    Percent(f64),
    Count(u64),
}

impl Share {
    /// How many that is of `all`.
    pub(crate) fn of(self, all: u64) -> Option<u64> {
        match self {
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a part of some thousands, rounded"
            )]
            Self::Percent(percent) => Some((all as f64 * percent / 100.0).round() as u64),
            Self::Count(count) => Some(count).filter(|count| *count <= all),
        }
    }
}

fn share(text: &str) -> Result<Share, String> {
    let wrong = "write a part like 30%, or a number";
    let Some(percent) = text.strip_suffix('%') else {
        return text.parse().map(Share::Count).map_err(|_| wrong.to_owned());
    };
    let percent: f64 = percent.parse().map_err(|_| wrong.to_owned())?;
    if (0.0..=100.0).contains(&percent) {
        Ok(Share::Percent(percent))
    } else {
        Err(wrong.to_owned())
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "a number".to_owned())?;
    if (0.01..=1_000_000.0).contains(&rate) {
        Ok(rate)
    } else {
        Err("from 0.01 to 1000000".to_owned())
    }
}

fn allowed(text: &str) -> Result<String, String> {
    if Kind::is_allowable(text) {
        return Ok(text.to_owned());
    }
    Err(
        "a status such as 503, connect, closed, timeout, too-large, tool-error, stream-ended, or a code such as \
         rpc-32603; what is wrong rather than late cannot be allowed"
            .to_owned(),
    )
}

fn arguments(text: &str) -> Result<(String, String), String> {
    let (name, json) = text
        .split_once('=')
        .ok_or("write NAME={\"an\": \"object\"}")?;
    match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(json) {
        Ok(object) => Ok((
            name.to_owned(),
            serde_json::Value::Object(object).to_string(),
        )),
        Err(error) => Err(format!(
            "the arguments of {name} are no JSON object: {error}"
        )),
    }
}

/// Puts load on an OAuth-protected MCP server, and checks every answer.
///
/// Clients of either era, or of both at once, go round a mix of operations at a constant rate or as fast as answers come. At the end
/// there is a table of latencies, and of all that was wrong. An answer counts only if it is the right one: to the same request, of the
/// same user, with all that was written, once; and whoever subscribed has to be told of every change.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "mcp-load",
    version,
    max_term_width = 110,
    group = ArgGroup::new("credentials").required(true).args(["dev_tokens", "token_url", "token_file"]),
    after_long_help = AFTER
)]
pub struct Options {
    /// The MCP endpoint, by its URL
    pub(crate) url: Url,

    /// How many clients there are at once, each on a connection of its own; in the legacy era each has a session
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1_000_000), help_heading = "Clients")]
    pub(crate) sessions: u64,

    /// How many of them are of the legacy era: 30%, or a number. The others speak 2026-07-28
    #[arg(long, value_name = "SHARE", default_value = "0%", value_parser = share, help_heading = "Clients")]
    pub(crate) legacy: Share,

    /// The revision of those
    #[arg(long, value_name = "REVISION", default_value = "2025-11-25", value_parser = ["2025-11-25", "2025-06-18", "2025-03-26"], help_heading = "Clients")]
    pub(crate) legacy_version: String,

    /// How many clients keep an event stream open besides: subscriptions/listen, or the GET stream of a session
    #[arg(long, value_name = "SHARE", default_value = "0%", value_parser = share, help_heading = "Clients")]
    pub(crate) streams: Share,

    /// A legacy client without a stream deletes its session after so many calls, and opens another
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Clients")]
    pub(crate) session_calls: Option<u64>,

    /// Connections that are being opened at the same time
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..), help_heading = "Clients")]
    pub(crate) connecting: u16,

    /// Operations by weight: a journal's tools (create_entry, get_entry, list_entries, search_entries, update_entry, create_tag,
    /// whoami), other tools by name, methods (tools/list, ping, …)
    #[arg(long, value_name = "NAME=WEIGHT,…", default_value = DEFAULT_MIX, help_heading = "Load")]
    pub(crate) mix: Mix,

    /// Arguments of a tool, or parameters of a method, such as get_weather={"city":"Oslo"}. The answers of a tool whose arguments
    /// are given are not held against what was written
    #[arg(long, value_name = "NAME=JSON", value_parser = arguments, help_heading = "Load")]
    pub(crate) arguments: Vec<(String, String)>,

    /// Open loop: so many requests in a second, whatever the answers do, and latencies from when each was due. Without a rate: closed
    /// loop, each client asks again when it was answered
    #[arg(long, value_name = "PER SECOND", value_parser = rate, help_heading = "Load")]
    pub(crate) rate: Option<f64>,

    /// How long the load grows: to the full rate, or to all clients
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = duration::parse, help_heading = "Load")]
    pub(crate) ramp_up: Duration,

    /// How long requests are checked but not counted
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration::parse, help_heading = "Load")]
    pub(crate) warm_up: Duration,

    /// How long requests are counted
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration::parse, help_heading = "Load")]
    pub(crate) duration: Duration,

    /// End after so many requests of all clients together, if that is earlier
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Load")]
    pub(crate) requests: Option<u64>,

    /// Threads. Each takes whole users, so there are no more of them than users
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256), help_heading = "Load")]
    pub(crate) threads: u16,

    /// Tokens of any number of users from a mock's endpoint for developers: POST ISSUER/dev/token
    #[arg(long, value_name = "ISSUER", help_heading = "Tokens")]
    pub(crate) dev_tokens: Option<Url>,

    /// A token by client credentials (RFC 6749 §4.4) from this token endpoint, for one user
    #[arg(long, value_name = "URL", requires_all = ["client_id", "client_secret_file"], help_heading = "Tokens")]
    pub(crate) token_url: Option<Url>,

    /// Tokens from a file, one a line, each of another user
    #[arg(long, value_name = "FILE", help_heading = "Tokens")]
    pub(crate) token_file: Option<PathBuf>,

    /// The client that has the credentials
    #[arg(long, value_name = "ID", help_heading = "Tokens")]
    pub(crate) client_id: Option<String>,

    /// The file of its secret
    #[arg(long, value_name = "FILE", help_heading = "Tokens")]
    pub(crate) client_secret_file: Option<PathBuf>,

    /// The scope to ask for [default: what there is without asking]
    #[arg(long, value_name = "SCOPE", help_heading = "Tokens")]
    pub(crate) scope: Option<String>,

    /// How many users [default: one for each client, 100 at most; of a file all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=200_000), help_heading = "Tokens")]
    pub(crate) users: Option<u64>,

    /// What subjects of --dev-tokens begin with; a number follows
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "load-",
        help_heading = "Tokens"
    )]
    pub(crate) subject_prefix: String,

    /// The resource that tokens are for (RFC 8707), if it is not the endpoint's URL
    #[arg(long, value_name = "URL", help_heading = "Tokens")]
    pub(crate) resource: Option<Url>,

    /// The Host to say [default: that of --resource, else of the endpoint]
    #[arg(long, value_name = "HOST", help_heading = "Connections")]
    pub(crate) host_header: Option<String>,

    /// Send tokens over http to other machines too. For a private network, such as compose's
    #[arg(long, help_heading = "Connections")]
    pub(crate) insecure_http: bool,

    /// How long an answer may take
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration::parse, help_heading = "Connections")]
    pub(crate) timeout: Duration,

    /// How large an answer, or an event of a stream, may be, in KiB
    #[arg(long, value_name = "KIB", default_value_t = 4_096, value_parser = clap::value_parser!(u32).range(1..=1_048_576), help_heading = "Connections")]
    pub(crate) max_answer: u32,

    /// Parse one answer in N whole. Status, id, result and whose data it is are looked at in all of them
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..), help_heading = "Checks")]
    pub(crate) check_every: u64,

    /// Entries that each user is given beforehand, if the mix reads any
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=10_000), help_heading = "Checks")]
    pub(crate) entries: u32,

    /// The URI of an entry, to subscribe to
    #[arg(
        long,
        value_name = "TEMPLATE",
        default_value = "epicme://entries/{id}",
        help_heading = "Checks"
    )]
    pub(crate) entry_uri: String,

    /// How long after its write a notification may come
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration::parse, help_heading = "Checks")]
    pub(crate) notify_within: Duration,

    /// Errors that do not fail the test, however many: 503, 429, timeout, …
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = allowed, help_heading = "Checks")]
    pub(crate) allow: Vec<String>,

    /// How many errors of the kinds that can be allowed do not fail the test
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Checks")]
    pub(crate) max_errors: u64,

    /// Do not look, at the end, for all that was written
    #[arg(long, help_heading = "Checks")]
    pub(crate) no_verify: bool,

    /// The server's process on this machine, whose memory and processor time are shown
    #[arg(long, value_name = "PID", help_heading = "Report")]
    pub(crate) pid: Option<u32>,

    /// Write the report as JSON
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub(crate) json: Option<PathBuf>,

    /// Write the report as one HTML page with plots, which needs nothing else
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub(crate) html: Option<PathBuf>,

    /// Say nothing while it runs
    #[arg(long, short, help_heading = "Report")]
    pub(crate) quiet: bool,
}

const DEFAULT_MIX: &str =
    "list_entries=6,create_entry=2,tools/list=1,search_entries=1,get_entry=1,whoami=1";

const AFTER: &str = "\
Examples:
  A server and its mock authorization server on this machine, both eras, half with a stream:
    mcp-load http://127.0.0.1:8787/mcp --dev-tokens http://127.0.0.1:7788 \\
        --sessions 1000 --legacy 30% --streams 50% --mix list_entries=6,create_entry=2,update_entry=1 --html report.html
  How it does at 500 requests a second:
    mcp-load https://journal.example/mcp --token-file tokens --rate 500 --ramp-up 10s --duration 2m
  A server that is no journal:
    mcp-load https://weather.example/mcp --token-url https://login.example/token --client-id load \\
        --client-secret-file secret --mix tools/list=1,get_weather=9 --arguments 'get_weather={\"city\":\"Oslo\"}'

Checked of every answer: status, JSON-RPC id, a result and no error, no other user's marker. Of one in --check-every: all of it.
At the end: every entry and tag that was created is there exactly once; every subscriber was told of every change.

What the server sheds (429, 503) is counted by its status. In a closed loop a client waits as long as Retry-After says.

Exit codes: 0 all was right; 1 something was not, or the server refuses the first request; 64 the command line is wrong;
69 the server, or who gives the tokens, cannot be reached; 71 the operating system refuses something.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_part_or_a_number() {
        assert_eq!(share("30%").unwrap().of(1_000), Some(300));
        assert_eq!(share("0%").unwrap().of(1_000), Some(0));
        assert_eq!(share("100%").unwrap().of(7), Some(7));
        assert_eq!(share("12.5%").unwrap().of(8), Some(1));
        assert_eq!(share("12").unwrap().of(12), Some(12));
        assert_eq!(share("13").unwrap().of(12), None);
        for text in ["", "%", "101%", "-1%", "x", "1.5", "NaN%"] {
            assert!(share(text).is_err(), "{text}");
        }
    }

    #[test]
    fn arguments_are_a_name_and_an_object() {
        let (name, json) = arguments(r#"a={"b": "c=d"}"#).unwrap();
        assert_eq!((name.as_str(), json.as_str()), ("a", r#"{"b":"c=d"}"#));
        for text in ["a", "a=", "a=[]", "a={"] {
            assert!(arguments(text).is_err(), "{text}");
        }
    }

    #[test]
    fn where_the_tokens_come_from_has_to_be_said_once() {
        let url = "http://127.0.0.1:1/mcp";
        let read = |more: &[&str]| Options::try_parse_from([&["mcp-load", url], more].concat());
        assert!(read(&[]).is_err());
        assert!(read(&["--dev-tokens", "http://127.0.0.1:2"]).is_ok());
        assert!(read(&["--token-file", "f", "--dev-tokens", "http://127.0.0.1:2"]).is_err());
        assert!(read(&["--token-url", "http://127.0.0.1:2"]).is_err());
        assert!(read(&["--token-file", "f", "--allow", "503,429"]).is_ok());
        assert!(read(&["--token-file", "f", "--allow", "lost"]).is_err());
    }
}
