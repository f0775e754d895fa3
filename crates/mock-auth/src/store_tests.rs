use chrono::TimeDelta;

use super::*;
use crate::{
    details::Details,
    grants::{Issued, Redemption, Refreshment},
    pkce::Challenge,
    saved::Saved,
    scopes::Grantable,
    settings::{TokenFormat, five_scopes},
};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const CALLBACK: &str = "https://app.example/cb";

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

fn scopes(list: &str) -> crate::scopes::Scopes {
    Grantable::new(five_scopes()).unwrap().parse(list).unwrap()
}

fn store() -> Store {
    let lifetimes = Lifetimes {
        code: TimeDelta::seconds(60),
        access: TimeDelta::seconds(300),
        refresh: TimeDelta::seconds(1000),
        device: TimeDelta::seconds(600),
        grace: TimeDelta::seconds(10),
    };
    let writer = Writer::new(
        "https://auth.example".to_owned(),
        TokenFormat::Opaque,
        [].into(),
    );
    Store::new(lifetimes, writer)
}

fn code(store: &mut Store) -> String {
    let grant = CodeGrant {
        client_id: "app".to_owned(),
        redirect_uri: Some(CALLBACK.to_owned()),
        challenge: Challenge::parse(CHALLENGE).unwrap(),
        subject: "1".to_owned(),
        scopes: scopes("entries:read tags:read"),
        resources: vec!["https://a.example/".to_owned()],
        details: Details::default(),
        refreshable: true,
    };
    store.issue_code(grant, at(0)).expose_secret().to_owned()
}

fn redemption(code: &str) -> Redemption<'_> {
    Redemption {
        code,
        client_id: "app",
        redirect_uri: Some(CALLBACK),
        verifier: VERIFIER,
        resources: Vec::new(),
        details: Details::default(),
        key: None,
    }
}

fn refreshment(token: &str) -> Refreshment<'_> {
    Refreshment {
        token,
        client_id: "app",
        scopes: None,
        resources: Vec::new(),
        details: Details::default(),
        key: None,
    }
}

/// Access and refresh token of a fresh grant.
fn pair(store: &mut Store) -> (String, String) {
    let code = code(store);
    clear(store.redeem(&redemption(&code), at(1)).ok().unwrap())
}

fn clear(issued: Issued) -> (String, String) {
    let refresh = issued.refresh_token.unwrap();
    (
        issued.access_token.expose_secret().to_owned(),
        refresh.expose_secret().to_owned(),
    )
}

#[test]
fn a_code_expires() {
    let mut store = store();
    let code = code(&mut store);
    assert!(store.redeem(&redemption(&code), at(60)).is_err());
    assert!(store.redeem(&redemption(&code), at(59)).is_ok());
}

#[test]
fn a_replayed_code_ends_the_tokens_of_its_first_use() {
    let mut store = store();
    let code = code(&mut store);
    let (access, refresh) = clear(store.redeem(&redemption(&code), at(1)).ok().unwrap());
    assert!(store.look_up(&access, at(100)).is_some());
    // Long after the code itself expired.
    assert!(store.redeem(&redemption(&code), at(100)).is_err());
    assert!(store.look_up(&access, at(100)).is_none());
    assert!(store.refresh(&refreshment(&refresh), at(100)).is_err());
}

#[test]
fn a_wrong_verifier_uses_the_code_up_and_a_foreign_client_does_not() {
    let mut store = store();
    let code = code(&mut store);
    let foreign = Redemption {
        client_id: "other",
        ..redemption(&code)
    };
    assert!(store.redeem(&foreign, at(1)).is_err());
    let wrong = Redemption {
        verifier: CHALLENGE,
        ..redemption(&code)
    };
    assert!(store.redeem(&wrong, at(1)).is_err());
    assert!(store.redeem(&redemption(&code), at(1)).is_err());
}

#[test]
fn the_redirect_uri_has_to_be_repeated() {
    let mut store = store();
    for redirect_uri in [None, Some("https://app.example/other")] {
        let code = code(&mut store);
        let other = Redemption {
            redirect_uri,
            ..redemption(&code)
        };
        assert!(store.redeem(&other, at(1)).is_err());
    }
}

