//! What people see, and what a forger cannot do with it.

use mock_auth::Scope;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{Browser, CALLBACK, RESOURCE, TestAuth, location, ok, param, query};

const AUTHORIZE: &str = "/oauth/authorize";

#[actix_rt::test]
async fn a_person_signs_in_unticks_a_scope_and_allows() {
    let server = TestAuth::spawn().await;
    let client = server.register().await;
    let mut browser = Browser::default();
    let path = query(
        AUTHORIZE,
        &client,
        &[("scope", "entries:read entries:write openid")],
    );
    let consent = browser.sign_in(&server, &path, "2").await;
    assert_eq!(consent.status, StatusCode::OK);
    for shown in [
        "Notebook",
        "Bela Marsh",
        "this computer",
        RESOURCE,
        "entries:write",
    ] {
        assert!(consent.html.contains(shown), "{shown}");
    }
    assert!(
        !consent.html.contains("tags:read"),
        "what was not asked for is not offered"
    );

    // One ticked, one not, and one that was never offered.
    let form = [
        ("page", consent.handle()),
        ("decision", "allow"),
        ("scope", "entries:read"),
        ("scope", "tags:write"),
    ];
    let back = browser.submit(&server, AUTHORIZE, &form).await;
    assert_eq!(back.status(), StatusCode::SEE_OTHER);
    let back = location(&back);
    assert!(back.starts_with(CALLBACK));
    assert_eq!(param(back, "state").unwrap(), "st ate&1");
    assert_eq!(param(back, "iss").unwrap(), server.auth.issuer());

    let code = param(back, "code").unwrap();
    let tokens = ok(server.redeem(&client, &code, &[]).await).await;
    assert_eq!(tokens["scope"], "entries:read");
    assert_eq!(tokens["token_type"], "Bearer");
    let told = server
        .introspect(tokens["access_token"].as_str().unwrap())
        .await;
    assert_eq!(told["sub"], "2");
    assert_eq!(told["username"], "bela");
    assert_eq!(told["scope"], "entries:read");
    assert_eq!(told["aud"], RESOURCE);
    assert_eq!(told["iss"], server.auth.issuer());
    assert_eq!(told["client_id"], client);
}

#[actix_rt::test]
async fn denying_tells_the_client_so() {
    let server = TestAuth::spawn().await;
    let client = server.register().await;
    let path = query(AUTHORIZE, &client, &[]);
    let mut browser = Browser::default();
    let consent = browser.sign_in(&server, &path, "1").await;
    let first = browser.open(&server, &path).await;
    for handle in [consent.handle(), first.handle()] {
        let form = [("page", handle), ("decision", "deny")];
        let back = browser.submit(&server, AUTHORIZE, &form).await;
        let back = location(&back);
        assert_eq!(param(back, "error").unwrap(), "access_denied");
        assert_eq!(param(back, "state").unwrap(), "st ate&1");
        assert_eq!(param(back, "iss").unwrap(), server.auth.issuer());
        assert_eq!(param(back, "code"), None);
    }
}

#[actix_rt::test]
async fn allowing_nothing_asks_again() {
    let server = TestAuth::spawn().await;
    let client = server.register().await;
    let mut browser = Browser::default();
    let consent = browser
        .sign_in(&server, &query(AUTHORIZE, &client, &[]), "1")
        .await;
    let form = [("page", consent.handle()), ("decision", "allow")];
    let again = browser.submit(&server, AUTHORIZE, &form).await;
    let again = browser.follow(&server, again).await;
    assert!(again.html.contains("Tick at least one"));
    assert_eq!(again.is_ticked("user:read"), Some(false));
    let form = [
        ("page", again.handle()),
        ("decision", "allow"),
        ("scope", "user:read"),
    ];
    let back = browser.submit(&server, AUTHORIZE, &form).await;
    assert_eq!(back.status(), StatusCode::SEE_OTHER);
}

