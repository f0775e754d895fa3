//! Tests of how claims of other forms are read.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(members: Value, rules: &TokenRules) -> Claims {
    let mut reply = json!({"active": true});
    for (name, value) in members.as_object().unwrap() {
        reply[name] = value.clone();
    }
    let reply = read_reply(reply.to_string().as_bytes()).unwrap();
    reply.under(rules).claims
}

#[test]
fn by_default_the_client_and_the_scopes_are_where_the_rfcs_have_them() {
    let claims = read(
        json!({"azp": "a", "cid": "c", "appid": "i", "scp": "files:read", "username": "Ada"}),
        &TokenRules::default(),
    );
    assert_eq!(
        (claims.client_id, claims.scope, claims.sub),
        (None, None, None)
    );
}

#[test]
fn the_first_claim_that_is_there_counts() {
    let rules = TokenRules {
        client_claims: ClientClaim::ALL.to_vec(),
        scope_claims: ScopeClaim::ALL.to_vec(),
        ..TokenRules::default()
    };
    for (members, client) in [
        (json!({"client_id": "h", "azp": "a"}), Some("h")),
        (json!({"azp": "a", "cid": "c", "appid": "i"}), Some("a")),
        (json!({"azp": 7, "cid": "c", "appid": "i"}), Some("c")),
        (json!({"azp": null, "cid": ["c"], "appid": "i"}), Some("i")),
        (json!({}), None),
    ] {
        let read = read(members.clone(), &rules).client_id;
        assert_eq!(read.as_deref(), client, "{members}");
    }
    for (members, scope) in [
        (json!({"scope": "a", "scp": "b"}), Some("a")),
        (json!({"scope": ["a", "c"], "scp": "b"}), Some("a c")),
        (json!({"scp": "b c"}), Some("b c")),
        (json!({"scp": ["b", "c"]}), Some("b c")),
        (json!({"scp": ["b c", "d"]}), Some("d")),
        (json!({"scp": 7}), None),
        (json!({"scp": {"b": 1}}), None),
    ] {
        let read = read(members.clone(), &rules).scope;
        assert_eq!(read.as_deref(), scope, "{members}");
    }
}

#[test]
fn a_person_has_the_first_usable_name() {
    let rules = TokenRules::default();
    for (members, name) in [
        (
            json!({"username": "ada", "preferred_username": "p", "name": "n"}),
            Some("ada"),
        ),
        (
            json!({"username": "", "preferred_username": "p", "name": "n"}),
            Some("p"),
        ),
        (
            json!({"preferred_username": " ", "name": "Ada L", "email": "a@b"}),
            Some("Ada L"),
        ),
        (
            json!({"name": {"given": "Ada"}, "email": "a@b"}),
            Some("a@b"),
        ),
        (json!({"name": "a\u{0}b"}), None),
        (json!({"email": "x".repeat(2_000)}), None),
        (json!({"sub": "s"}), None),
    ] {
        let read = read(members.clone(), &rules);
        assert_eq!(read.username.as_deref(), name, "{members}");
    }
}

#[test]
fn the_username_identifies_the_user_only_where_the_rules_say_so() {
    let members = json!({"sub": "s", "username": "ada", "preferred_username": "p"});
    let by_default = read(members.clone(), &TokenRules::default());
    assert_eq!(by_default.sub.as_deref(), Some("s"));
    let rules = TokenRules {
        subject: SubjectClaim::Username,
        ..TokenRules::default()
    };
    assert_eq!(read(members, &rules).sub.as_deref(), Some("ada"));
    // Neither another name nor `sub`: the user would change when the server sends a username one day.
    let others = json!({"sub": "s", "preferred_username": "p", "name": "n", "email": "a@b"});
    assert_eq!(read(others, &rules).sub, None);
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec(("[a-z]{1,4}", inner), 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    /// A server may send anything under names that no RFC about access tokens has.
    #[test]
    fn no_claim_of_another_rfc_makes_a_reply_unreadable(
        name in prop::sample::select(vec![
            "azp", "cid", "appid", "scp", "preferred_username", "name", "email", "nonce", "at_hash", "c_hash", "events",
            "token_use", "typ",
        ]),
        value in json_value(),
    ) {
        let reply = json!({"active": true, "sub": "s", "scope": "a", name: value});
        let read = read_reply(reply.to_string().as_bytes()).unwrap().under(&TokenRules::default());
        prop_assert_eq!(read.claims.sub.as_deref(), Some("s"));
        prop_assert_eq!(read.claims.client_id, None);
    }

    #[test]
    fn a_name_for_people_can_be_stored(name in ".{0,40}", email in ".{0,40}") {
        let members = json!({"name": name, "email": email});
        let shown = read(members, &TokenRules::default()).username;
        prop_assert!(shown.is_none_or(|shown| is_usable_name(&shown)));
    }
}