#[test]
fn tokens_expire_to_the_second() {
    let mut store = store();
    let (access, refresh) = pair(&mut store);
    assert!(store.look_up(&access, at(300)).is_some());
    assert!(store.look_up(&access, at(301)).is_none());
    assert!(store.look_up(&refresh, at(1000)).is_some());
    assert!(store.look_up(&refresh, at(1001)).is_none());
    assert!(store.refresh(&refreshment(&refresh), at(1001)).is_err());
}

#[test]
fn refresh_tokens_rotate_and_reuse_ends_the_family() {
    let mut store = store();
    let (first, old) = pair(&mut store);
    let (second, new) = clear(store.refresh(&refreshment(&old), at(2)).ok().unwrap());
    assert!(
        store.look_up(&old, at(3)).is_none(),
        "a spent refresh token is inactive"
    );
    assert!(store.look_up(&first, at(3)).is_some() && store.look_up(&second, at(3)).is_some());
    assert!(store.refresh(&refreshment(&old), at(12)).is_err());
    for token in [&first, &second, &new] {
        assert!(store.look_up(token, at(12)).is_none());
    }
    assert!(store.refresh(&refreshment(&new), at(12)).is_err());
}

#[test]
fn a_refresh_token_gives_the_same_successor_for_ten_seconds() {
    let mut store = store();
    let (_, old) = pair(&mut store);
    let (first, new) = clear(store.refresh(&refreshment(&old), at(2)).ok().unwrap());
    for second in [2, 3, 11] {
        let again = clear(store.refresh(&refreshment(&old), at(second)).ok().unwrap());
        assert_eq!(again.1, new);
        assert!(store.look_up(&again.0, at(second)).is_some());
    }
    assert!(store.look_up(&first, at(11)).is_some());
    // The successor works, and the refresh token that follows upon it is another.
    let (_, third) = clear(store.refresh(&refreshment(&new), at(11)).ok().unwrap());
    assert_ne!(third, new);
    // The grace counts from the first use, not from the last.
    assert!(store.refresh(&refreshment(&old), at(12)).is_err());
    assert!(store.refresh(&refreshment(&third), at(12)).is_err());
}

#[test]
fn a_grace_widens_nothing_and_is_no_ones_but_the_clients() {
    let mut store = store();
    let (_, old) = pair(&mut store);
    assert!(store.refresh(&refreshment(&old), at(2)).is_ok());
    let foreign = Refreshment {
        client_id: "other",
        ..refreshment(&old)
    };
    assert!(store.refresh(&foreign, at(3)).is_err());
    let wider = Refreshment {
        scopes: Some(scopes("entries:write")),
        ..refreshment(&old)
    };
    assert!(store.refresh(&wider, at(3)).is_err());
    assert!(store.revoke(&old));
    assert!(store.refresh(&refreshment(&old), at(3)).is_err());
}

/// A store that goes on with what another one kept.
fn restarted(store: &Store, now: DateTime<Utc>) -> Store {
    let json = serde_json::to_vec(&store.to_saved(now)).unwrap();
    let saved: Saved = serde_json::from_slice(&json).unwrap();
    let mut next = store.like_new();
    next.go_on_with(saved, now).unwrap();
    next
}

#[test]
fn what_was_granted_goes_on_after_a_restart_and_reuse_is_still_seen() {
    let mut store = store();
    let (access, old) = pair(&mut store);
    let (_, new) = clear(store.refresh(&refreshment(&old), at(2)).ok().unwrap());
    let minted = Grant {
        subject: "1".to_owned(),
        client_id: "app".to_owned(),
        scope: String::new(),
        audience: Vec::new(),
        details: Details::default(),
        format: TokenFormat::Opaque,
        key: None,
    };
    let minted = store.issue(minted, TimeDelta::seconds(300), at(2));

    let mut store = restarted(&store, at(5));
    let (_, token) = store.look_up(&access, at(5)).unwrap();
    assert_eq!(token.grant.scope, "entries:read tags:read");
    assert!(store.look_up(minted.expose_secret(), at(5)).is_none());
    // Within the grace, the same successor as before the restart.
    let again = clear(store.refresh(&refreshment(&old), at(6)).ok().unwrap());
    assert_eq!(again.1, new);
    let mut other = restarted(&store, at(7));
    assert!(other.refresh(&refreshment(&new), at(20)).is_ok());
    assert!(other.refresh(&refreshment(&old), at(20)).is_err());
    assert!(other.look_up(&access, at(20)).is_none());
    // What was revoked stays so.
    assert!(store.revoke(&new));
    let mut store = restarted(&store, at(8));
    assert!(store.refresh(&refreshment(&new), at(8)).is_err());
    assert!(store.look_up(&access, at(8)).is_none());
    // And a new grant does not get the number of an old one.
    let (access, _) = pair(&mut store);
    assert!(store.look_up(&access, at(9)).is_some());
}