#[actix_rt::test]
async fn without_scope_everything_is_offered() {
    let server = TestAuth::spawn().await;
    let client = server.register().await;
    let mut browser = Browser::default();
    let consent = browser
        .sign_in(&server, &query(AUTHORIZE, &client, &[]), "1")
        .await;
    assert_eq!(consent.html.matches("type=\"checkbox\"").count(), 5);
}

#[actix_rt::test]
async fn a_page_works_in_its_own_browser_only() {
    let server = TestAuth::spawn().await;
    let client = server.register().await;
    let path = query(AUTHORIZE, &client, &[]);
    let mut browser = Browser::default();
    let consent = browser.sign_in(&server, &path, "1").await;
    let handle = consent.handle();
    let form = [
        ("page", handle),
        ("decision", "allow"),
        ("scope", "user:read"),
    ];

    // A page of another site cannot send the cookie along.
    let without_cookie = server.post(AUTHORIZE, &form).await;
    assert_eq!(without_cookie.status(), StatusCode::BAD_REQUEST);
    // An attacker's own session does not fit the victim's handle, nor the other way round.
    let mut other = Browser::default();
    let theirs = other.sign_in(&server, &path, "1").await;
    let foreign = other.submit(&server, AUTHORIZE, &form).await;
    assert_eq!(foreign.status(), StatusCode::BAD_REQUEST);
    let planted = [
        ("page", theirs.handle()),
        ("decision", "allow"),
        ("scope", "user:read"),
    ];
    let planted = browser.submit(&server, AUTHORIZE, &planted).await;
    assert_eq!(planted.status(), StatusCode::BAD_REQUEST);
    let guessed = [
        ("page", "page_x"),
        ("decision", "allow"),
        ("scope", "user:read"),
    ];
    let guessed = browser.submit(&server, AUTHORIZE, &guessed).await;
    assert_eq!(guessed.status(), StatusCode::BAD_REQUEST);

    // Nor is it shown to another.
    for path in ["/oauth/consent", "/oauth/sign-in"] {
        let path = format!("{path}?page={handle}");
        let looked = Browser::default().open(&server, &path).await;
        assert_eq!(looked.status, StatusCode::BAD_REQUEST);
        let looked = other.open(&server, &path).await;
        assert_eq!(looked.status, StatusCode::BAD_REQUEST);
        assert!(!looked.html.contains("Notebook"));
    }
    let back = browser.submit(&server, AUTHORIZE, &form).await;
    assert_eq!(back.status(), StatusCode::SEE_OTHER);
}

#[actix_rt::test]
async fn going_back_reloading_and_answering_again_work() {
    let server = TestAuth::spawn().await;
    let client = server.register().await;
    let path = query(AUTHORIZE, &client, &[("scope", "entries:read tags:read")]);
    let mut browser = Browser::default();
    let sign_in = browser.open(&server, &path).await;
    let mut consents = Vec::new();
    // Back from the consent page, and another person.
    for user in ["1", "2"] {
        let form = [("page", sign_in.handle()), ("user", user)];
        let next = browser.submit(&server, AUTHORIZE, &form).await;
        consents.push(location(&next).to_owned());
    }
    for (path, name) in consents.iter().zip(["Ada", "Bela"]) {
        for _look in 0..3 {
            let page = browser.open(&server, path).await;
            assert_eq!(page.status, StatusCode::OK);
            assert!(page.html.contains(name), "{name}");
        }
    }
    // The first answer leaves one out; back shows it as it was answered, and a second answer is as good as the first.
    for (ticks, scope) in [
        (&["tags:read"][..], "tags:read"),
        (&["entries:read", "tags:read"], "entries:read tags:read"),
    ] {
        let page = browser.open(&server, &consents[0]).await;
        let mut form = vec![("page", page.handle()), ("decision", "allow")];
        form.extend(ticks.iter().map(|tick| ("scope", *tick)));
        let back = browser.submit(&server, AUTHORIZE, &form).await;
        let code = param(location(&back), "code").unwrap();
        let tokens = ok(server.redeem(&client, &code, &[]).await).await;
        assert_eq!(tokens["scope"], scope);
        let page = browser.open(&server, &consents[0]).await;
        for tick in ["entries:read", "tags:read"] {
            assert_eq!(page.is_ticked(tick), Some(ticks.contains(&tick)), "{tick}");
        }
    }
}

