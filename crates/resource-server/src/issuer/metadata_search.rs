//! The search for the metadata of an issuer, at one URL after another: servers have it at one of them, and answer all
//! sorts of things at the others.

use std::vec;

use actix_web::{http::StatusCode, web::Bytes};
use url::Url;

use super::{
    destinations::Destinations,
    http_client::{Reply, invalid_response, shown},
    metadata::{Metadata, uri},
    settings::IssuerSettings,
};
use crate::auth::error::AuthError;

/// Why one URL has no metadata that can be used.
#[derive(Debug)]
pub(crate) struct MetadataRefusal {
    /// The URL; `None` if there is nothing at any.
    pub(crate) url: Option<Url>,
    /// The status of the response, if there was one.
    pub(crate) status: Option<StatusCode>,
    /// The document, if the status is 200.
    pub(crate) body: Bytes,
    /// What is wrong.
    pub(crate) error: AuthError,
}

/// The URLs that are left, and what the others had.
pub(crate) struct MetadataSearch {
    left: vec::IntoIter<Url>,
    asked: Vec<String>,
    /// Metadata that lacks an endpoint: another document of the issuer may have it.
    partial: Option<Metadata>,
    refusals: Vec<MetadataRefusal>,
}

impl MetadataSearch {
    pub(super) fn at(urls: Vec<Url>) -> Self {
        Self {
            left: urls.into_iter(),
            asked: Vec::new(),
            partial: None,
            refusals: Vec::new(),
        }
    }

    /// The next URL to ask.
    pub(crate) fn next_url(&mut self) -> Option<Url> {
        self.left.next()
    }

    /// Takes what was found at a URL, and returns metadata that has everything that is needed. A server that cannot be reached is not asked for more, because every URL is one
    /// of the same server.
    pub(crate) fn found(
        &mut self,
        url: &Url,
        fetched: Result<Reply, AuthError>,
        settings: &IssuerSettings,
        destinations: &Destinations,
    ) -> Option<Metadata> {
        let asked = uri(url).map_or_else(|_| url.path().to_owned(), |uri| shown(&uri));
        self.asked.push(asked.clone());
        let reply = match fetched {
            Ok(reply) => reply,
            Err(error) => {
                if matches!(error, AuthError::IssuerUnavailable { .. }) {
                    self.left = Vec::new().into_iter();
                }
                self.refused(url, None, Bytes::new(), error);
                return None;
            }
        };
        match reply.status {
            StatusCode::OK => match Metadata::read(&reply.body, settings, destinations) {
                Ok(metadata) if metadata.suffices(settings) => return Some(metadata),
                Ok(metadata) => {
                    self.partial.get_or_insert(metadata);
                }
                Err(error) => {
                    self.refused(url, Some(reply.status), reply.body, error.at(&asked));
                }
            },
            StatusCode::NOT_FOUND => {}
            status => {
                let error = invalid_response(format!("status {} for metadata", status.as_u16()));
                self.refused(url, Some(status), Bytes::new(), error.at(&asked));
            }
        }
        None
    }

    fn refused(&mut self, url: &Url, status: Option<StatusCode>, body: Bytes, error: AuthError) {
        self.refusals.push(MetadataRefusal {
            url: Some(url.clone()),
            status,
            body,
            error,
        });
    }

    /// What is of most use after all URLs: metadata that lacks an endpoint, which says so when it is needed.
    ///
    /// # Errors
    /// Otherwise the first document that was refused, otherwise the first other answer: the URLs after it are seldom
    /// served, and their errors say little.
    pub(crate) fn best(self) -> Result<Metadata, Box<MetadataRefusal>> {
        if let Some(metadata) = self.partial {
            return Ok(metadata);
        }
        let is_document = |refusal: &MetadataRefusal| refusal.status == Some(StatusCode::OK);
        let first = self.refusals.iter().position(is_document).unwrap_or(0);
        let refusal = self.refusals.into_iter().nth(first).unwrap_or_else(|| {
            let nowhere = invalid_response("no metadata at the well-known URLs of the issuer");
            MetadataRefusal {
                url: None,
                status: None,
                body: Bytes::new(),
                error: nowhere.at(&self.asked.join(" and ")),
            }
        });
        Err(Box::new(refusal))
    }
}
