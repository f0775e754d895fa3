//! The documents of one authorization server: its metadata and its keys.

use std::sync::Arc;

use actix_web::http::StatusCode;

use super::{
    client::IssuerClient,
    document_cache::{Fetch, Refreshed},
    http_client::{invalid_response, shown},
    metadata::{Metadata, uri},
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

    async fn fetch_keys(&self) -> Result<KeySet, AuthError> {
        let uri = match &self.state.settings.keys_url {
            Some(url) => uri(url)?,
            None => self.metadata().await?.keys.clone()?,
        };
        let reply = self.http.fetch(&uri).await?;
        if reply.status != StatusCode::OK {
            let why = format!("status {} for keys", reply.status.as_u16());
            return Err(invalid_response(why).at(&shown(&uri)));
        }
        let keys = KeySet::read(&reply.body)
            .map_err(|fault| invalid_response(fault.to_string()).at(&shown(&uri)))?;
        self.state.first_answer.fetched_keys();
        Ok(keys)
    }

    /// Fetches the metadata from the first URL that has it. The error is that of the first response that is
    /// not usable: the URLs after it are seldom served, and their errors say little.
    async fn fetch_metadata(&self) -> Result<Metadata, AuthError> {
        let mut first = None;
        let urls = match &self.state.settings.metadata_url {
            Some(url) => vec![url.clone()],
            None => self.state.settings.url.metadata_urls(),
        };
        let mut asked = Vec::new();
        for url in urls {
            let uri = uri(&url)?;
            asked.push(shown(&uri));
            let reply = self.http.fetch(&uri).await?;
            let error = match reply.status {
                StatusCode::OK => match Metadata::read(
                    &reply.body,
                    &self.state.settings,
                    &self.state.destinations,
                ) {
                    Ok(metadata) => return Ok(metadata),
                    Err(error) => error,
                },
                StatusCode::NOT_FOUND => continue,
                status => invalid_response(format!("status {} for metadata", status.as_u16())),
            };
            first.get_or_insert(error.at(&shown(&uri)));
        }
        Err(first.unwrap_or_else(|| {
            let asked = asked.join(" and ");
            invalid_response("no metadata at the well-known URLs of the issuer").at(&asked)
        }))
    }
}