#[test]
fn what_is_kept_is_bounded_and_live_tokens_come_first() {
    let mut store = store();
    for i in 0..2_000 {
        let client = Client {
            id: format!("client {i}"),
            name: None,
            redirect_uris: vec![format!("https://app.example/{}", "x".repeat(1_000)); 20],
            grant_types: Vec::new(),
            secret: None,
            document_host: None,
        };
        store.register(client, at(0));
    }
    let (mut access, mut refresh) = pair(&mut store);
    let mut spent = Vec::new();
    for _ in 0..14_000 {
        spent.push(refresh.clone());
        (access, refresh) = clear(store.refresh(&refreshment(&refresh), at(2)).ok().unwrap());
    }
    let json = serde_json::to_vec(&store.to_saved(at(2))).unwrap();
    assert!(json.len() < 5 * 1024 * 1024, "{}", json.len());
    let mut store = restarted(&store, at(2));
    assert!(store.client("client 1999", at(2)).is_some());
    assert!(store.client("client 0", at(2)).is_none());
    assert!(store.look_up(&access, at(2)).is_some());
    assert!(store.refresh(&refreshment(&refresh), at(3)).is_ok());
}

#[test]
fn what_another_issuer_or_a_stranger_wrote_is_not_taken() {
    let store = store();
    let edits: [fn(&mut serde_json::Value); 6] = [
        |saved| saved["issuer"] = "https://other.example".into(),
        |saved| saved["successors"] = "x".into(),
        |saved| saved["keys"]["document"] = "AAAA".into(),
        |saved| {
            saved["clients"] = serde_json::json!([{
                "id": "a", "name": null, "redirect_uris": ["javascript:x"], "grant_types": [], "secret": null, "expires": 9,
            }]);
        },
        |saved| {
            saved["tokens"] = serde_json::json!([{
                "digest": "x", "kind": "access", "family": 1, "issued": 1, "expires": 2,
            }]);
        },
        |saved| {
            saved["choices"] = serde_json::json!([{
                "subject": "1", "client_id": "a", "unticked": [], "expires": i64::MAX,
            }]);
        },
    ];
    for edit in edits {
        let mut saved = serde_json::to_value(store.to_saved(at(0))).unwrap();
        edit(&mut saved);
        let saved: Saved = serde_json::from_value(saved).unwrap();
        assert!(store.like_new().go_on_with(saved, at(0)).is_err());
    }
}

#[test]
fn unticked_scopes_are_remembered_for_a_person_and_a_client() {
    let mut store = store();
    let (all, some) = (scopes("entries:read tags:read"), scopes("entries:read"));
    store.remember_choice("1", "app", &all, &some, at(0));
    let store = &mut restarted(&store, at(0));
    assert_eq!(store.unticked("1", "app", at(0)), ["tags:read"]);
    assert!(store.unticked("2", "app", at(0)).is_empty());
    assert!(store.unticked("1", "other", at(0)).is_empty());
    // A narrower question forgets nothing; a tick does.
    store.remember_choice("1", "app", &some, &some, at(1));
    assert_eq!(store.unticked("1", "app", at(1)), ["tags:read"]);
    store.remember_choice("1", "app", &all, &all, at(2));
    assert!(store.unticked("1", "app", at(2)).is_empty());
}

#[test]
fn a_family_lives_on_as_long_as_it_is_refreshed() {
    let mut store = store();
    let (_, refresh) = pair(&mut store);
    let (_, refresh) = clear(store.refresh(&refreshment(&refresh), at(900)).ok().unwrap());
    let (access, _) = clear(
        store
            .refresh(&refreshment(&refresh), at(1800))
            .ok()
            .unwrap(),
    );
    assert!(store.look_up(&access, at(1900)).is_some());
}