#[actix_rt::test]
async fn what_a_person_unticked_for_a_client_stays_unticked_the_next_time() {
    let server = TestAuth::spawn().await;
    let (client, other) = (server.register().await, server.register().await);
    let mut browser = Browser::default();
    let path = query(AUTHORIZE, &client, &[]);
    let page = browser.sign_in(&server, &path, "1").await;
    let form = [
        ("page", page.handle()),
        ("decision", "allow"),
        ("scope", "entries:read"),
    ];
    let back = browser.submit(&server, AUTHORIZE, &form).await;
    assert!(location(&back).starts_with(CALLBACK));
    // In another browser as well: it is the person's choice.
    let page = Browser::default().sign_in(&server, &path, "1").await;
    assert_eq!(page.is_ticked("entries:read"), Some(true));
    assert_eq!(page.is_ticked("entries:write"), Some(false));
    assert!(page.html.contains("You left this out before"));
    // A client that asks for that alone found it missing.
    let alone = query(AUTHORIZE, &client, &[("scope", "entries:write")]);
    let page = browser.sign_in(&server, &alone, "1").await;
    assert_eq!(page.is_ticked("entries:write"), Some(true));
    for (client, user) in [(&client, "2"), (&other, "1")] {
        let path = query(AUTHORIZE, client, &[]);
        let page = browser.sign_in(&server, &path, user).await;
        assert_eq!(page.is_ticked("entries:write"), Some(true));
        assert!(!page.html.contains("You left this out before"));
    }
}

#[actix_rt::test]
async fn not_you_leads_back_to_the_choice_of_a_person() {
    let server = TestAuth::spawn().await;
    let client = server.register().await;
    let mut browser = Browser::default();
    let path = query(AUTHORIZE, &client, &[("scope", "user:read")]);
    let consent = browser.sign_in(&server, &path, "1").await;
    assert!(consent.html.contains("Ada Brook"));
    let sign_in = browser.open(&server, consent.link("Not you?")).await;
    assert!(sign_in.html.contains("Who are you?"));
    let form = [("page", sign_in.handle()), ("user", "3")];
    let next = browser.submit(&server, AUTHORIZE, &form).await;
    let consent = browser.follow(&server, next).await;
    assert!(consent.html.contains("Chidi Field"));
    let form = [
        ("page", consent.handle()),
        ("decision", "allow"),
        ("scope", "user:read"),
    ];
    let back = browser.submit(&server, AUTHORIZE, &form).await;
    let code = param(location(&back), "code").unwrap();
    let tokens = ok(server.redeem(&client, &code, &[]).await).await;
    let token = tokens["access_token"].as_str().unwrap();
    assert_eq!(server.introspect(token).await["sub"], "3");
    // A person who is none signs nobody in.
    let form = [("page", sign_in.handle()), ("user", "99")];
    let nobody = browser.submit(&server, AUTHORIZE, &form).await;
    assert_eq!(nobody.status(), StatusCode::BAD_REQUEST);
}

#[actix_rt::test]
async fn dangerous_scopes_are_marked_and_others_are_not() {
    let server = TestAuth::spawn_with(|settings| {
        settings.scopes = vec![
            Scope::new("notes:read", "Read notes"),
            Scope::new("notes:burn", "Burn notes").dangerous(),
        ];
    })
    .await;
    let client = server.register().await;
    for (scope, marks) in [
        ("notes:read", 0),
        ("notes:burn", 1),
        ("notes:read notes:burn", 1),
    ] {
        let path = query(AUTHORIZE, &client, &[("scope", scope)]);
        let page = Browser::default().sign_in(&server, &path, "1").await;
        assert_eq!(page.html.matches("Careful:").count(), marks, "{scope}");
    }
}

