//! Event streams, read as they come.

use std::{future::Future, time::Duration};

use serde_json::Value;
use tokio::time::timeout;

use super::{Ask, Reply};

/// How long a test waits for what was promised, so that a broken promise fails instead of hanging.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A response that is an event stream. Dropping it cuts the connection.
pub(crate) struct Events {
    /// Status and headers.
    pub(crate) head: Reply,
    response: reqwest::Response,
    unread: Vec<u8>,
}

impl Ask<'_> {
    /// Sends it, and leaves the event stream that has to come back to be read.
    pub(crate) async fn listen(self) -> Events {
        let (head, response) = patiently(self.begin()).await;
        let kind = head.header("content-type").map(str::to_owned);
        if kind.as_deref() != Some("text/event-stream") {
            panic!("no stream: {head:?} {:?}", response.text().await);
        }
        assert_eq!(head.status, 200);
        assert_eq!(head.header("cache-control"), Some("no-cache, no-store"));
        assert_eq!(head.header("x-accel-buffering"), Some("no"));
        Events {
            head,
            response,
            unread: Vec::new(),
        }
    }
}

impl Events {
    /// The lines of the next event; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\n\n") {
                let rest = self.unread.split_off(end + 2);
                let event = std::mem::replace(&mut self.unread, rest);
                return Some(str::from_utf8(&event[..end]).unwrap().to_owned());
            }
            let Some(chunk) = patiently(self.response.chunk()).await.unwrap() else {
                assert_eq!(self.unread, b"", "half an event");
                return None;
            };
            self.unread.extend_from_slice(&chunk);
        }
    }

    /// The messages of all events, to the end of the stream.
    pub(crate) async fn messages(mut self) -> Vec<Value> {
        let mut messages = Vec::new();
        while let Some(event) = self.next().await {
            let data = event.lines().find_map(|line| line.strip_prefix("data: "));
            messages.extend(data.map(|data| serde_json::from_str::<Value>(data).unwrap()));
        }
        messages
    }

    /// The next event that has a message: its id and the message. Heartbeats, which are comments and come
    /// when nothing was sent for a while, are passed over: a slow machine has more of them.
    pub(crate) async fn message(&mut self) -> (String, Value) {
        let mut event = self.next().await.expect("the stream goes on");
        while event.starts_with(':') {
            event = self.next().await.expect("the stream goes on");
        }
        let (id, data) = event.split_once('\n').expect("an id and data");
        let data = data.strip_prefix("data: ").expect("data");
        (
            id.strip_prefix("id: ").expect("an id").to_owned(),
            serde_json::from_str(data).unwrap(),
        )
    }
}

/// What comes of it, which it does soon.
pub(crate) async fn patiently<T>(what: impl Future<Output = T>) -> T {
    timeout(TIMEOUT, what)
        .await
        .expect("what was promised comes")
}