#[test]
fn a_refresh_narrows_the_scope_once_and_never_widens_it() {
    let mut store = store();
    let (_, refresh) = pair(&mut store);
    let wider = Refreshment {
        scopes: Some(scopes("entries:write")),
        ..refreshment(&refresh)
    };
    assert!(store.refresh(&wider, at(2)).is_err());
    let narrow = Refreshment {
        scopes: Some(scopes("tags:read")),
        ..refreshment(&refresh)
    };
    let narrowed = store.refresh(&narrow, at(2)).ok().unwrap();
    assert_eq!(narrowed.scope, "tags:read");
    // The new refresh token still stands for what was granted (RFC 6749 §6).
    let (_, refresh) = clear(narrowed);
    let again = store.refresh(&refreshment(&refresh), at(3)).ok().unwrap();
    assert_eq!(again.scope, "entries:read tags:read");
}

#[test]
fn an_access_token_does_not_refresh_and_another_client_cannot() {
    let mut store = store();
    let (access, refresh) = pair(&mut store);
    assert!(store.refresh(&refreshment(&access), at(2)).is_err());
    let foreign = Refreshment {
        client_id: "other",
        ..refreshment(&refresh)
    };
    assert!(store.refresh(&foreign, at(2)).is_err());
    assert!(store.refresh(&refreshment(&refresh), at(2)).is_ok());
}

#[test]
fn revoking_an_access_token_spares_the_family_and_a_refresh_token_takes_it() {
    let mut store = store();
    let (access, refresh) = pair(&mut store);
    assert!(store.revoke(&access));
    assert!(store.look_up(&access, at(2)).is_none() && store.look_up(&refresh, at(2)).is_some());
    let (access, refresh) = pair(&mut store);
    assert!(store.revoke(&refresh));
    assert!(store.look_up(&access, at(2)).is_none());
    assert!(!store.revoke("epa_unknown"));
}

#[test]
fn a_client_ends_its_own_tokens_only() {
    let mut store = store();
    let (access, spent) = pair(&mut store);
    assert!(store.refresh(&refreshment(&spent), at(2)).is_ok());
    for token in [&access, &spent] {
        assert!(store.revoke_for("other", token, at(3)).is_err());
    }
    assert!(store.look_up(&access, at(3)).is_some());
    assert_eq!(store.revoke_for("app", &spent, at(3)), Ok(true));
    assert!(store.look_up(&access, at(3)).is_none());
    assert_eq!(store.revoke_for("app", "epa_unknown", at(3)), Ok(false));
}

#[test]
fn revoking_a_subject_takes_codes_and_tokens() {
    let mut store = store();
    let (access, _) = pair(&mut store);
    let pending = code(&mut store);
    assert_eq!(store.revoke_where(|grant| grant.subject == "1"), 1);
    assert!(store.look_up(&access, at(2)).is_none());
    assert!(store.redeem(&redemption(&pending), at(2)).is_err());
}

#[test]
fn a_page_is_its_own_browsers_until_it_is_too_old() {
    let mut store = store();
    let browser = SecretString::from("browser");
    let handle = store.open_page(&browser, Step::Admin, at(0));
    let handle = handle.expose_secret();
    assert!(store.page(handle, "other", at(1)).is_none());
    store.note_unticked(handle, vec!["a".to_owned()], at(1));
    for _ in 0..2 {
        let page = store.page(handle, "browser", at(2)).unwrap();
        assert_eq!(page.unticked.unwrap(), ["a"]);
    }
    assert!(store.page(handle, "browser", at(16 * 60)).is_none());
}

#[test]
fn a_token_without_lifetime_is_dead_from_the_first() {
    let mut store = store();
    let grant = Grant {
        subject: "1".to_owned(),
        client_id: "app".to_owned(),
        scope: String::new(),
        audience: Vec::new(),
        details: Details::default(),
        format: TokenFormat::Opaque,
        key: None,
    };
    let token = store.issue(grant, TimeDelta::zero(), at(0));
    assert!(store.look_up(token.expose_secret(), at(0)).is_none());
}
