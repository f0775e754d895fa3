//! Two people, each with a client of their own, at the same server.

use serde_json::json;

use crate::{
    client::{Begin, connect, sign_in},
    dev_servers::DevServers,
};

#[actix_rt::test]
async fn two_people_never_see_each_others_entries() {
    for begin in Begin::ERAS {
        let servers = DevServers::open().await;
        let ada = sign_in(&servers, begin, "1", &[]).await;
        let bela = sign_in(&servers, begin, "2", &[]).await;
        let ada = connect(&servers, begin, ada.manager).await.unwrap();
        let bela = connect(&servers, begin, bela.manager).await.unwrap();
        let hers = ada.write("Only Ada's").await.unwrap();
        bela.write("Only Bela's").await.unwrap();

        assert!(ada.titles().await.contains(&"Only Ada's".to_owned()));
        assert!(!ada.titles().await.contains(&"Only Bela's".to_owned()));
        assert!(!bela.titles().await.contains(&"Only Ada's".to_owned()));
        let found = bela.call("search_entries", json!({"query": "Ada's"})).await;
        assert_eq!(found.unwrap()["entries"], json!([]), "{begin:?}");
        let not_his = bela.failing("get_entry", json!({"id": hers})).await;
        let not_there = bela.failing("get_entry", json!({"id": 999_999_999})).await;
        let digits = |text: String| text.replace(|c: char| c.is_ascii_digit(), "");
        assert_eq!(digits(not_his), digits(not_there));
        ada.leave().await;
        bela.leave().await;
        servers.close().await;
    }
}
