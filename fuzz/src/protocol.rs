//! Messages of MCP, and the ids and states that clients send back.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use mcp_protocol::{
    envelope::{Envelope, OwnedParams, Params},
    era::{self, Era},
    headers::{Field, Headers},
    jsonrpc::{self, Body, Incoming},
    request_state::{Binding, Sealer},
    rpc_error::code,
    session_id::{self, SessionId, SessionOwner, SessionSealer},
    sse::EventId,
};
use mcp_server::fuzzing;
use resource_server::jose::json;
use serde_json::{Value, value::RawValue};

use crate::claims::now;

/// The body of a POST.
pub fn envelope(data: &[u8]) -> bool {
    match jsonrpc::read(data) {
        Err(refused) => {
            let code = refused.error.code;
            assert!(
                matches!(code, code::PARSE_ERROR | code::INVALID_REQUEST),
                "{code}"
            );
            if serde_json::from_slice::<Value>(data).is_ok() {
                assert_eq!(code, code::INVALID_REQUEST, "it is JSON");
            }
            let answer = jsonrpc::failure(refused.id.as_ref(), &refused.error);
            serde_json::from_str::<Value>(&answer).expect("an answer is JSON");
            false
        }
        Ok(Body::Single(message)) => {
            // A reader that refuses duplicate names finds the same members.
            if let Some(members) = json::object(data) {
                check_message(&message, &members);
            }
            check_params(&message)
        }
        Ok(Body::Batch(members)) => {
            let Some(messages) = fuzzing::batch(&members) else {
                return false;
            };
            assert!((1..=20).contains(&messages.len()) && messages.len() == members.len());
            let mut ids = BTreeSet::new();
            for (message, member) in messages.iter().zip(&members) {
                if let Some(members) = json::object(member.get().as_bytes()) {
                    check_message(message, &members);
                }
                if let Incoming::Request(request) = message {
                    assert!(request.method != "initialize");
                    assert!(ids.insert(request.id.as_json().to_owned()), "an id twice");
                }
                assert!(message.params().is_ok());
            }
            true
        }
    }
}

fn check_message(message: &Incoming<'_>, members: &serde_json::Map<String, Value>) {
    assert_eq!(members["jsonrpc"], "2.0");
    let (id, method) = match message {
        Incoming::Request(request) => (Some(&request.id), Some(&request.method)),
        Incoming::Notification(notification) => (None, Some(&notification.method)),
        Incoming::Response(response) => (Some(&response.id), None),
    };
    assert_eq!(members.get("id").is_some(), id.is_some());
    assert_eq!(
        members.get("method").and_then(Value::as_str),
        method.map(AsRef::as_ref)
    );
    assert!(method.is_none_or(|method| method.len() <= 128));
    if let Some(id) = id {
        assert!(id.as_json().len() <= 256);
        assert_eq!(id.as_text().as_deref(), members["id"].as_str());
        let answer: Value = serde_json::from_str(&jsonrpc::success(id, "{}")).expect("JSON");
        assert_eq!(answer["id"], members["id"], "it is echoed");
    }
}

/// Whether the request obeys MCP 2026-07-28.
fn check_params(message: &Incoming<'_>) -> bool {
    let Ok(params) = message.params() else {
        return false;
    };
    let again = OwnedParams::from(&params);
    let texts = |params: &Params<'_>| {
        [
            params.name,
            params.arguments,
            params.uri,
            params.reference,
            params.argument,
            params.level,
            params.cursor,
        ]
        .map(|member| member.map(|raw| raw.get().to_owned()))
    };
    assert_eq!(
        texts(&params),
        texts(&again.borrow()),
        "what a session keeps"
    );
    let Incoming::Request(request) = message else {
        return true;
    };
    let Ok(envelope) = Envelope::read(&params) else {
        return false;
    };
    assert!(params.claims_envelope());
    // Headers as a well-behaved client sends them.
    let named = |member: Option<&RawValue>| {
        member.and_then(|raw| serde_json::from_str::<String>(raw.get()).ok())
    };
    let name = match request.method.as_ref() {
        "tools/call" | "prompts/get" => named(params.name),
        "resources/read" => named(params.uri),
        _ => None,
    };
    let headers = Headers {
        protocol_version: Field::One(envelope.protocol_version.as_bytes()),
        method: Field::One(request.method.as_bytes()),
        name: name
            .as_deref()
            .map_or(Field::Absent, |name| Field::One(name.as_bytes())),
        session_id: Field::Absent,
    };
    assert_eq!(era::classify(message, &params, &headers), Ok(Era::Modern));
    let Ok(admitted) = era::admit(request, params, &headers) else {
        return false;
    };
    assert_eq!(admitted.version.as_str(), envelope.protocol_version);
    // Any other version in the header is another message.
    let other = Headers {
        protocol_version: Field::One(b"2025-11-25"),
        ..headers
    };
    assert!(era::admit(request, params, &other).is_err());
    assert!(era::admit(request, params, &Headers::default()).is_err());
    true
}

