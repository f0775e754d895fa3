//! The documents of one authorization server: its metadata and its keys.

use std::{sync::Arc, time::Duration};

use actix_web::http::StatusCode;

use super::{
    client::IssuerClient,
    document_cache::{Fetch, Refreshed, Refusal},
    http_client::{Reply, invalid_response, shown},
    metadata::{Metadata, uri},
    metadata_search::MetadataSearch,
    outcome::retry_after,
};
use crate::{auth::error::AuthError, jose::keys::KeySet, limits::Source};

impl IssuerClient {
    /// The metadata of the issuer, from the cache if possible.
    pub(crate) async fn metadata(&self) -> Result<Arc<Metadata>, AuthError> {
        let now = self.state.clock.now();
        let fetch = |fetch: Fetch<Metadata>| {
            let client = self.clone();
            actix_rt::spawn(async move { fetch.complete(client.fetch_metadata().await) });
        };
        self.state.metadata.get(now, fetch).await
    }

    /// The keys of the issuer, from the cache if possible.
    pub(crate) async fn keys(&self) -> Result<Arc<KeySet>, AuthError> {
        let now = self.state.clock.now();
        self.state
            .keys
            .get(now, |fetch| self.spawn_keys(fetch))
            .await
    }

    /// Newer keys than `seen`, which lacks a key that a token of this source names.
    pub(crate) async fn newer_keys(
        &self,
        seen: &Arc<KeySet>,
        source: Option<Source>,
    ) -> Result<Refreshed<KeySet>, AuthError> {
        let now = self.state.clock.now();
        let fetch = |fetch| self.spawn_keys(fetch);
        self.state.keys.refresh(seen, source, now, fetch).await
    }

    /// Fetches the keys in a task of its own: the request that needs them may give up.
    fn spawn_keys(&self, fetch: Fetch<KeySet>) {
        let client = self.clone();
        actix_rt::spawn(async move { fetch.complete(client.fetch_keys().await) });
    }

    async fn fetch_keys(&self) -> Result<KeySet, Refusal> {
        let uri = match &self.state.settings.keys_url {
            Some(url) => uri(url)?,
            None => self.metadata().await?.keys.clone()?,
        };
        let reply = self.http.fetch(&uri).await?;
        if reply.status != StatusCode::OK {
            let why = format!("status {} for keys", reply.status.as_u16());
            return Err(Refusal {
                error: invalid_response(why).at(&shown(&uri)),
                retry_after: self.wait_of(&reply),
            });
        }
        let keys = KeySet::read(&reply.body)
            .map_err(|fault| invalid_response(fault.to_string()).at(&shown(&uri)))?;
        self.state.first_answer.fetched_keys();
        Ok(keys)
    }

    async fn fetch_metadata(&self) -> Result<Metadata, Refusal> {
        let mut search = self.metadata_search();
        let mut wait = None;
        while let Some(url) = search.next_url() {
            let fetched = match uri(&url) {
                Ok(uri) => self.http.fetch(&uri).await,
                Err(error) => Err(error),
            };
            if let Ok(reply) = &fetched {
                wait = wait.max(self.wait_of(reply));
            }
            let found = search.found(
                &url,
                fetched,
                &self.state.settings,
                &self.state.destinations,
            );
            if let Some(metadata) = found {
                return Ok(metadata);
            }
        }
        search.best().map_err(|refusal| Refusal {
            error: refusal.error,
            retry_after: wait,
        })
    }

    /// For how long the server does not want to be asked for a document again.
    fn wait_of(&self, reply: &Reply) -> Option<Duration> {
        matches!(
            reply.status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        )
        .then(|| retry_after(&reply.headers, self.state.clock.now()))
        .flatten()
    }

    /// A search for the metadata, at every URL at which it may be.
    pub(crate) fn metadata_search(&self) -> MetadataSearch {
        let settings = &self.state.settings;
        MetadataSearch::at(match &settings.metadata_url {
            Some(url) => vec![url.clone()],
            None => settings.url.metadata_urls(),
        })
    }
}
