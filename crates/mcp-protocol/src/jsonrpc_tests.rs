use proptest::prelude::*;
use serde_json::json;

use super::*;

fn code_of(body: &str) -> (Option<String>, i32) {
    let unreadable = read(body.as_bytes()).unwrap_err();
    (
        unreadable.id.map(|id| id.to_string()),
        unreadable.error.code,
    )
}

/// B-02.
#[test]
fn what_is_not_json_is_a_parse_error_without_an_id() {
    for body in [
        "",
        "{",
        "not json",
        "{\"jsonrpc\":\"2.0\",\"id\":1",
        "\u{feff}{}",
    ] {
        assert_eq!(code_of(body), (None, code::PARSE_ERROR), "{body}");
    }
    assert_eq!(
        read(b"{\"a\":\"\xff\"}").unwrap_err().error.code,
        code::PARSE_ERROR
    );
}

#[test]
fn what_is_json_but_no_message_is_an_invalid_request_under_its_id() {
    for (body, id) in [
        ("1", None),
        ("null", None),
        ("{}", None),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, Some("1")),
        (r#"{"jsonrpc":"2.0","id":"a"}"#, Some("\"a\"")),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, Some("1")),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, None),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, None),
        (r#"{"jsonrpc":"2.0","id":1e3,"method":"ping"}"#, None),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, None),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, None),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}"#,
            None,
        ),
    ] {
        assert_eq!(
            code_of(body),
            (id.map(str::to_owned), code::INVALID_REQUEST),
            "{body}"
        );
    }
}

/// B-01, D-17.
#[test]
fn an_id_comes_back_as_it_was_sent() {
    for id in [
        "7",
        "\"7\"",
        "-3",
        "\"\\u00e9\"",
        "12345678901234567890123",
        "\"\"",
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        let Body::Single(Incoming::Request(request)) = read(body.as_bytes()).unwrap() else {
            panic!("{body} is a request")
        };
        assert_eq!(
            success(&request.id, "{}"),
            format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#)
        );
    }
}

#[test]
fn requests_notifications_and_responses_are_told_apart() {
    assert!(matches!(
        read(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#),
        Ok(Body::Single(Incoming::Notification(_)))
    ));
    assert!(matches!(
        read(br#"{"jsonrpc":"2.0","id":"s-1","result":{}}"#),
        Ok(Body::Single(Incoming::Response(_)))
    ));
    assert!(matches!(
        read(br#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no"}}"#),
        Ok(Body::Single(Incoming::Response(_)))
    ));
}

#[test]
fn a_batch_is_an_array_and_its_members_are_messages_each() {
    let Ok(Body::Batch(members)) =
        read(br#" [{"jsonrpc":"2.0","method":"a"}, ["2.0", 1, "ping"], 7, null, "x"]"#)
    else {
        panic!("a batch")
    };
    let read: Vec<_> = members
        .into_iter()
        .map(|member| read_member(member).map_err(|error| error.error.code))
        .collect();
    assert!(matches!(read[0], Ok(Incoming::Notification(_))));
    for member in &read[1..] {
        assert!(matches!(member, Err(code::INVALID_REQUEST)));
    }
    for broken in ["[", "[1,]", "[1] x"] {
        assert_eq!(code_of(broken), (None, code::PARSE_ERROR), "{broken}");
    }
}

#[test]
fn a_failure_without_an_id_has_no_id_member() {
    assert_eq!(
        failure(
            None,
            &RpcError::invalid_request("x").with_data(json!({"a": 1}))
        ),
        r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"x","data":{"a":1}}}"#
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(body: Vec<u8>) {
        let _ = read(&body);
    }

    #[test]
    fn arguments_are_passed_on_as_they_were_sent(text in "\\PC*") {
        let arguments = json!({ "text": text }).to_string();
        let body = format!(r#"{{"jsonrpc":"2.0","method":"m","params":{{"arguments":{arguments}}}}}"#);
        let Ok(Body::Single(notification @ Incoming::Notification(_))) = read(body.as_bytes()) else {
            return Err(TestCaseError::fail("a notification was not read"));
        };
        let params = notification.params().expect("params are an object");
        prop_assert_eq!(params.arguments.map(RawValue::get), Some(arguments.as_str()));
    }
}
