//! When a person says no, and when something about the way back is not right.

use rmcp::transport::auth::AuthError;
use url::Url;

use crate::{
    browser::Browser,
    client::{Begin, Leaving, allow, knock, param, to_consent},
    dev_servers::DevServers,
};

async fn refused(leaving: Leaving, callback: Url) -> AuthError {
    let came_back = leaving.come_back(callback).await;
    came_back.err().expect("this way back leads nowhere")
}

fn with(callback: &Url, name: &str, value: &str) -> Url {
    let pairs: Vec<_> = callback
        .query_pairs()
        .filter(|(known, _)| known != name)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let mut changed = callback.clone();
    changed
        .query_pairs_mut()
        .clear()
        .extend_pairs(pairs)
        .append_pair(name, value);
    changed
}

#[actix_rt::test]
async fn saying_no_on_either_page_leaves_the_client_without_a_token() {
    let servers = DevServers::open().await;
    for on_consent in [false, true] {
        let leaving = knock(&servers, Begin::Discover).await;
        let mut browser = Browser::new();
        let page = if on_consent {
            to_consent(&mut browser, &leaving.authorize, "1").await
        } else {
            browser.open(leaving.authorize.as_str()).await.page()
        };
        let form = page.form();
        let callback = browser
            .press(&page, &form, ("decision", "deny"))
            .await
            .away();
        assert_eq!(param(&callback, "error").as_deref(), Some("access_denied"));
        assert_eq!(
            param(&callback, "state"),
            param(&leaving.authorize, "state")
        );
        assert_eq!(param(&callback, "iss").as_deref(), Some(servers.issuer()));
        assert_eq!(param(&callback, "code"), None);
        refused(leaving, callback).await;
    }
    assert_eq!(servers.calls("token"), 0);
    servers.close().await;
}

#[actix_rt::test]
async fn a_forged_way_back_is_not_redeemed() {
    let servers = DevServers::open().await;
    for (name, forged) in [("state", "forged"), ("iss", "https://issuer.example")] {
        let leaving = knock(&servers, Begin::Discover).await;
        let mut browser = Browser::new();
        let consent = to_consent(&mut browser, &leaving.authorize, "1").await;
        let callback = allow(&mut browser, &consent, &[]).await.away();
        refused(leaving, with(&callback, name, forged)).await;
    }
    assert_eq!(servers.calls("token"), 0, "the code never left the client");
    servers.close().await;
}