#[actix_rt::test]
async fn a_form_of_another_site_is_refused_even_with_the_cookie() {
    let server = TestAuth::spawn().await;
    let client = server.register().await;
    let response = server.get(&query(AUTHORIZE, &client, &[])).await;
    let cookie = response.headers()["set-cookie"]
        .to_str()
        .unwrap()
        .to_owned();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let page = Browser::default().page(response).await;
    for (name, value, status) in [
        ("sec-fetch-site", "cross-site", StatusCode::BAD_REQUEST),
        ("sec-fetch-site", "same-site", StatusCode::BAD_REQUEST),
        ("origin", "https://evil.example", StatusCode::BAD_REQUEST),
        ("origin", server.auth.issuer(), StatusCode::SEE_OTHER),
    ] {
        let answer = server
            .request(Method::POST, AUTHORIZE)
            .header("cookie", &cookie)
            .header(name, value)
            .form(&[("page", page.handle()), ("user", "1")])
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), status, "{name}: {value}");
    }
}

#[actix_rt::test]
async fn tabs_of_one_browser_do_not_disturb_each_other() {
    let server = TestAuth::spawn().await;
    let client = server.register().await;
    let path = query(AUTHORIZE, &client, &[]);
    let mut browser = Browser::default();
    let first = browser.sign_in(&server, &path, "1").await;
    let second = browser.sign_in(&server, &path, "2").await;
    for (page, subject) in [(first, "1"), (second, "2")] {
        let form = [
            ("page", page.handle()),
            ("decision", "allow"),
            ("scope", "user:read"),
        ];
        let back = browser.submit(&server, AUTHORIZE, &form).await;
        let code = param(location(&back), "code").unwrap();
        let tokens = ok(server.redeem(&client, &code, &[]).await).await;
        let told = server
            .introspect(tokens["access_token"].as_str().unwrap())
            .await;
        assert_eq!(told["sub"], subject);
    }
}

#[actix_rt::test]
async fn a_client_cannot_write_html_into_the_pages() {
    let server = TestAuth::spawn().await;
    let registered = server
        .register_as(json!({
            "client_name": "<script>alert(1)</script>\"'&\u{202e}",
            "redirect_uris": [CALLBACK],
            "token_endpoint_auth_method": "none",
        }))
        .await;
    let client = registered["client_id"].as_str().unwrap();
    let resource = "https://a.example/?<b>\"'";
    let path = query(AUTHORIZE, client, &[("resource", resource)]);
    let mut browser = Browser::default();
    let sign_in = browser.open(&server, &path).await;
    let consent = browser.sign_in(&server, &path, "1").await;
    for html in [&sign_in.html, &consent.html] {
        assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;"));
        assert!(!html.contains("<script") && !html.contains("<b>") && !html.contains('\u{202e}'));
    }
    let error = server.get("/oauth/authorize?client_id=%3Cscript%3E").await;
    assert!(!error.text().await.unwrap().contains("<script"));
}

#[actix_rt::test]
async fn the_policy_lets_in_one_sheet_and_lets_out_one_form() {
    let server = TestAuth::spawn().await;
    let client = server.register().await;
    let mut browser = Browser::default();
    let path = query(AUTHORIZE, &client, &[]);
    for page in [
        browser.open(&server, &path).await,
        browser.sign_in(&server, &path, "1").await,
    ] {
        assert!(
            page.policy
                .starts_with("default-src 'none'; style-src 'sha256-")
        );
        assert!(
            page.policy
                .contains("; form-action 'self' http://127.0.0.1:39999;")
        );
        assert!(
            page.policy
                .ends_with("frame-ancestors 'none'; base-uri 'none'")
        );
        assert!(!page.html.contains("style=\"") && !page.html.contains("<script"));
        assert!(page.html.contains("<html lang=\"en\">"));
    }
}
