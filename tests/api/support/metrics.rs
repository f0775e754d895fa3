//! What the listener for metrics says.

use std::collections::BTreeMap;

use super::{TestApp, patiently};

/// What stands at a path of the listener for metrics.
pub(crate) async fn metrics_at(app: &TestApp, path: &str) -> (u16, String) {
    let url = format!("http://{}{path}", app.metrics.unwrap());
    let response = patiently(app.http.get(url).send()).await.unwrap();
    let status = response.status().as_u16();
    (status, response.text().await.unwrap())
}

/// Every series by its name and labels, and its value.
pub(crate) async fn scraped(app: &TestApp) -> BTreeMap<String, f64> {
    let (status, text) = metrics_at(app, "/metrics").await;
    assert_eq!(status, 200);
    assert!(text.ends_with('\n'));
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        })
        .collect()
}