/// Two bytes that name a place, one that is put there, then the payload and, after a line break, the arguments of the call.
pub fn request_state(data: &[u8]) -> bool {
    let sealer = Sealer::new(&[7; 32], None);
    let binding = |user: &[u8], arguments| {
        Binding::new(user, Some("host"), "tools/call", "delete_tag", arguments)
    };
    let text = String::from_utf8_lossy(data);
    // Of somebody for whom none was sealed: libFuzzer learns those that the target itself seals.
    let none = binding(b"eve", None);
    assert!(
        sealer.open(&none, &text, now()).is_err(),
        "nothing is guessed"
    );
    let Some((&[high, low, byte], rest)) = data.split_first_chunk::<3>() else {
        return false;
    };
    let rest = String::from_utf8_lossy(rest);
    let (payload, arguments) = rest.split_once('\n').unwrap_or((&rest, "{}"));
    let arguments: Option<&RawValue> = serde_json::from_str(arguments).ok();
    let ours = binding(b"ada", arguments);
    let state = sealer.seal(&ours, payload, now());
    let open = |binding: &Binding, state: &str, later| {
        let opened = sealer.open(binding, state, now() + TimeDelta::seconds(later));
        opened.ok().map(|opened| opened.payload)
    };
    assert_eq!(open(&ours, &state, 599).as_deref(), Some(payload));
    assert_eq!(open(&ours, &state, 600), None, "it has expired");
    assert_eq!(
        open(&binding(b"bob", arguments), &state, 0),
        None,
        "it is another's"
    );
    assert!(
        Sealer::random().open(&ours, &state, now()).is_err(),
        "of another key"
    );
    // The same arguments, written in another way.
    if let Some(value) = arguments.and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok()) {
        let written = RawValue::from_string(format!("{value:#}")).expect("JSON");
        assert!(open(&binding(b"ada", Some(&written)), &state, 0).is_some());
    }
    let mut changed = state.clone().into_bytes();
    let place = usize::from(u16::from_be_bytes([high, low])) % changed.len();
    changed[place] = byte;
    if let Ok(changed) = String::from_utf8(changed)
        && changed != state
    {
        assert_eq!(open(&ours, &changed, 0), None, "a change goes unnoticed");
    }
    true
}

/// A session id.
pub fn session_id(data: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(data) else {
        return false;
    };
    let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    // The format is the first byte: eight bits of the first two characters.
    let has_format = text.starts_with('A')
        && text[1..].starts_with(|second: char| matches!(second, 'Q'..='Z' | 'a'..='f'));
    let has_form = text.len() == session_id::LENGTH && text.bytes().all(is_base64url) && has_format;
    let id = SessionId::parse(text);
    // In one way only, so that one session has one name.
    assert_eq!(
        id.map(|id| id.to_string()),
        has_form.then(|| text.to_owned())
    );
    let Some(id) = id else { return false };
    let owner = SessionOwner::new(b"ann", Some("host"));
    let opened = session_sealer().open(&owner, &id);
    let stranger = SessionOwner::new(b"bob", Some("host"));
    assert_eq!(session_sealer().open(&stranger, &id), None);
    if let Some(start) = opened {
        assert!(!start.version.is_modern());
        assert_eq!(start.capabilities, start.capabilities.within(start.version));
    }
    opened.is_some()
}

/// With the key of the seeds.
fn session_sealer() -> SessionSealer {
    SessionSealer::new(&[7; 32], None)
}

/// How many messages were sent, then the value of `Last-Event-ID`.
pub fn sse_event_id(data: &[u8]) -> bool {
    let Some((sent, text)) = data.split_first() else {
        return false;
    };
    let Ok(text) = str::from_utf8(text) else {
        return false;
    };
    let Some(after) = EventId::parse(text) else {
        return false;
    };
    assert_eq!(after.to_string(), text, "in one way only");
    let sent = u32::from(*sent % 64);
    let resumed = fuzzing::resumed(sent, after);
    // Event 0 opens the connection, the messages are 1 to `sent`.
    let was_sent = after.instance == 0 && (1..=2).contains(&after.stream) && after.event <= sent;
    assert_eq!(resumed.is_some(), was_sent);
    let Some(frames) = resumed else {
        return false;
    };
    let expected: Vec<_> = (after.event + 1..=sent)
        .map(|event| format!("id: s{}-{event}\ndata: {}\n\n", after.stream, event - 1))
        .collect();
    assert_eq!(frames, expected, "each message once, of this stream alone");
    true
}
